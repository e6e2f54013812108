/// Calls things at their time: one thread over a timer heap, asleep until the next one is due.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "core/timer_heap.hpp"

namespace troupe::core {

/// Thread-safe. The thread starts with the first timer.
class timers {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using id = std::uint64_t;  ///< never 0

  timers() = default;
  ~timers() { stop(); }
  timers(const timers&) = delete;
  timers& operator=(const timers&) = delete;

  /// Calls `f` at `due` on the timer thread. `f` must be short and must not throw.
  id call_at(time_point due, std::function<void()> f);
  id call_after(std::chrono::nanoseconds delay, std::function<void()> f);
  /// False when it was called already, or is being called.
  bool cancel(id timer);
  /// Drops all timers and ends the thread.
  void stop() noexcept;

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  timer_heap<std::function<void()>> heap_;  // guarded by mutex_, like all below
  std::thread thread_;
  bool stopping_ = false;
};

}  // namespace troupe::core
