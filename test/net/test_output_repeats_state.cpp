// Which lines of many workers a driver shows.
#include "net/output_repeats_state.hpp"
#include "test/support/catch.hpp"

using namespace std::chrono_literals;
using troupe::net::output_repeats_state;
using troupe::net::shown_line;

namespace {

struct screen {
  void print(const std::string& text, std::int64_t pid, std::chrono::milliseconds at) {
    std::vector<shown_line> lines;
    state.add(output_repeats_state::time(at), {"f", pid, "n", false, text, 0}, lines);
    take(lines);
  }
  void tick(std::chrono::milliseconds at) {
    std::vector<shown_line> lines;
    state.tick(output_repeats_state::time(at), lines);
    take(lines);
  }
  void take(const std::vector<shown_line>& lines) {
    for (const shown_line& line : lines) seen.push_back(to_text(line));
  }
  std::vector<std::string> seen;
  output_repeats_state state{5s};
};

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a line that several workers print is shown once, and how often it came") {
  screen s;
  s.print("ready", 1, 0ms);
  CHECK(s.seen == texts{"(f pid=1 node=n) ready"});
  s.print("ready", 2, 1ms);
  s.print("ready", 3, 2ms);
  s.print("ready", 4, 3ms);
  CHECK(s.seen.size() == 1);
  REQUIRE(s.state.next());
  CHECK(*s.state.next() == output_repeats_state::time(5s));
  s.tick(5s);
  CHECK(s.seen.back() == "(f pid=4 node=n) ready [repeated 3x across cluster]");
  CHECK(!s.state.next());
  s.print("ready", 2, 6s);  // a new window
  CHECK(s.seen.back() == "(f pid=2 node=n) ready");
}

TEST_CASE("a line that came once more is shown as it is") {
  screen s;
  s.print("ready", 1, 0ms);
  s.print("ready", 2, 1ms);
  s.tick(5s);
  CHECK(s.seen == texts{"(f pid=1 node=n) ready", "(f pid=2 node=n) ready"});
}

TEST_CASE("what one worker says again, and other lines, are shown at once") {
  screen s;
  s.print("step", 1, 0ms);
  s.print("step", 1, 1ms);
  s.print("other", 2, 2ms);
  CHECK(s.seen.size() == 3);
}

TEST_CASE("lines that are watched are bounded, and the end shows what was kept back") {
  screen s;
  for (std::size_t i = 0; i <= output_repeats_state::most_open; ++i) {
    s.print(std::to_string(i), 1, 0ms);
    s.print(std::to_string(i), 2, 0ms);
  }
  // The first had to make room.
  CHECK(s.seen.size() == output_repeats_state::most_open + 2);
  std::vector<shown_line> rest;
  s.state.finish(rest);
  CHECK(rest.size() == output_repeats_state::most_open);
}
