/// The stage: the threads of a process on which tasks and actors run, as a scheduler for CAF.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "core/stage/job.hpp"

namespace caf {
class actor_system;
}

namespace troupe::core {

class stage_scheduler;

struct stage_options {
  std::size_t slots = 1;               ///< threads that run at once
  std::size_t soft_max_threads = 256;  ///< beyond, blocked threads are replaced slowly
  std::size_t max_threads = 4096;      ///< beyond, blocking is refused
  std::size_t stack_bytes = 8 << 20;
  std::size_t max_throughput = 200;  ///< messages of a CAF actor in one turn
};

struct stage_stats {
  std::size_t threads = 0;
  std::size_t peak_threads = 0;
  std::size_t blocked = 0;
};

/// Elastic scheduler with one slot for each CPU. A thread runs jobs while it holds a slot. One that
/// blocks in a wait of troupe leaves its slot to another thread, and waits its turn for a slot to
/// go on. A monitor, awake only while work waits and no slot gets on, lends a slot to a further
/// thread when all are stuck in foreign code. Idle threads sleep; nothing polls. Thread-safe.
class stage {
 public:
  explicit stage(const stage_options& options);
  /// Stops: see `stop`.
  ~stage();
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  /// Queues a job and takes over one reference to it. From a stage thread it goes to the thread's
  /// own queue, where idle threads can steal it.
  void enqueue(job* what) noexcept;

  /// The calling stage thread is about to block: its slot goes to another thread. False, and it
  /// keeps its slot, when the bound of threads is reached. Only on stage threads.
  static bool leave() noexcept;
  /// Waits until a slot is free for the thread again. Before new work, in the order of arrival.
  static void rejoin() noexcept;
  /// Whether the running job should end its turn, because a thread waits for a slot.
  bool should_yield() const noexcept;
  /// Tells the monitor that this thread gets on. Called between two tasks of one turn.
  static void tick() noexcept;
  /// Whether the calling thread belongs to a stage, and bytes of stack that it has left.
  static bool on_stage_thread() noexcept;
  static std::size_t stack_left() noexcept;

  /// From now on threads without a job do the process's idle work (core/idle_work.hpp): for a
  /// process whose jobs come by the network.
  void read_when_idle() noexcept;

  stage_stats stats() const noexcept;
  std::size_t slots() const noexcept;

  /// Ends all threads after their current jobs. Jobs that are queued, or come later, are dropped.
  void stop() noexcept;

  caf::actor_system& system() noexcept;

 private:
  struct systems;
  stage_options options_;
  std::unique_ptr<systems> systems_;
  std::atomic<stage_scheduler*> scheduler_;  ///< null once stopped
};

}  // namespace troupe::core
