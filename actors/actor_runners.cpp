// How an actor's calls are run: who gets a turn, what comes next, when a runner leaves.
#include <algorithm>
#include <mutex>
#include <utility>

#include <troupe/detail/batch_call.hpp>

#include "actors/actor_engine.hpp"
#include "actors/actor_errors.hpp"
#include "actors/group_runner.hpp"
#include "actors/local_actor.hpp"
#include "core/execution.hpp"
#include "core/gpu_scope.hpp"
#include "core/stage/stage.hpp"

namespace troupe::detail {

using actors::call_group;
using actors::failure_with;
using actors::running_call;

// -- runners --------------------------------------------------------------------------------------

void local_actor::activate(call_group& group) noexcept {
  int seen = group.active.load();
  while (seen < group.limit) {
    if (!group.active.compare_exchange_weak(seen, seen + 1)) continue;
    runners_.fetch_add(1);
    core::job* runner = this;
    if (has_one_consumer(group)) {
      add_reference();
    } else {
      runner = new actors::group_runner(*this, group);
    }
    engine_.stage().enqueue(runner);
    return;
  }
}

void local_actor::activate_all() noexcept {
  if (has_work(main_)) activate(main_);
  if (!extras_) return;
  for (const auto& group : extras_->groups) {
    if (has_work(*group)) activate(*group);
  }
}

bool local_actor::has_work(const call_group& group) const noexcept {
  if (!group.resumed.empty() || has_call_again(group)) return true;
  if (suspended_.load() >= max_suspended_) return false;
  const actors::batch_queue* const batches = group.batches.load();
  return !group.fresh.empty() || (batches != nullptr && batches->is_due());
}

/// Whether a call of this group is to be run again.
bool local_actor::has_call_again(const call_group& group) const noexcept {
  if (!has_again_.load()) return false;
  const std::lock_guard guard(lock_);
  return std::any_of(extras_->again.begin(), extras_->again.end(),
                     [&](const actor_call* call) { return call->group_ == group.index; });
}

actor_call* local_actor::pop(call_group& group) noexcept {
  if (has_again_.load()) {
    const std::lock_guard guard(lock_);
    auto& again = extras_->again;
    const auto at = std::find_if(again.begin(), again.end(), [&](const actor_call* call) {
      return call->group_ == group.index;
    });
    if (at != again.end()) {
      actor_call* const call = *at;
      again.erase(at);
      has_again_.store(!again.empty());
      return call->place() != nullptr ? make_batch(*call->place()->kind, {call}) : call;
    }
  }
  const auto take = [&] {
    actor_call* call = group.resumed.pop();
    if (call == nullptr && (suspended_.load() < max_suspended_ || life() == phase::dead)) {
      call = pop_fresh(group);
    }
    return call;
  };
  if (has_one_consumer(group)) return take();
  const std::lock_guard guard(group.consumers);
  return take();
}

/// The next call that has not begun. From its first batched call on, a group has a queue for them.
actor_call* local_actor::pop_fresh(call_group& group) noexcept {
  if (life() == phase::dead) return group.pop_any();
  actors::batch_queue* batches = group.batches.load(std::memory_order_relaxed);
  if (batches == nullptr) {
    actor_call* const call = group.fresh.pop();
    if (call == nullptr || call->place() == nullptr) return call;
    batches = new actors::batch_queue(*this, group);
    batches->take_in(*call);
    group.batches.store(batches);
  }
  return batches->next();
}

core::job::resume_result local_actor::resume(caf::execution_unit*, std::size_t max_throughput) {
  return run_group(main_, running_, max_throughput);
}

core::job::resume_result local_actor::run_group(call_group& group, running_call& running,
                                                std::size_t max_throughput) noexcept {
  running_call* const outer = std::exchange(running_call::current, &running);
  auto result = resume_later;
  for (std::size_t turn = 0; turn < max_throughput; ++turn) {
    if (orders_.load() != 0) {
      leave(group);
      result = done;
      break;
    }
    if (actor_call* const call = pop(group)) {
      // What came before the instance was made found nobody to run beside this one.
      if (group.limit > 1 && has_work(group)) activate(group);
      run_call(*call, running);
      core::stage::tick();
      if (engine_.stage().should_yield()) break;
      continue;
    }
    group.active.fetch_sub(1);
    if (has_work(group)) {
      int seen = group.active.load();
      if (seen < group.limit && group.active.compare_exchange_strong(seen, seen + 1)) continue;
    }
    check_scope();
    if (runners_.fetch_sub(1) == 1 && orders_.load() != 0) carry_out();
    result = done;
    break;
  }
  running_call::current = outer;
  return result;
}

/// Ends a runner's turn because of an order. The last one carries it out.
void local_actor::leave(call_group& group) noexcept {
  group.active.fetch_sub(1);
  if (runners_.fetch_sub(1) == 1) carry_out();
  // What came meanwhile found no free place for a runner.
  if (orders_.load() == 0 && has_work(group) && (constructed_.load() || life() == phase::dead)) {
    activate(group);
  }
}

void local_actor::run_call(actor_call& call, running_call& running) noexcept {
  if (life() == phase::dead) return end_with(call, death_failure());
  if (call.claimed() && !call.begun()) {
    call.retire();
    return;
  }
  if (call.begun() && call.life_ != restarts_) {  // a coroutine of the instance before
    call.drop_frame();
    end_interrupted(call, "the actor failed and restarted", true);
    return;
  }
  running.begin(&call);
  if (orders_.load() != 0) {  // whoever gave it may have looked before the call was shown
    running.end(&call);
    run_again(call);
    return;
  }
  call.life_ = restarts_;
  core::execution inner{.call = &call, .actor = this, .given = &given()};
  invocation::outcome outcome;
  {
    const core::execution_scope scope(inner);
    const core::gpu_scope device([this] { return first_gpu(); });
    outcome = call.execute(instance());
  }
  if (outcome == invocation::outcome::suspended) return;
  running.end(&call);
  if (outcome == invocation::outcome::finished) {
    call.retire();
  } else {
    unwound(call);
  }
}

bool local_actor::may_restart() const noexcept {
  const int most = given().max_restarts;
  return most == -1 || restarts_ < most;
}

bool local_actor::may_retry(const actor_call& call) const noexcept {
  const int of_call = call.stored() != nullptr ? call.stored()->get().max_task_retries : 0;
  const int most = of_call != 0 ? of_call : given().max_task_retries;
  return call.keeps_arguments() && !call.claimed() && (most == -1 || call.attempt() < most);
}

/// A failure of the actor interrupted the call: another attempt, or the error.
void local_actor::end_interrupted(actor_call& call, const std::string& why,
                                  bool restarts) noexcept {
  if (actor_batch* const batch = call.as_batch()) {
    for (actor_call* const one : batch->release_calls()) end_interrupted(*one, why, restarts);
    batch->retire();
    return;
  }
  if (restarts && may_retry(call)) {
    call.start_over();
    run_again(call);
    return;
  }
  const std::string text = "call '" + std::string(call.name()) + "' of actor " + full_name() +
                           " was interrupted: the actor failed (" + why + ")";
  call.abandon(restarts ? failure_with<actor_unavailable_error>(text + " and restarts")
                        : failure_with<actor_died_error>(text));
  call.retire();
}

/// Ends a call that does not run: all calls of a batch.
void local_actor::end_with(actor_call& call, const failure_ptr& why) noexcept {
  if (actor_batch* const batch = call.as_batch()) {
    batch->abandon_calls(why);
  } else {
    call.abandon(why);
  }
  call.retire();
}

/// A method left by `this_actor::exit` or `fail`.
void local_actor::unwound(actor_call& call) noexcept {
  const core::actor_unwind how = core::current_unwind;
  // The order comes first: the last call of an actor without handles would end it for that reason.
  if (how.exits) {
    order_end(exit_reason::exited, "it called this_actor::exit()", false);
    end_with(call, failure_with<actor_died_error>("actor " + full_name() +
                                                  " has ended: it called this_actor::exit()"));
    return;
  }
  const bool restarts = may_restart();
  order_end(exit_reason::failed, how.why, true);
  end_interrupted(call, how.why, restarts);
}

// -- batches --------------------------------------------------------------------------------------

actor_call* local_actor::make_batch(const batch_kind& kind, std::vector<actor_call*> calls) {
  const std::uint8_t group = calls.front()->group_;
  actor_batch* const batch = kind.make(std::move(calls));
  batch->target_ = this;
  batch->group_ = group;
  batch->set_state(invocation::run_state::queued);
  batch->release();  // nobody has a ref to it
  return batch;
}

void local_actor::wake_group(call_group& group) noexcept {
  if (constructed_.load() || life() == phase::dead) activate(group);
}

actors::batch_statistics& local_actor::batching() { return extras().batching.make(); }

}  // namespace troupe::detail

namespace troupe::actors {

detail::actor_call* call_group::pop_any() noexcept {
  batch_queue* const waiting = batches.load(std::memory_order_relaxed);
  detail::actor_call* const first = waiting != nullptr ? waiting->take_any() : nullptr;
  return first != nullptr ? first : fresh.pop();
}

}  // namespace troupe::actors
