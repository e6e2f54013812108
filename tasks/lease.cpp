#include "tasks/lease.hpp"

#include <troupe/detail/stored_options.hpp>

#include <thread>
#include <utility>

#include "core/gpu_scope.hpp"
#include "core/stage/stage.hpp"

namespace troupe::tasks {

namespace {

// A task that runs in place needs room for user code, and for another one below it.
constexpr std::size_t min_stack_left = 256 * 1024;

}  // namespace

// -- resume_claim ---------------------------------------------------------------------------------

void resume_claim::take(core::capacity& from, core::shape_id shape) noexcept {
  sleep_ = &core::this_thread_parker();
  granted_.store(false, std::memory_order_relaxed);
  from.request(*this, shape, core::grant_order::resume);
  while (!granted_.load(std::memory_order_acquire)) sleep_->park();
}

void resume_claim::granted() noexcept {
  core::parker& sleep = *sleep_;
  granted_.store(true, std::memory_order_release);
  sleep.unpark();
}

// -- lease ----------------------------------------------------------------------------------------

lease::lease(task_queue& queue, core::gpu_share gpus) : queue_(queue), gpus_(std::move(gpus)) {
  queue.engine().lease_made(*this);
}

lease::~lease() { queue_.engine().lease_gone(*this); }

lease::resume_result lease::resume(caf::execution_unit*, std::size_t max_throughput) {
  task_engine& engine = queue_.engine();
  for (std::size_t turn = 0; turn < max_throughput; ++turn) {
    detail::task* const task = queue_.pop();
    if (task == nullptr) return leave();
    if (fresh_) {
      fresh_ = false;
      queue_.lease_arrived();
    }
    run(*task);
    core::stage::tick();
    if (holding_.load(std::memory_order_relaxed) == holding::nothing) {
      queue_.lease_leaves();
      return done;
    }
    if (queue_.from().contended_beside(queue_.shape())) return leave();
    if (engine.stage().should_yield()) break;
  }
  return resume_later;
}

/// Gives the resources back; they go to whoever waits, perhaps to this queue again.
lease::resume_result lease::leave() noexcept {
  if (fresh_) {
    queue_.lease_arrived();
  } else if (queue_.empty()) {
    queue_.lease_leaves();
  } else {
    queue_.want_lease();
  }
  forfeit();
  return done;
}

void lease::run(detail::task& task) noexcept {
  if (task.claimed() && !task.begun()) {  // cancelled, or a dependency failed
    task.retire();
    return;
  }
  detail::task* const outer = shown_;
  if (outer != nullptr) end_running(outer);
  begin_running(&task);
  core::execution inner{.call = &task,
                        .resources = this,
                        .given = task.stored() != nullptr ? &task.stored()->get() : nullptr};
  const core::execution_scope scope(inner);
  const core::gpu_scope device([this]() -> std::optional<std::uint32_t> {
    if (gpus_.ids.empty()) return std::nullopt;
    return gpus_.ids.front();
  });
  if (task.execute(nullptr) == detail::invocation::outcome::finished) {
    end_running(&task);
    task.retire();
  }
  if (outer != nullptr) begin_running(outer);
}

lease* lease::current() noexcept {
  core::execution* const now = core::current_execution;
  return now != nullptr ? dynamic_cast<lease*>(now->resources) : nullptr;
}

/// Waits while an abort or a forced cancel looks at the task.
void lease::end_running(detail::task* task) noexcept {
  shown_ = nullptr;
  for (;;) {
    detail::task* seen = task;
    if (running_.compare_exchange_weak(seen, nullptr, std::memory_order_acq_rel)) return;
    std::this_thread::yield();
  }
}

void lease::suspend() noexcept {
  if (!queue_.has_cpus()) return;
  auto held = holding::all;
  if (holding_.compare_exchange_strong(held, holding::lent)) {
    queue_.from().lend(queue_.cpu_shape());
  }
}

void lease::resume() noexcept {
  if (holding_.load() != holding::lent) return;
  resume_claim claim;
  claim.take(queue_.from(), queue_.cpu_shape());
  holding_.store(holding::all);
}

void lease::forfeit() noexcept {
  // One that is lent gets its stop request while it waits, and ends soon anyway.
  auto held = holding::all;
  if (holding_.compare_exchange_strong(held, holding::nothing)) {
    queue_.from().release(queue_.shape(), gpus_);
  }
}

// -- in place -------------------------------------------------------------------------------------

bool may_run_in_place() noexcept {
  if (!core::stage::on_stage_thread() || core::stage::stack_left() < min_stack_left) return false;
  const core::execution* const outer = core::current_execution;
  return outer != nullptr && outer->call != nullptr && !outer->call->stop_requested();
}

void run_in_place(detail::task& task) noexcept {
  task_queue* const queue = detail::task_access::queue(task);
  core::execution* const outer = core::current_execution;
  auto* const held = dynamic_cast<lease*>(outer->resources);
  if (held != nullptr &&
      (&held->queue() == queue || queue->demand().fits_in(held->queue().demand()))) {
    // The waiting task's own resources are what this one needs.
    if (queue->take(task)) held->run(task);
    return;
  }
  if (queue->is_remote()) return;  // a lease will come for it
  core::capacity& from = queue->from();
  if (task.state() != detail::invocation::run_state::queued) return;
  core::gpu_share gpus;
  if (!from.try_acquire(queue->shape(), gpus)) return;
  if (!queue->take(task)) {
    from.release(queue->shape(), gpus);
    return;
  }
  lease own(*queue, std::move(gpus));  // so that an abort finds the task
  own.run(task);
  own.forfeit();
}

}  // namespace troupe::tasks
