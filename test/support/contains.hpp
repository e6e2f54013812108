/// The matcher "has this text in it", which Catch2 2.13 and 3.x name differently.
#pragma once

#include <string>

#include "test/support/catch.hpp"

namespace troupe::test {

inline auto contains(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace troupe::test
