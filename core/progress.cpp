#include <troupe/progress.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/progress_line.hpp"

namespace troupe {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto redraw_period = std::chrono::milliseconds(100);
constexpr auto idle_redraw_period = std::chrono::milliseconds(500);  // while nothing completes
constexpr std::size_t usual_width = 80;

bool can_draw() {
  if (::isatty(STDERR_FILENO) == 0) return false;
  const char* const terminal = std::getenv("TERM");
  return terminal == nullptr || std::string_view(terminal) != "dumb";
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return usual_width;
  return size.ws_col;
}

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;  // a bar is not worth an error
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

struct progress::state {
  std::string label;
  std::string unit;
  std::size_t done = 0;
  std::size_t failed = 0;
  std::size_t total = 0;
  bool draws = false;
  bool finished = false;
  clock::time_point began = clock::now();
  clock::time_point drawn{};
};

progress::progress(const progress_options& options) : state_(std::make_unique<state>()) {
  state_->label = options.label;
  state_->unit = options.unit;
  state_->total = options.total;
  state_->draws = options.force || can_draw();
}

progress::~progress() {
  if (state_) finish();
}
progress::progress(progress&&) noexcept = default;
progress& progress::operator=(progress&& other) noexcept {
  if (this != &other) {
    if (state_) finish();
    state_ = std::move(other.state_);
  }
  return *this;
}

void progress::advance(std::size_t count) {
  state_->done += count;
  draw(false);
}

void progress::fail(std::size_t count) {
  state_->failed += count;
  advance(count);
}

void progress::set_total(std::size_t total) {
  state_->total = total;
  draw(false);
}

void progress::finish() {
  if (std::exchange(state_->finished, true)) return;
  draw(true);
}

std::optional<std::chrono::nanoseconds> progress::patience() const noexcept {
  if (!state_->draws || state_->finished) return std::nullopt;
  return idle_redraw_period;
}

std::size_t progress::done() const noexcept { return state_->done; }
std::size_t progress::failed() const noexcept { return state_->failed; }

void progress::draw(bool last) {
  state& s = *state_;
  if (!s.draws || (s.finished && !last)) return;
  const clock::time_point now = clock::now();
  if (!last && now - s.drawn < redraw_period) return;
  s.drawn = now;
  const std::string line = core::progress_line({.label = s.label,
                                                .unit = s.unit,
                                                .done = s.done,
                                                .failed = s.failed,
                                                .total = s.total,
                                                .elapsed = now - s.began},
                                               terminal_width() - 1);
  // To the line's begin, the text, and away with what is left of a longer one before.
  write_all("\r" + line + "\x1b[K" + (last ? "\n" : ""));
}

}  // namespace troupe
