#include "net/output_printer.hpp"

#include <cstdio>
#include <string>
#include <utility>

namespace troupe::net {

void output_printer::on(endpoint& net, worker_output what) {
  const std::lock_guard guard(mutex_);
  std::vector<shown_line> show;
  const auto now = std::chrono::steady_clock::now();
  for (worker_output::line& one : what.lines) {
    shown_line line{std::move(one.name), what.pid, what.node, what.error, std::move(one.text), 0};
    if (join_repeats_) {
      state_.add(now, std::move(line), show);
    } else {
      show.push_back(std::move(line));
    }
  }
  print(show);
  look_again(net);
}

void output_printer::finish() {
  const std::lock_guard guard(mutex_);
  join_repeats_ = false;
  std::vector<shown_line> show;
  state_.finish(show);
  print(show);
}

/// Requires the lock.
void output_printer::look_again(endpoint& net) {
  const auto next = state_.next();
  if (timer_runs_ || !next) return;
  timer_runs_ = true;
  net.post_at(*next, [this, &net] {
    const std::lock_guard guard(mutex_);
    timer_runs_ = false;
    std::vector<shown_line> show;
    state_.tick(std::chrono::steady_clock::now(), show);
    print(show);
    look_again(net);
  });
}

void output_printer::print(const std::vector<shown_line>& lines) {
  for (const shown_line& line : lines) {
    const std::string text = to_text(line) + '\n';
    std::fwrite(text.data(), 1, text.size(), line.error ? stderr : stdout);
  }
  if (!lines.empty()) {
    std::fflush(stdout);
    std::fflush(stderr);
  }
}

}  // namespace troupe::net
