// How an actor begins, fails, restarts and ends. Orders are given by anyone; the last runner to
// leave carries them out.
#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include <troupe/detail/batch_call.hpp>

#include "actors/actor_engine.hpp"
#include "actors/actor_errors.hpp"
#include "actors/group_runner.hpp"
#include "actors/local_actor.hpp"
#include "core/execution.hpp"

namespace troupe::actors {

// -- resource_gate --------------------------------------------------------------------------------

void resource_gate::ask() { from_.request(*this, shape_, core::grant_order::normal); }

void resource_gate::granted() noexcept {
  has_.store(true);
  actor_.open_gate();
}

void resource_gate::give_back() noexcept {
  if (from_.withdraw(*this)) {
    actor_.open_gate();  // the condition can never be met any more
    return;
  }
  while (!has_.load()) std::this_thread::yield();  // the grant is on its way
  from_.release(shape_, gpus());
}

}  // namespace troupe::actors

namespace troupe::detail {

using actors::call_group;
using actors::failure_with;
using actors::running_call;

namespace {

/// No runner is at work, but whoever gives an order may look for calls to end.
actor_call* pop_resumed(call_group& group) noexcept {
  const std::lock_guard guard(group.consumers);
  return group.resumed.pop();
}
actor_call* pop_any(call_group& group) noexcept {
  const std::lock_guard guard(group.consumers);
  return group.pop_any();
}

}  // namespace

// -- orders ---------------------------------------------------------------------------------------

void local_actor::give_order(std::uint32_t order) noexcept {
  orders_.fetch_or(order);
  activate(main_);  // if none is there to see it
}

void local_actor::order_end(exit_reason reason, std::string message, bool restart) noexcept {
  if (life() == phase::dead) return;
  const bool restarts = restart && may_restart();
  const bool fails_calls = !restarts && reason != exit_reason::out_of_scope;
  const std::string text = "actor " + full_name() + " has ended: " + message;
  std::vector<actor_call*> found;
  std::vector<actor_call*> queued;  // popped: nobody else ends them
  const auto keep = [&](actor_call& call) {
    const auto keep_one = [&](actor_call& one) {
      one.pin();
      found.push_back(&one);
    };
    if (actor_batch* const batch = call.as_batch()) batch->look(keep_one);
    keep_one(call);
  };
  // Only where no runner can pop. A coroutine that was woken fails at once, too, but its frame is
  // the runner's to destroy.
  const auto take_queued = [&](call_group& group) {
    while (actor_call* call = group.pop_any()) queued.push_back(call);
    std::vector<actor_call*> woken;
    while (actor_call* call = group.resumed.pop()) woken.push_back(call);
    for (actor_call* call : woken) {
      keep(*call);
      group.resumed.push(*call);
    }
  };
  {
    const std::lock_guard guard(lock_);
    auto& more = extras();
    if (!more.ordered ||
        (more.ordered_restart && !restart && reason != exit_reason::out_of_scope)) {
      more.ordered = true;
      more.ordered_restart = restart;
      more.ordered_reason = reason;
      more.ordered_message = message;
    }
    if (fails_calls) ending_.store(true);
    // Before the look at what runs: a runner shows its call, then looks for orders. So an
    // interrupted call runs again in the next life, not in this one.
    orders_.fetch_or(restart ? order_fail : order_kill);
    running_.look([&](actor_call& call) {
      keep(call);
      // Its runner cannot pop while its call is looked at.
      if (fails_calls && has_one_consumer(main_)) take_queued(main_);
    });
    for (running_call* one = more.running; one != nullptr; one = one->next) one->look(keep);
    if (fails_calls) {
      for (actor_call* call = aside_; call != nullptr; call = call->next_) keep(*call);
      for (const auto& lane : more.lanes) {
        for (actor_call* call : lane.calls) keep(*call);
      }
    }
  }
  if (fails_calls) {
    const auto take_shared = [&](call_group& group) {
      if (has_one_consumer(group)) return;
      const std::lock_guard guard(group.consumers);
      take_queued(group);
    };
    take_shared(main_);
    for (const auto& group : extras().groups) take_shared(*group);
  }
  for (actor_call* call : found) {
    if (call->as_batch() != nullptr) {  // its calls are among those found
      if (reason != exit_reason::out_of_scope) call->request_stop(true);
    } else if (restarts && may_retry(*call)) {
      call->interrupted_.store(true);
      call->request_stop(true);
    } else if (reason != exit_reason::out_of_scope) {
      call->abandon(restarts ? failure_with<actor_unavailable_error>(text)
                             : failure_with<actor_died_error>(text));
      call->request_stop(true);
    }
    call->unpin();
  }
  for (actor_call* call : queued) {
    call->abandon(failure_with<actor_died_error>(text));
    call->retire();
  }
  activate(main_);  // if none is there to see the order
}

/// Runs on the stage, with no runner at work and all orders given so far.
void local_actor::carry_out() noexcept {
  for (;;) {
    if (carrying_out_.exchange(true)) return;
    add_reference();  // an end drops the one of the living actor
    // Only until there is none for a moment: then runners may have begun to run calls again.
    for (std::uint32_t orders = orders_.load(); orders != 0;) {
      if (life() == phase::dead) {
        orders_.store(0);
        orders = 0;
      } else if ((orders & order_kill) != 0) {
        end_now();
        orders = 0;
      } else if ((orders & order_fail) != 0) {
        fail_now();
        orders = orders_.load();  // not 0: the instance is to be made
      } else {
        orders = create();
      }
    }
    carrying_out_.store(false);
    const bool more = orders_.load() != 0 && runners_.load() == 0;
    if (!more && (constructed_.load() || life() == phase::dead)) activate_all();
    check_scope();
    release_reference();
    if (!more) return;
  }
}

/// The orders that are left.
std::uint32_t local_actor::create() noexcept {
  core::execution inner{.call = creation_, .actor = this, .given = &given()};
  failure_ptr thrown;
  auto outcome = invocation::outcome::finished;
  if (!creation_->claimed() || restarts_ > 0) {
    const core::execution_scope scope(inner);
    outcome = creation_->execute(instance(), &thrown);
  }
  if (thrown == nullptr && restarts_ == 0 && creation_->has_failed()) thrown = creation_->why();
  if (outcome == invocation::outcome::finished && thrown == nullptr) {
    phase_.store(phase::alive, std::memory_order_release);
    constructed_.store(true);
    if (given().max_restarts == 0) retire_creation();
    return orders_.fetch_and(~order_create) & ~order_create;
  }
  std::string message = "its constructor called this_actor::exit() or fail()";
  if (thrown != nullptr) {
    message = thrown->info
                  ? "its constructor threw " + thrown->info->type + ": " + thrown->info->message
                  : "an argument of its constructor failed";
    if (!thrown->info) {
      try {
        std::rethrow_exception(thrown->thrown);
      } catch (const std::exception& e) {
        message += std::string(": ") + e.what();
      } catch (...) {
        message += " with an exception that is no std::exception";
      }
    }
  }
  const bool restart = restarts_ > 0 && may_restart();
  order_end(restart ? exit_reason::failed : exit_reason::constructor_threw, std::move(message),
            restart);
  // Last: without an order, runners would run calls on nothing.
  return orders_.fetch_and(~order_create) & ~order_create;
}

void local_actor::fail_now() noexcept {
  std::string message;
  {
    const std::lock_guard guard(lock_);
    message = extras().ordered_message;
  }
  if (!may_restart()) {
    orders_.fetch_or(order_kill);
    orders_.fetch_and(~order_fail);
    return;
  }
  phase_.store(phase::restarting, std::memory_order_release);
  ++restarts_;
  end_suspended(message, true);
  if (constructed_.exchange(false)) {
    core::execution inner{.actor = this, .given = &given()};
    const core::execution_scope scope(inner);
    info_->destroy(instance());
  }
  std::vector<std::weak_ptr<void>> timers;  // end with the life that set them
  {
    const std::lock_guard guard(lock_);
    extras().ordered = false;
    timers.swap(extras().timers);
  }
  for (const auto& timer : timers) actors::stop_timer(timer);
  orders_.fetch_or(order_create);
  orders_.fetch_and(~order_fail);
}

/// Ends the coroutine calls that have begun: their frames belong to the old instance. Runs alone,
/// so that it may pop what was woken.
void local_actor::end_suspended(const std::string& why, bool restarts) noexcept {
  const auto end = [&](actor_call& call) {
    call.drop_frame();
    end_interrupted(call, why, restarts);
  };
  for (;;) {
    actor_call* call = nullptr;
    {
      const std::lock_guard guard(lock_);
      call = aside_;
    }
    if (call == nullptr) break;
    if (take_up(*call)) end(*call);
  }
  std::vector<actor_call*> begun;  // an order came before they went on
  {
    const std::lock_guard guard(lock_);
    std::erase_if(extras().again, [&](actor_call* call) {
      if (call->begun()) begun.push_back(call);
      return call->begun();
    });
  }
  for (actor_call* call : begun) end(*call);
  const auto drain = [&](call_group& group) {
    while (actor_call* call = pop_resumed(group)) end(*call);
  };
  drain(main_);
  for (const auto& group : extras().groups) drain(*group);
}

failure_ptr local_actor::death_failure() const {
  const std::lock_guard guard(lock_);
  const std::string why = extras_ && extras_->end ? extras_->end->message
                          : ending_.load()        ? extras_->ordered_message
                                                  : "it is being ended";
  return failure_with<actor_died_error>("actor " + full_name() + " has ended: " + why);
}

/// Ends the calls that have not begun. Runs alone, as `end_suspended`; a runner ends what comes
/// later.
void local_actor::fail_queued(const failure_ptr& why) noexcept {
  const auto end = [&](actor_call& call) { end_with(call, why); };
  std::deque<actor_call*> again;
  {
    const std::lock_guard guard(lock_);
    again.swap(extras().again);
    has_again_.store(false);
  }
  for (actor_call* call : again) end(*call);
  const auto drain = [&](call_group& group) {
    while (actor_call* call = pop_any(group)) end(*call);
    if (actors::batch_queue* const batches = group.batches.load()) batches->stop_alarm();
  };
  drain(main_);
  for (const auto& group : extras().groups) drain(*group);
}

void local_actor::end_now() noexcept {
  exit_info end{.id = {id_}, .name = name(), .reason = {}, .message = {}};
  {
    const std::lock_guard guard(lock_);
    end.reason = extras().ordered_reason;
    end.message = extras().ordered_message;
    extras().end = end;
  }
  phase_.store(phase::dead);
  const failure_ptr why = death_failure();
  end_suspended(end.message, false);
  if (constructed_.exchange(false)) {
    core::execution inner{.actor = this, .given = &given()};
    const core::execution_scope scope(inner);
    info_->destroy(instance());
  }
  std::vector<actor_call*> held;
  std::vector<std::shared_ptr<actors::exit_watch>> watches;
  std::vector<actor_core*> links;
  std::vector<std::weak_ptr<void>> timers;
  {
    const std::lock_guard guard(lock_);
    for (auto& lane : extras().lanes) {
      for (actor_call* call : lane.calls) {
        call->held_ = false;
        // One whose arguments are not there yet is queued, and ended, when they are.
        call->pin();
        held.push_back(call);
      }
    }
    for (actor_call* call : held) {
      if (call->ready_) enqueue(*call);
    }
    extras().lanes.clear();
    lanes_in_use_.store(false, std::memory_order_relaxed);
    watches.swap(extras().watches);
    links.swap(extras().links);
    timers.swap(extras().timers);
  }
  for (actor_call* call : held) {
    call->abandon(why);
    call->disconnect();
    call->unpin();
  }
  fail_queued(why);
  if (!creation_retired_.load()) {
    creation_->abandon(why);
    creation_->disconnect();
    // One that still waits for its arguments is retired when they come; see `open_gate`.
    if (gate_.load() == 0) retire_creation();
  }
  if (extras_->resources) extras_->resources->give_back();
  engine_.remove(*this);
  if (given().lifetime == lifetime::detached) release_handle();  // the one that its name held
  orders_.store(0);
  actors::tell_watches(std::move(watches), end);
  for (const auto& timer : timers) actors::stop_timer(timer);
  for (actor_core* other : links) {
    if (is_abnormal(end.reason)) {
      other->order_end(exit_reason::linked,
                       "it was linked to actor " + full_name() + ", which ended: " + end.message,
                       false);
    }
    other->link_with(*this, false);
    other->release_reference();
  }
  release_reference();
}

// -- start ----------------------------------------------------------------------------------------

void local_actor::prepare_creation() noexcept {
  creation_->set_keep_arguments(given().max_restarts != 0);
  creation_->connect_arguments();
}

void local_actor::discard() noexcept {
  phase_.store(phase::dead);
  if (extras_) extras_->resources.reset();
  if (given().lifetime == lifetime::detached) handles_.fetch_sub(1);  // no name holds it
  gate_.store(1);
  creation_->abandon(failure_with<actor_died_error>("the actor was never started"));
  if (creation_->release_arguments()) open_gate();
  release_reference();
}

void local_actor::start() {
  if (creation_->release_arguments()) open_gate();
  if (extras_ && extras_->resources) extras_->resources->ask();
}

/// One more condition of the creation is met.
void local_actor::open_gate() noexcept {
  if (gate_.fetch_sub(1) != 1) return;
  if (life() == phase::dead) {
    retire_creation();
  } else {
    give_order(order_create);
  }
}

void local_actor::retire_creation() noexcept {
  if (creation_retired_.exchange(true)) return;
  creation_->retire();
  release_reference();  // the one that kept the actor for its creation
}

}  // namespace troupe::detail
