/// The calls of one group of an actor that has batched methods: from its mailbox into batches.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "actors/batch_queue_state.hpp"
#include "core/timers.hpp"

namespace troupe::detail {
class actor_call;
class local_actor;
struct batch_kind;
}  // namespace troupe::detail

namespace troupe::actors {

struct call_group;

/// Carries out what `batch_queue_state` decides. Confined to whoever may pop from its group's
/// mailbox, but for `is_due`.
class batch_queue {
 public:
  batch_queue(detail::local_actor& actor, call_group& group);

  /// A call that was popped from the mailbox.
  void take_in(detail::actor_call& call);
  /// What is to run now: a plain call, or one that runs a batch. Null when there is nothing; then
  /// an alarm is set for what waits for its time.
  detail::actor_call* next();
  /// Any call that waits, whether its time has come or not: to be ended.
  detail::actor_call* take_any();
  /// Whether a runner has something to look for. Thread-safe.
  bool is_due() const noexcept { return due_.load(); }
  /// The actor has ended: no alarm any more.
  void stop_alarm() noexcept;

 private:
  class alarm;
  detail::actor_call* batch_of(const batch_queue_state::turn& turn);
  void set_alarm();

  detail::local_actor& actor_;
  call_group& group_;
  batch_queue_state state_;
  std::vector<const detail::batch_kind*> methods_;  ///< by their number in `state_`
  std::vector<detail::actor_call*> taken_;          ///< of a batch that is ended call by call
  std::atomic<bool> due_{false};
  std::atomic<bool> armed_{false};
  core::timers::id alarm_ = 0;
};

}  // namespace troupe::actors
