/// The scheduler module that troupe gives to CAF: slots, threads, queues, the monitor.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <caf/detail/thread_safe_actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include "core/parker.hpp"
#include "core/stage/stage.hpp"

namespace troupe::core {

/// FIFO of jobs in one block of memory that grows as needed. Thread-compatible.
class job_ring {
 public:
  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }
  void push_back(job* what) {
    if (size() == slots_.size()) grow();
    slots_[tail_++ & (slots_.size() - 1)] = what;
  }
  job* pop_front() noexcept { return slots_[head_++ & (slots_.size() - 1)]; }

 private:
  void grow() {
    std::vector<job*> larger(slots_.empty() ? 64 : slots_.size() * 2);
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = slots_[(head_ + i) & (slots_.size() - 1)];
    slots_ = std::move(larger);
    head_ = 0;
    tail_ = count;
  }
  std::vector<job*> slots_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

/// A locked queue whose size can be read without the lock. `size` is sequentially consistent: with
/// `free_slots_` it decides who wakes whom, see `stage_scheduler`.
class job_queue {
 public:
  void push(job* what) {
    const std::lock_guard guard(mutex_);
    jobs_.push_back(what);
    size_.store(jobs_.size());
  }
  job* pop() {
    if (size_.load(std::memory_order_relaxed) == 0) return nullptr;
    const std::lock_guard guard(mutex_);
    if (jobs_.empty()) return nullptr;
    job* what = jobs_.pop_front();
    size_.store(jobs_.size());
    return what;
  }
  /// Moves the older half of what is here to `target`, and returns one of it.
  job* steal_into(job_queue& target);
  bool empty() const noexcept { return size_.load() == 0; }

 private:
  std::mutex mutex_;
  job_ring jobs_;
  std::atomic<std::size_t> size_{0};
};

/// The right to run, and the queue that goes with it.
struct alignas(64) slot {
  job_queue queue;
  std::atomic<std::uint64_t> ticks{0};
  std::uint32_t turn = 0;
  bool lent = false;  ///< made by the monitor; goes when idle
};

class stage_scheduler;

/// A thread of the stage.
class stage_thread final : public caf::execution_unit {
 public:
  explicit stage_thread(stage_scheduler& scheduler);
  void exec_later(caf::resumable* what) override;

  stage_scheduler& scheduler;
  pooled_parker sleep;
  std::atomic<slot*> own{nullptr};
  pthread_t handle{};
  char* stack_limit = nullptr;
  static thread_local stage_thread* current;
  /// A thread without a slot that does idle work, where it is not a thread of the stage.
  static thread_local stage_thread* idle;
};

/// Who wakes whom: a producer pushes a job, then looks at `free_slots_`; a thread that found no job
/// adds its slot to the free ones, then looks at the queues once more. Both are sequentially
/// consistent, so at least one of them sees the other.
class stage_scheduler final : public caf::scheduler::abstract_coordinator {
 public:
  stage_scheduler(caf::actor_system& system, const stage_options& options);
  ~stage_scheduler() override;

  // -- CAF's side ---------------------------------------------------------------------------------
  void start() override;
  void stop() override;
  void init(caf::actor_system_config& config) override;
  void enqueue(caf::resumable* what) override;
  caf::actor_clock& clock() noexcept override { return clock_; }

  // -- the stage's side ---------------------------------------------------------------------------
  bool leave() noexcept;
  void rejoin() noexcept;
  bool should_yield() const noexcept { return waiting_.load(std::memory_order_relaxed) > 0; }
  stage_stats stats() const noexcept;
  std::size_t slots() const noexcept { return options_.slots; }
  void stop_threads() noexcept;
  void read_when_idle() noexcept { threads_read_.store(true, std::memory_order_relaxed); }

 private:
  friend class stage_thread;
  static constexpr std::size_t max_slots = 256;
  static void* thread_main(void* self);

  void run(stage_thread& self);
  void run_job(stage_thread& self, slot& own, job* what);
  job* find_job(slot& own);
  bool any_job() const noexcept;
  bool park(stage_thread& self);
  void sleep(stage_thread& self, const std::optional<parker::time_point>& deadline) noexcept;
  void wake_one(bool patient_enough);
  void give_away(slot* free, std::unique_lock<std::mutex>& guard);
  stage_thread* spare_or_new(bool patient_enough);
  void reap_finished(std::unique_lock<std::mutex>& guard);
  void arm_monitor() noexcept;
  void monitor();
  std::uint64_t total_ticks() const noexcept;
  slot* lend_slot();

  stage_options options_;
  caf::detail::thread_safe_actor_clock clock_;
  std::thread clock_thread_;

  job_queue injected_;
  std::array<std::atomic<slot*>, max_slots> slots_{};
  std::atomic<std::size_t> slot_count_{0};
  std::atomic<std::size_t> free_slots_{0};
  std::atomic<std::size_t> waiting_{0};
  std::atomic<bool> threads_read_{false};

  mutable std::mutex mutex_;
  std::vector<slot*> free_;             // guarded by mutex_, like all below
  std::vector<slot*> unlent_;           // lent slots that came back
  std::deque<stage_thread*> resumers_;  // threads that were blocked and want a slot
  std::vector<stage_thread*> spares_;   // threads that sleep without a slot
  std::list<std::unique_ptr<stage_thread>> threads_;
  std::vector<std::unique_ptr<stage_thread>> finished_;
  std::size_t blocked_ = 0;
  std::size_t peak_threads_ = 0;
  std::atomic<bool> stopping_{false};  // set under mutex_

  std::thread monitor_thread_;
  std::mutex monitor_mutex_;
  std::condition_variable monitor_wake_;
  std::atomic<bool> monitor_armed_{false};
  bool monitor_stop_ = false;
};

}  // namespace troupe::core
