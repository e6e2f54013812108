#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actor_pool.hpp>
#include <troupe/progress.hpp>
#include <troupe/task.hpp>

#include "core/progress_line.hpp"
#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using troupe::core::format_eta;
using troupe::core::progress_line;
using troupe::core::progress_view;

TEST_CASE("a progress line shows count, share, rate, time left and failures") {
  const progress_view view{
      .label = "index", .unit = "files", .done = 500, .failed = 2, .total = 1000, .elapsed = 5s};
  const std::string line = progress_line(view, 100);
  CHECK(line.find("index  [") == 0);
  CHECK(line.find("500/1000 files  50%  100/s  ETA 0:05  2 failed") != std::string::npos);
  CHECK(line.size() <= 100);
}

TEST_CASE("a progress line never exceeds its width") {
  const progress_view view{
      .label = "a label that is long", .unit = "things", .done = 7, .total = 9, .elapsed = 1s};
  for (std::size_t width = 1; width < 120; ++width) {
    CHECK(progress_line(view, width).size() <= width);
  }
}

TEST_CASE("a bar is empty at the start and full at the end") {
  progress_view view{.done = 0, .total = 10, .elapsed = 1s};
  CHECK(progress_line(view, 100).find('=') == std::string::npos);
  view.done = 10;
  CHECK(progress_line(view, 100).find("==]") != std::string::npos);
  CHECK(progress_line(view, 100).find("100%") != std::string::npos);
}

TEST_CASE("without a total there is neither a bar nor a time left") {
  const progress_view view{.label = "read", .done = 12, .elapsed = 2s};
  CHECK(progress_line(view, 80) == "read  12  6.0/s");
  CHECK(format_eta(view) == "--:--");
}

TEST_CASE("the time left is told in minutes and hours") {
  CHECK(format_eta({.done = 1, .total = 2, .elapsed = 65s}) == "1:05");
  CHECK(format_eta({.done = 1, .total = 2, .elapsed = 3723s}) == "1:02:03");
  CHECK(format_eta({.done = 0, .total = 2, .elapsed = 3s}) == "--:--");
  CHECK(format_eta({.done = 3, .total = 2, .elapsed = 3s}) == "0:00");
}

TEST_CASE("a label is cut between characters, not inside one") {
  const progress_view view{
      .label = "\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc", .done = 1, .elapsed = 1s};
  const std::string line = progress_line(view, 14);
  CHECK(line.substr(0, 6) == "\u00e4\u00f6\u00fc");
}

TEST_CASE("a progress line is cut at every width between characters") {
  const progress_view view{
      .label = "größe", .unit = "Stück", .done = 7, .failed = 1, .total = 9, .elapsed = 1s};
  for (std::size_t width = 1; width < 100; ++width) {
    const std::string line = progress_line(view, width);
    std::size_t characters = 0;
    for (const char c : line) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    CHECK(characters <= width);
    // A character that begins goes on: each lead byte has its one continuation here.
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (static_cast<unsigned char>(line[i]) < 0xc0) continue;
      REQUIRE(i + 1 < line.size());
      CHECK((static_cast<unsigned char>(line[i + 1]) & 0xc0) == 0x80);
    }
  }
}

TEST_CASE("a narrow line leaves out the bar before the facts") {
  const progress_view view{.label = "x", .done = 5, .total = 10, .elapsed = 5s};
  CHECK(progress_line(view, 31) == "x  5/10  50%  1.0/s  ETA 0:05");
}

// -- drawing --------------------------------------------------------------------------------------

namespace {

/// Stands in for stderr while it lives: a terminal of that width, or a pipe.
class screen {
 public:
  explicit screen(unsigned short columns) : stderr_(::dup(STDERR_FILENO)) {
    if (columns > 0) {
      winsize size{};
      size.ws_col = columns;
      REQUIRE(::openpty(&ours_, &theirs_, nullptr, nullptr, &size) == 0);
      termios raw{};
      ::tcgetattr(theirs_, &raw);
      ::cfmakeraw(&raw);
      ::tcsetattr(theirs_, TCSANOW, &raw);
    } else {
      int ends[2];
      REQUIRE(::pipe(ends) == 0);
      ours_ = ends[0];
      theirs_ = ends[1];
    }
    ::fcntl(ours_, F_SETFL, O_NONBLOCK);
    ::dup2(theirs_, STDERR_FILENO);
  }
  ~screen() {
    ::dup2(stderr_, STDERR_FILENO);
    for (const int each : {ours_, theirs_, stderr_}) ::close(each);
  }
  std::string text() const {
    std::string all;
    char part[4096];
    for (ssize_t got; (got = ::read(ours_, part, sizeof part)) > 0;) {
      all.append(part, static_cast<std::size_t>(got));
    }
    return all;
  }

