#include "net/output_lines.hpp"

#include "test/support/catch.hpp"

using troupe::net::output_lines;

namespace {

using lines = std::vector<std::string>;

}  // namespace

TEST_CASE("output is cut into lines wherever the reads end") {
  output_lines out;
  lines got;
  out.add("a", got);
  CHECK(got.empty());
  out.add("b\n\nc\nd", got);
  CHECK(got == lines{"ab", "", "c"});
  out.finish(got);
  CHECK(got.back() == "d");
  CHECK(out.last() == "ab\n\nc\nd");
}

TEST_CASE("a line without end is cut, and only the last lines are kept") {
  output_lines out;
  lines got;
  out.add(std::string(output_lines::longest_line + 10, 'x'), got);
  REQUIRE(got.size() == 1);
  CHECK(got[0].size() == output_lines::longest_line);
  for (int i = 0; i < 100; ++i) out.add("line\n", got);
  CHECK(out.last().size() == output_lines::kept_lines * 5 - 1);
}
