#include <string>

#include "core/progress_line.hpp"
#include "test/support/catch.hpp"

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
  const progress_view view{.label = "\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc", .done = 1, .elapsed = 1s};
  const std::string line = progress_line(view, 14);
  CHECK(line.substr(0, 6) == "\u00e4\u00f6\u00fc");
}
