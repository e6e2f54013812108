/// What a thread of troupe does instead of sleeping: it reads the network for the whole process.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "core/parker.hpp"

namespace troupe::core {

/// A thread that waits for an answer reads it itself where it can: that saves a hop from the
/// network's thread to it, which costs more than the answer. Thread-safe.
class idle_work {
 public:
  using time_point = parker::time_point;

  /// Works until `sleeper` is unparked, the deadline has passed, or it cannot any more. False, and
  /// nothing was done: somebody else works, so sleep. Runs what the process received, as if by no
  /// task at all; so it is not for a thread that holds a lock.
  virtual bool work_until_woken(parker& sleeper,
                                const std::optional<time_point>& deadline) noexcept = 0;

  /// Makes it the one that waiting threads use, if there is none. False if there is.
  static bool install(idle_work& work) noexcept;
  /// The opposite: from then on no thread begins it. True if it was installed; then, when the work
  /// has been told to end, `wait_until_left` waits for those inside.
  static bool remove(idle_work& work) noexcept;
  static void wait_until_left() noexcept;

  /// Sleeps as `park` and `park_until` do, at work where possible. May return for nothing.
  static void wait(parker& sleeper, const std::optional<time_point>& deadline) noexcept;

 protected:
  ~idle_work() = default;
};

}  // namespace troupe::core
