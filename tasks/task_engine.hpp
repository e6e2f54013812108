/// The part of the runtime that runs tasks: queues by resource shape, leases, retries, the abort.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <troupe/detail/invocation.hpp>

#include "core/parker.hpp"
#include "core/runtime.hpp"
#include "core/spin_lock.hpp"

namespace troupe::tasks {

class task_engine;
class lease;

/// Tasks in a list that knows its places, so that one can be taken out of the middle.
/// Thread-compatible.
class task_list {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  void push_back(detail::task& task) noexcept;
  detail::task* pop_front() noexcept;
  void remove(detail::task& task) noexcept;

 private:
  detail::task* first_ = nullptr;
  detail::task* last_ = nullptr;
  std::size_t size_ = 0;
};

/// All tasks of one demand: those that wait to run, and the leases that run them.
///
/// Leases are asked for one at a time. `asking_` is true from the request until the lease that it
/// gave has taken its first task; that lease asks for the next one if there is more to do. So a
/// submitter pays for a request or a wake-up only when no lease is on its way. A submitter pushes,
/// then looks at `asking_`; a lease clears `asking_`, then looks at the queue. Thread-safe.
class task_queue final : public core::claimant {
 public:
  task_queue(task_engine& engine, core::resource_set demand);

  /// Queues a task; false when the bound of waiting tasks is reached.
  bool push(detail::task& task, std::size_t bound) noexcept;
  /// The oldest task, with the right to run it; null when none waits.
  detail::task* pop() noexcept;
  /// Takes a task out of the queue, with the right to run it. False when it is not in it.
  bool take(detail::task& task) noexcept;
  bool empty() const noexcept { return size_.load() == 0; }
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  /// Asks for a lease unless one is on its way.
  void want_lease() noexcept;
  /// The lease that was on its way has begun to work.
  void lease_arrived() noexcept;
  /// A lease goes: takes back a request that nothing waits for any more.
  void lease_leaves() noexcept;
  void granted() noexcept override;

  task_engine& engine() const noexcept { return engine_; }
  core::shape_id shape() const noexcept { return shape_; }
  /// The part of the demand that a blocked task gives back: its CPUs.
  core::shape_id cpu_shape() const noexcept { return cpu_shape_; }
  bool has_cpus() const noexcept { return has_cpus_; }

 private:
  task_engine& engine_;
  core::shape_id shape_;
  core::shape_id cpu_shape_;
  bool has_cpus_;
  alignas(64) core::spin_lock lock_;
  task_list waiting_;  // guarded by lock_
  std::atomic<std::size_t> size_{0};
  std::atomic<bool> asking_{false};
};

/// Thread-safe.
class task_engine final : public core::component {
 public:
  explicit task_engine(core::runtime& runtime);
  ~task_engine() override;

  core::runtime& runtime() const noexcept { return runtime_; }
  core::stage& stage() const noexcept { return *runtime_.the_stage; }
  core::ledger& ledger() const noexcept { return *runtime_.the_ledger; }

  /// The queue of tasks with these options. Throws `placement_error` when they can never run.
  task_queue& queue_for(const detail::stored_options* options, std::string_view name);

  /// Before a look at `closing`: an abort waits for what was counted.
  void task_submitted() noexcept { submitted_.fetch_add(1); }
  void task_ended() noexcept;
  std::size_t pending() const noexcept;

  /// Keeps a task where an abort finds it, while nothing else holds it.
  void put_aside(detail::task& task) noexcept;
  void take_up(detail::task& task) noexcept;

  void lease_made(lease& made);
  void lease_gone(lease& gone) noexcept;
  /// Gives back the resources of the lease that runs this task, if one does.
  void forfeit_lease_of(const detail::task& task) noexcept;

  /// Whoever waits until no task is pending.
  void set_drainer(core::parker* drainer) noexcept { drainer_.store(drainer); }
  /// Cancels every task. What runs gets a stop request.
  void abort() noexcept;
  /// Names of tasks that run now.
  std::vector<std::string> running();

 private:
  core::runtime& runtime_;
  std::atomic<task_queue*> default_queue_{nullptr};

  std::mutex queues_mutex_;
  std::vector<std::unique_ptr<task_queue>> queues_;  // guarded by queues_mutex_, by shape id below
  std::unordered_map<core::shape_id, task_queue*> by_shape_;

  std::mutex aside_mutex_;
  task_list aside_;  // guarded by aside_mutex_

  std::mutex leases_mutex_;
  lease* first_lease_ = nullptr;  // guarded by leases_mutex_

  alignas(64) std::atomic<std::uint64_t> submitted_{0};
  alignas(64) std::atomic<std::uint64_t> ended_{0};
  std::atomic<core::parker*> drainer_{nullptr};
};

/// The engine of the running runtime, or null.
task_engine* find_engine() noexcept;

}  // namespace troupe::tasks

namespace troupe::detail {

/// Opens a task's private links to the engine.
class task_access {
 public:
  static task*& next(task& t) noexcept { return t.next_; }
  static task*& previous(task& t) noexcept { return t.previous_; }
  static tasks::task_queue* queue(const task& t) noexcept {
    return static_cast<tasks::task_queue*>(t.shape_);
  }
};

}  // namespace troupe::detail
