#include "net/output_lines.hpp"

#include "test/support/catch.hpp"

using troupe::net::output_lines;

namespace {

using lines = std::vector<troupe::net::output_line>;

}  // namespace

TEST_CASE("output is cut into lines wherever the reads end") {
  output_lines out;
  lines got;
  out.add("a", got);
  CHECK(got.empty());
  out.add("b\n\nc\nd", got);
  CHECK(got == lines{{"", "ab"}, {"", ""}, {"", "c"}});
  out.finish(got);
  CHECK(got.back().text == "d");
  CHECK(out.last() == "ab\n\nc\nd");
}

TEST_CASE("a line without end is cut, and only the last lines are kept") {
  output_lines out;
  lines got;
  out.add(std::string(output_lines::longest_line + 10, 'x'), got);
  REQUIRE(got.size() == 1);
  CHECK(got[0].text.size() == output_lines::longest_line);
  for (int i = 0; i < 100; ++i) out.add("line\n", got);
  CHECK(out.last().size() == output_lines::kept_lines * 5 - 1);
}

TEST_CASE("a line tells what printed it, also when it is cut") {
  output_lines out;
  lines got;
  out.add(
      "\x1e"
      "counter\x1f"
      "one\nplain\n\x1e no end\n",
      got);
  CHECK(got == lines{{"counter", "one"}, {"", "plain"}, {"", "\x1e no end"}});
  got.clear();
  out.add(
      "\x1e"
      "f\x1f" +
          std::string(output_lines::longest_line, 'x') + "\nnext\n",
      got);
  REQUIRE(got.size() == 3);
  CHECK(got[0].name == "f");
  CHECK(got[1].name == "f");
  CHECK(got[0].text.size() + got[1].text.size() == output_lines::longest_line);
  CHECK(got[2] == troupe::net::output_line{"", "next"});
  CHECK(out.last().find('\x1f') == std::string::npos);
}
