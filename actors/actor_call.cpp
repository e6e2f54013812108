#include <random>
#include <stdexcept>
#include <string>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>

#include "actors/actor_engine.hpp"
#include "actors/local_actor.hpp"
#include "core/pinned.hpp"
#include "core/retry_state.hpp"

namespace troupe::detail {

namespace {

/// Of a call that is executed here.
local_actor& host_of(const actor_call& call) noexcept {
  return static_cast<local_actor&>(*call.target());
}

}  // namespace

actor_call::~actor_call() = default;

void actor_call::dispatch() noexcept { target_->dispatch(*this); }

void actor_call::go_on() noexcept {
  actor_core* const target = hold_target();
  if (target == nullptr) return;
  target->go_on(*this);
  target->release_reference();
}

actor_core* actor_call::hold_target() noexcept {
  lock();
  actor_core* const target = ended_ ? nullptr : target_;
  if (target != nullptr) target->add_reference();
  unlock();
  return target;
}

void actor_call::assist() noexcept {}

bool actor_call::cancel(bool force, bool recursive) {
  if (creates_) return false;  // `ready()` of a handle; `kill` is for actors
  if (force && !ready()) {
    throw std::invalid_argument("cancel: force is not for calls of actors ('" +
                                std::string(name()) + "'); use kill on the actor");
  }
  return invocation::cancel(force, recursive);
}

void actor_call::start_deadline(std::chrono::nanoseconds timeout) {
  deadline_timer_ = target_->timers().call_after(
      timeout, [self = core::pinned<actor_call>(*this)] { self->expire(); });
}

bool actor_call::retry(const failure_ptr& why) noexcept {
  if (interrupted_.exchange(false)) {
    forget_stop();
    start_over();
    host_of(*this).stop_showing(*this);
    host_of(*this).run_again(*this);
    return true;
  }
  if (stored() == nullptr || creates_) return false;
  const options& o = stored()->get();
  if (!o.retry_exceptions || stop_requested() || !keeps_arguments()) return false;
  if (is_exception<task_cancelled_error>(why->thrown)) return false;
  if (!o.retry_exceptions.matches(why->thrown)) return false;
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto wait =
      core::retry_state::wait_before({.max_retries = o.max_task_retries,
                                      .delay = o.retry_delay,
                                      .max_delay = o.retry_max_delay,
                                      .jitter = o.retry_jitter},
                                     attempt(), std::generate_canonical<double, 32>(random));
  if (!wait) return false;
  start_over();
  if (wait->count() == 0) {
    host_of(*this).stop_showing(*this);
    host_of(*this).run_again(*this);
    return true;
  }
  set_state(run_state::suspended);
  host_of(*this).put_aside(*this);
  retry_timer_.store(target_->timers().call_after(*wait, [self = core::pinned<actor_call>(*this)] {
    self->retry_timer_.store(0);
    self->go_on();
  }));
  return true;
}

void actor_call::stopped(bool) noexcept {
  actor_core* const target = hold_target();
  if (target == nullptr) return;
  const std::uint64_t timer = retry_timer_.exchange(0);
  if (timer != 0 && target->timers().cancel(timer)) target->go_on(*this);
  target->call_stopped(*this);
  target->release_reference();
}

void actor_call::ended() noexcept {
  if (creates_) return;
  if (deadline_timer_ != 0) target_->timers().cancel(deadline_timer_);
  forget_target();
  target_->call_ended();
}

void actor_call::put_aside() noexcept { host_of(*this).put_aside(*this); }

void actor_call::take_up() noexcept { host_of(*this).take_back(*this); }

}  // namespace troupe::detail