 private:
  int ours_ = -1;
  int theirs_ = -1;
  int stderr_;
};

class terminal_type {
 public:
  explicit terminal_type(const char* name) { ::setenv("TERM", name, 1); }
  ~terminal_type() { had_ ? ::setenv("TERM", old_.c_str(), 1) : ::unsetenv("TERM"); }

 private:
  bool had_ = std::getenv("TERM") != nullptr;
  std::string old_ = had_ ? std::getenv("TERM") : "";
};

}  // namespace

TEST_CASE("a bar on a terminal is as wide as that and ends its line") {
  const terminal_type type("xterm");
  const screen terminal(50);
  {
    troupe::progress bar({.label = "work", .total = 2});
    bar.advance();
    bar.fail();
  }
  const std::string text = terminal.text();
  CHECK(text.find("2/2  100%") != std::string::npos);
  CHECK(text.find("1 failed") != std::string::npos);
  REQUIRE_FALSE(text.empty());
  CHECK(text.back() == '\n');
  const std::size_t last = text.rfind('\r');
  CHECK(text.find("\x1b[K", last) - last - 1 <= 49);
}

TEST_CASE("a bar is silent where it cannot be redrawn") {
  SECTION("not a terminal") {
    const terminal_type type("xterm");
    const screen pipe(0);
    { troupe::progress({.total = 2}).advance(); }
    CHECK(pipe.text().empty());
  }
  SECTION("a terminal that cannot") {
    const terminal_type type("dumb");
    const screen terminal(80);
    { troupe::progress({.total = 2}).advance(); }
    CHECK(terminal.text().empty());
  }
}

TEST_CASE("a bar is drawn far less often than it is advanced") {
  const screen pipe(0);
  {
    troupe::progress bar({.total = 100'000, .force = true});
    for (int i = 0; i < 100'000; ++i) bar.advance();
  }
  const std::string text = pipe.text();
  CHECK(std::count(text.begin(), text.end(), '\r') < 1000);
}

TEST_CASE("tracked refs come as they complete and are counted") {
  const auto session = troupe::test::start();
  troupe::test::promise<int> late;
  troupe::progress bar;
  std::vector<int> seen;
  std::size_t failures = 0;
  const auto broken = troupe::remote<[]() -> int { throw std::runtime_error("broken"); }>();
  const std::vector<troupe::object_ref<int>> refs{late.ref(), troupe::put(1), broken};
  for (const auto& ref : bar.track(refs)) {
    if (ref.failed()) {
      ++failures;
    } else {
      seen.push_back(troupe::get(ref));
    }
    if (seen.size() + failures == 2) late.set(7);
  }
  CHECK(seen == std::vector<int>{1, 7});
  CHECK(failures == 1);
  CHECK(bar.done() == 3);
  CHECK(bar.failed() == 1);
}

TEST_CASE("a tracked stream counts what it gives") {
  const auto session = troupe::test::start();
  auto stream = troupe::remote<[](int n) -> troupe::generator<int> {
    for (int i = 0; i < n; ++i) co_yield i;
  }>(20);
  troupe::progress bar;
  int sum = 0;
  for (const auto& ref : bar.track(stream)) sum += troupe::get(ref);
  CHECK(sum == 190);
  CHECK(bar.done() == 20);
}

TEST_CASE("any range can be tracked and an element that throws counts as failed") {
  struct picky {
    int odd(int x) {
      if (x % 2 == 0) throw std::invalid_argument("even");
      return x;
    }
  };
  const auto session = troupe::test::start();
  troupe::actor_pool<picky> pool(2);
  troupe::progress bar({.total = 3});
  auto tracked = bar.track(pool.map<&picky::odd>(std::vector<int>{1, 2, 3}));
  int sum = 0;
  for (auto at = tracked.begin(); at != tracked.end(); ++at) {
    try {
      sum += *at;
    } catch (const std::invalid_argument&) {
    }
  }
  CHECK(sum == 4);
  CHECK(bar.done() == 3);
  CHECK(bar.failed() == 1);
}
