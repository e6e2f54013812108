/// The call that one runner executes now, where those who end an actor can find it.
#pragma once

#include <atomic>
#include <thread>

#include <troupe/detail/invocation.hpp>

namespace troupe::actors {

/// Written by its runner; `look` is thread-safe.
class running_call {
 public:
  /// Sequentially consistent: the runner looks for orders next.
  void begin(detail::actor_call* call) noexcept { call_.store(call); }

  /// Waits while somebody looks at the call.
  void end(detail::actor_call* call) noexcept {
    for (;;) {
      detail::actor_call* seen = call;
      if (call_.compare_exchange_weak(seen, nullptr, std::memory_order_acq_rel)) return;
      std::this_thread::yield();
    }
  }

  /// Calls `f` with the call, which does not end meanwhile.
  template <class F>
  void look(F&& f) noexcept {
    detail::actor_call* const call = call_.exchange(nullptr);
    if (call == nullptr) return;
    f(*call);
    call_.store(call, std::memory_order_release);
  }

  /// The one of the runner whose turn it is on this thread.
  static inline thread_local running_call* current = nullptr;

  // In the list of an actor's runners; guarded by the actor's lock.
  running_call* next = nullptr;
  running_call* previous = nullptr;

 private:
  std::atomic<detail::actor_call*> call_{nullptr};
};

}  // namespace troupe::actors
