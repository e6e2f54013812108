/// The executor: runs tasks that other processes own, under the leases that the node gave them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "net/lease_capacity.hpp"
#include "net/process.hpp"
#include "net/transfer.hpp"
#include "tasks/task_engine.hpp"

namespace troupe::net {

/// Thread-safe. Message handlers are called by the endpoint's thread.
class task_executor {
 public:
  explicit task_executor(process& here) : here_(here) {}

  void on(process_id from, open_lease what);
  void on(process_id from, const close_lease& what);
  void on(process_id from, const lease_resumed& what);
  void on(process_id from, run_task what, message carrier);
  /// For tasks and calls alike: their ids are of one row.
  void cancel(process_id from, std::uint64_t task, bool recursive);
  void on(process_id from, const stream_consumed& what);

  /// A task, or a call of an actor in that life of it.
  struct kind_of_work {
    bool is_call = false;
    std::uint32_t incarnation = 0;
  };
  /// Sends what becomes of a call that is about to be queued to its owner, with what it gives on
  /// the way.
  void track(global_id key, const detail::object_ptr& work, kind_of_work what,
             std::uint32_t backpressure, std::uint64_t skip);
  /// What it ran for a process that is gone is not wanted any more.
  void process_gone(process_id gone);
  std::size_t running() const;

 private:
  struct lease {
    std::unique_ptr<lease_capacity> capacity;
    std::unique_ptr<tasks::task_queue> queue;
  };
  struct early_task {
    process_id from;
    run_task task;
    message carrier;
  };
  struct answering;
  struct streaming;
  using task_key = global_id;  // its owner, and the owner's number

  void begin(lease& under, process_id from, run_task task, const message& carrier);
  void fail(process_id to, std::uint64_t task, const detail::failure_ptr& why);
  void done(const task_key& key) noexcept;

  process& here_;
  mutable std::mutex mutex_;
  std::unordered_map<lease_id, lease> leases_;  // guarded by mutex_, as below
  std::unordered_map<lease_id, std::vector<early_task>> early_;
  std::unordered_map<task_key, detail::object_ptr> running_;
  std::unordered_map<task_key, std::shared_ptr<streaming>> streams_;
  std::deque<lease> closed_;  // the last ones, which a runner may be about to leave
};

}  // namespace troupe::net
