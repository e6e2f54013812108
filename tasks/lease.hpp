/// A lease: granted resources that run tasks of one shape, one after the other, on the stage.
#pragma once

#include <atomic>
#include <cstdint>

#include <troupe/detail/invocation.hpp>

#include "core/execution.hpp"
#include "core/ledger.hpp"
#include "core/stage/job.hpp"
#include "tasks/task_engine.hpp"

namespace troupe::tasks {

/// Waits for CPUs to be granted again.
class resume_claim final : public core::claimant {
 public:
  /// Blocks until `shape` is granted.
  void take(core::capacity& from, core::shape_id shape) noexcept;
  void granted() noexcept override;

 private:
  core::parker* sleep_ = nullptr;
  std::atomic<bool> granted_{false};
};

/// A job of the stage, and the holder of its resources. Lives from its grant until it finds nothing
/// to do or gives its resources to those who wait for them. Confined to the thread that runs it,
/// but for what an abort or a forced cancel does through the engine's list.
class lease final : public core::job, public core::resource_holder {
 public:
  lease(task_queue& queue, core::gpu_share gpus);
  ~lease() override;

  // core::job
  resume_result resume(caf::execution_unit*, std::size_t max_throughput) override;
  void intrusive_ptr_add_ref_impl() override {}
  void intrusive_ptr_release_impl() override { delete this; }

  // core::resource_holder
  void suspend() noexcept override;
  void resume() noexcept override;

  task_queue& queue() const noexcept { return queue_; }
  const core::gpu_share& gpus() const noexcept { return gpus_; }
  /// Runs a task with the resources of this lease.
  void run(detail::task& task) noexcept;
  /// What an abort sees as running. A task that may be gone soon must not be seen any more.
  void begin_running(detail::task* task) noexcept {
    shown_ = task;
    running_.store(task, std::memory_order_release);
  }
  void end_running(detail::task* task) noexcept;
  /// The lease that runs the current code of this thread, or null.
  static lease* current() noexcept;
  /// Gives all resources back while a task goes on.
  void forfeit() noexcept;
  /// Calls `f` with the task that runs now, which does not end meanwhile.
  template <class F>
  void with_running(F&& f) noexcept {
    detail::task* const task = running_.exchange(nullptr, std::memory_order_acq_rel);
    if (task == nullptr) return;
    f(*task);
    running_.store(task, std::memory_order_release);
  }

 private:
  friend class task_engine;
  enum class holding : std::uint8_t { all, lent, nothing };

  resume_result leave() noexcept;

  task_queue& queue_;
  const core::gpu_share gpus_;
  bool fresh_ = true;  ///< has not taken a task yet
  std::atomic<holding> holding_{holding::all};
  std::atomic<detail::task*> running_{nullptr};  ///< null while somebody looks at it
  detail::task* shown_ = nullptr;                ///< what `running_` is when nobody does
  lease* next_ = nullptr;                        // in the engine's list, as previous_
  lease* previous_ = nullptr;
};

/// Whether this thread may take on another task while it waits: it is the stage's and has the
/// stack.
bool may_run_in_place() noexcept;

/// Runs a task that has not begun on this thread, which waits for it. Does nothing when that is not
/// safe or its resources cannot be had now.
void run_in_place(detail::task& task) noexcept;

}  // namespace troupe::tasks
