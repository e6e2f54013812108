/// The part of the runtime that runs tasks: queues by resource shape, leases, retries, the abort.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <troupe/detail/invocation.hpp>

#include "core/parker.hpp"
#include "core/runtime.hpp"
#include "core/spin_lock.hpp"

namespace troupe::detail {
class task_access;
}

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
class task_queue : public core::claimant {
 public:
  /// Run by leases of `from`.
  task_queue(task_engine& engine, const core::resource_set& demand, core::capacity& from);
  virtual ~task_queue() = default;
  task_queue(const task_queue&) = delete;
  task_queue& operator=(const task_queue&) = delete;

  /// Queues a task; false when the bound of waiting tasks is reached.
  bool push(detail::task& task, std::size_t bound) noexcept;
  /// The oldest task, with the right to run it; null when none waits.
  detail::task* pop() noexcept;
  /// Takes a task out of the queue, with the right to run it. False when it is not in it.
  bool take(detail::task& task) noexcept;
  bool empty() const noexcept { return size_.load() == 0; }
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  /// Asks for a lease unless one is on its way.
  virtual void want_lease() noexcept;
  /// The lease that was on its way has begun to work.
  void lease_arrived() noexcept;
  /// A lease goes: takes back a request that nothing waits for any more.
  void lease_leaves() noexcept;
  void granted() noexcept override;
  /// All that waits, or comes yet, fails with this.
  void close(const detail::failure_ptr& why) noexcept;

  task_engine& engine() const noexcept { return engine_; }
  core::capacity& from() const noexcept { return from_; }
  const core::resource_set& demand() const noexcept { return demand_; }
  core::shape_id shape() const noexcept { return shape_; }
  /// The part of the demand that a blocked task gives back: its CPUs.
  core::shape_id cpu_shape() const noexcept { return cpu_shape_; }
  bool has_cpus() const noexcept { return has_cpus_; }
  /// Whether leases of nodes run its tasks.
  virtual bool is_remote() const noexcept { return false; }

 protected:
  /// True from when a lease was asked for until it has come; see `want_lease`.
  std::atomic<bool> asking_{false};

 private:
  task_engine& engine_;
  core::capacity& from_;
  const core::resource_set demand_;
  core::shape_id shape_;
  core::shape_id cpu_shape_;
  bool has_cpus_;
  alignas(64) core::spin_lock lock_;
  task_list waiting_;           // guarded by lock_, as the next one
  detail::failure_ptr closed_;  // why its tasks fail
  std::atomic<std::size_t> size_{0};
};

/// Tasks of this process that leases of nodes run, in other processes. Thread-safe.
class remote_queue final : public task_queue {
 public:
  remote_queue(task_engine& engine, const core::resource_set& demand,
               std::shared_ptr<const detail::stored_options> placed, bool isolated,
               std::string environment, std::uint64_t near);

  void want_lease() noexcept override;
  bool is_remote() const noexcept override { return true; }
  /// By the cluster, which has found the queue empty. True when it is not any more: then nobody
  /// else tells of what waits.
  bool settle() noexcept;
  /// Whether each of its tasks has a process of its own.
  bool isolated() const noexcept { return isolated_; }
  /// The id of the environment of its tasks; empty: that of this process's job.
  const std::string& environment() const noexcept { return environment_; }
  /// The node where the arguments of its tasks lie, which is asked first; 0: that of the process.
  std::uint64_t near() const noexcept { return near_; }
  /// Where its tasks shall run, and the name of the first of them; null: anywhere.
  const detail::stored_options* placed() const noexcept { return placed_.get(); }

 private:
  const std::shared_ptr<const detail::stored_options> placed_;
  const bool isolated_;
  const std::string environment_;
  const std::uint64_t near_;
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
  /// `remotable`: other processes could run them.
  task_queue& queue_for(const std::shared_ptr<const detail::stored_options>& options,
                        std::string_view name, bool remotable);

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
  /// Ends all tasks in a placement group of this runtime, and those that come yet.
  void end_group(placement_group_id group, const detail::failure_ptr& why);
  /// Names of tasks that run now.
  std::vector<std::string> running();
  /// Where a task of that queue is put whose arguments are all there: if it may run anywhere and
  /// they are large, the queue of those that run at the node which has most of them.
  task_queue& near_arguments(detail::task& of, task_queue& queue);

 private:
  core::runtime& runtime_;
  std::atomic<task_queue*> default_queue_{nullptr};  ///< of remotable tasks without options
  task_queue& group_queue(const options& wanted, const core::resource_set& demand,
                          std::string_view name);
  task_queue& local_queue(const detail::stored_options* options, std::string_view name);
  friend class detail::task_access;
  task_queue& remote_queue_for(const std::shared_ptr<const detail::stored_options>& options,
                               bool isolated, std::uint64_t near = 0);

  std::mutex queues_mutex_;
  std::vector<std::unique_ptr<task_queue>> queues_;  // guarded by queues_mutex_, by shape id below
  std::unordered_map<core::shape_id, task_queue*> by_shape_;
  std::map<std::string, task_queue*> remote_;  ///< by demand and placement
  /// Of placement groups, by bundle and shape.
  std::map<placement_group_id, std::map<std::pair<int, core::shape_id>, task_queue*>> grouped_;

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
  /// As `task::submit`, for a call that another process sent: to that queue, without a parent.
  static void submit_to(task& t, tasks::task_queue& queue,
                        std::shared_ptr<const stored_options> options);
  /// To be run again alone in a process.
  static void move_to_isolation(task& t);
  /// Decides after a failure elsewhere, see `invocation::retry`.
  static bool retry(task& t, const failure_ptr& why) noexcept { return t.retry(why); }
  static tasks::task_queue* queue(const task& t) noexcept {
    return static_cast<tasks::task_queue*>(t.shape_);
  }
};

}  // namespace troupe::detail
