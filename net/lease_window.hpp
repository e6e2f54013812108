/// Decides how many tasks may wait in a worker's lease before their turn.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace troupe::net {

/// Pure; thread-compatible. Short tasks are sent ahead of time, so that the worker never waits for
/// the network; a long one keeps nothing behind it that another lease could run.
class lease_window {
 public:
  using clock = std::chrono::steady_clock;
  /// Work of so much time may wait in a lease.
  static constexpr auto horizon = std::chrono::milliseconds(4);
  static constexpr std::uint32_t most = 1024;

  std::uint32_t size() const noexcept { return size_; }

  /// A task has ended at that time; so many are still in flight.
  void task_ended(clock::time_point now, std::uint32_t in_flight) noexcept {
    if (counting_) {
      const auto took = std::chrono::duration<double>(now - last_).count();
      average_ = average_ == 0 ? took : average_ + (took - average_) / 8;
      const double fits = std::chrono::duration<double>(horizon).count() / std::max(average_, 1e-7);
      const auto wanted = static_cast<std::uint32_t>(std::clamp(fits, 2.0, double{most}));
      // Doubles at most: one fast answer says little.
      size_ = std::min(wanted, size_ * 2);
    }
    last_ = now;
    counting_ = in_flight > 0;  // a pause is nobody's running time
  }

 private:
  std::uint32_t size_ = 2;
  double average_ = 0;  // seconds between two ends
  clock::time_point last_{};
  bool counting_ = false;
};

}  // namespace troupe::net
