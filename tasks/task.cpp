#include <random>
#include <string>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>
#include <troupe/task.hpp>

#include "core/pinned.hpp"
#include "core/placement_groups.hpp"
#include "core/retry_state.hpp"
#include "tasks/lease.hpp"
#include "tasks/task_engine.hpp"

namespace troupe::detail {

namespace {

double random01() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::generate_canonical<double, 32>(generator);
}

}  // namespace

void task::submit(std::shared_ptr<const stored_options> options) {
  try {
    core::runtime& runtime = core::require_runtime("remote");
    auto& engine = static_cast<tasks::task_engine&>(*runtime.tasks);
    set_options(core::captured(std::move(options)));
    tasks::task_queue& queue = engine.queue_for(shared_options(), name(), remote_key() != 0);
    shape_ = &queue;
    if (stored() != nullptr) {
      const troupe::options& o = stored()->get();
      if (o.retry_exceptions) {
        if (!info().repeatable) {
          throw std::invalid_argument("task '" + std::string(name()) +
                                      "': retry_exceptions needs arguments that can be copied");
        }
        set_keep_arguments(true);
      }
    }
    engine.task_submitted();
    if (runtime.closing.load()) {  // now that the task is counted, either side sees the other
      engine.task_ended();
      core::require_runtime("remote");
    }
    adopt_parent();
    if (stored() != nullptr && stored()->get().timeout.count() > 0) {
      deadline_timer_ = runtime.the_timers->call_after(
          stored()->get().timeout, [self = core::pinned<task>(*this)] { self->expire(); });
    }
    if (info().refers) {
      connect_arguments();
      if (!arguments_ready()) {
        // It waits where an abort finds it.
        set_state(run_state::suspended);
        engine.put_aside(*this);
      }
      if (!release_arguments()) return;
      if (state() == run_state::suspended) {
        dispatch();
        return;
      }
    }
    if (claimed()) {
      retire();
      return;
    }
    tasks::task_queue& last = engine.near_arguments(*this, queue);
    shape_ = &last;
    if (!last.push(*this, runtime.settings.max_pending)) {
      auto limit = pending_calls_limit_error(
          "task '" + std::string(name()) +
          "' is one too many: " + std::to_string(runtime.settings.max_pending) +
          " tasks wait already (option max-pending); wait for some before submitting more");
      pin();
      abandon(make_failure(std::make_exception_ptr(limit)));
      retire();
      throw limit;
    }
  } catch (...) {
    unpin();
    throw;
  }
}

void task::dispatch() noexcept {
  auto& queue = *static_cast<tasks::task_queue*>(shape_);
  if (state() == run_state::suspended) queue.engine().take_up(*this);
  if (claimed() && !begun()) {
    retire();
  } else {
    tasks::task_queue& last = queue.engine().near_arguments(*this, queue);
    shape_ = &last;
    // The bound is for submitters: what was accepted is never refused later.
    last.push(*this, static_cast<std::size_t>(-1));
  }
}

void task::assist() noexcept {
  if (!tasks::may_run_in_place()) return;
  if (state() == run_state::suspended) assist_producers();
  if (state() == run_state::queued) tasks::run_in_place(*this);
}

void task_access::submit_to(task& t, tasks::task_queue& queue,
                            std::shared_ptr<const stored_options> options) {
  t.set_options(std::move(options));
  t.shape_ = &queue;
  queue.engine().task_submitted();
  queue.push(t, static_cast<std::size_t>(-1));
}

void task_access::move_to_isolation(task& t) {
  t.shape_ = &queue(t)->engine().remote_queue_for(t.shared_options(), true);
}

bool task::retry(const failure_ptr& why) noexcept {
  if (stored() == nullptr) return false;
  const options& o = stored()->get();
  if (!o.retry_exceptions || stop_requested()) return false;
  if (is_exception<task_cancelled_error>(why->thrown)) return false;
  if (!o.retry_exceptions.matches(why->thrown)) return false;
  const auto wait = core::retry_state::wait_before({.max_retries = o.max_retries.value_or(3),
                                                    .delay = o.retry_delay,
                                                    .max_delay = o.retry_max_delay,
                                                    .jitter = o.retry_jitter},
                                                   attempt(), random01());
  if (!wait) return false;
  auto& engine = static_cast<tasks::task_queue*>(shape_)->engine();
  start_over();
  set_state(run_state::suspended);
  put_aside();
  if (wait->count() == 0) {
    dispatch();
    return true;
  }
  const core::pinned<task> self(*this);  // the timer may fire before its id is noted
  retry_timer_.store(engine.runtime().the_timers->call_after(*wait, [self] {
    self->retry_timer_.store(0);
    self->dispatch();
  }));
  if (stop_requested()) stopped(false);  // it may have looked for the timer too early
  return true;
}

void task::ended() noexcept {
  auto& engine = static_cast<tasks::task_queue*>(shape_)->engine();
  if (deadline_timer_ != 0) engine.runtime().the_timers->cancel(deadline_timer_);
  engine.task_ended();
}

void task::stopped(bool force) noexcept {
  auto& engine = static_cast<tasks::task_queue*>(shape_)->engine();
  const std::uint64_t timer = retry_timer_.exchange(0);
  if (timer != 0 && engine.runtime().the_timers->cancel(timer)) dispatch();
  if (force) engine.forfeit_lease_of(*this);
  if (engine.runtime().cluster != nullptr) engine.runtime().cluster->task_stopped(*this);
}

void task::put_aside() noexcept {
  if (tasks::lease* const lease = tasks::lease::current()) lease->end_running(this);
  static_cast<tasks::task_queue*>(shape_)->engine().put_aside(*this);
}

void task::take_up() noexcept {
  static_cast<tasks::task_queue*>(shape_)->engine().take_up(*this);
  if (tasks::lease* const lease = tasks::lease::current()) lease->begin_running(this);
}

}  // namespace troupe::detail
