#include "test/support/skip.hpp"

#include <iostream>

#include "test/support/catch.hpp"

namespace troupe::test {
namespace {

bool skipped = false;

}  // namespace

void skip(const std::string& why) {
  skipped = true;
  std::cout << "skipped: " << why << std::endl;
  SUCCEED("skipped");
}

bool any_skipped() noexcept { return skipped; }

}  // namespace troupe::test
