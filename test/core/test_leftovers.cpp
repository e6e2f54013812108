// What the tests' own main does about processes that a test has not ended.
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/leftovers.hpp"
#include "test/support/started_program.hpp"

using namespace troupe::test;
using namespace std::chrono_literals;

TEST_CASE("a process that a test leaves behind is found and ended, whoever started it") {
  {
    started_program parent({"sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo left $!"}, {});
    REQUIRE(parent.hear_number("left") > 0);
  }
  const std::vector<std::string> left = end_marked_processes(0ms);
  REQUIRE(left.size() == 1);
  CHECK_THAT(left[0], contains("sleep 1000"));
  CHECK(end_marked_processes(0ms).empty());
}

TEST_CASE("a process that ends by itself in time is not left behind") {
  {
    started_program parent({"sh", "-c", "sleep 0.2 > /dev/null 2>&1 & echo left $!"}, {});
    REQUIRE(parent.hear_number("left") > 0);
  }
  CHECK(end_marked_processes().empty());
}
