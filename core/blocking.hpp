/// A thread's wait: gives up its CPU and its place on the stage, and can be interrupted.
#pragma once

#include <atomic>

#include <troupe/detail/invocation.hpp>
#include <troupe/detail/waiting.hpp>

#include "core/execution.hpp"
#include "core/parker.hpp"

namespace troupe::core {

/// One blocking wait of the calling thread. Construct it, arrange for `wake` to be called, then
/// `wait`. Confined to its thread, but for `wake` and `interrupt`.
class blocking_wait final : public detail::interruptible {
 public:
  /// Throws `task_cancelled_error` when the task that would wait was asked to stop.
  blocking_wait();
  ~blocking_wait();
  blocking_wait(const blocking_wait&) = delete;
  blocking_wait& operator=(const blocking_wait&) = delete;

  /// Ends the wait. Any thread. The last one to touch the object before the waiting thread goes on.
  void wake() noexcept {
    parker& sleep = parker_;
    done_.store(true, std::memory_order_release);
    sleep.unpark();
  }
  /// Asks the thread to look at its stop request.
  void interrupt() noexcept override { parker_.unpark(); }

  /// `refused`: one more blocked thread is too many.
  enum class outcome { woken, timed_out, interrupted, refused };
  /// Sleeps until `wake`, the deadline, or a stop request of the running call.
  outcome wait(const detail::deadline& until) noexcept;
  /// Throws the error of a wait that ended as `interrupted` or `refused`.
  void check(outcome how) const;
  /// Sleeps until `wake`, whatever else happens: for one that is known to come at once.
  void wait_for_wake() noexcept;

 private:
  parker& parker_;
  detail::invocation* call_;
  std::atomic<bool> done_{false};
};

/// Throws the error of a task that was asked to stop while it waits.
[[noreturn]] void throw_cancelled_wait(const detail::invocation& call);
/// Throws the error of a wait that would block one thread too many.
[[noreturn]] void throw_too_many_blocked();

/// While it lives the thread's CPU and slot are others'.
class off_stage {
 public:
  off_stage();
  ~off_stage();
  off_stage(const off_stage&) = delete;
  off_stage& operator=(const off_stage&) = delete;
  /// False when the thread keeps its slot, because one more blocked thread is too many.
  explicit operator bool() const noexcept { return !refused_; }

 private:
  bool left_ = false;
  bool refused_ = false;
  resource_holder* resources_ = nullptr;
};

}  // namespace troupe::core
