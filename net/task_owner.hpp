/// The owner: has the tasks of this process run by leases of nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "net/lease_window.hpp"
#include "net/process.hpp"
#include "net/transfer.hpp"
#include "tasks/task_engine.hpp"

namespace troupe::net {

/// Who asked a node for a lease, and what became of it. Called by the endpoint's thread.
class lease_client {
 public:
  virtual void granted(const lease_granted& what, process_id node) = 0;
  virtual void refused(const lease_refused& what) = 0;

 protected:
  ~lease_client() = default;
};

/// Requests of this process to nodes, sent on where a node says so. Thread-safe.
class lease_desk {
 public:
  explicit lease_desk(process& here) : here_(here) {}

  /// Asks this process's node, for `who`. The number of the request.
  std::uint64_t ask(request_lease what, lease_client& who);
  /// The client wants nothing any more: a grant goes back at once.
  void withdraw(std::uint64_t request);
  void on(process_id from, const lease_granted& what);
  void on(process_id from, const lease_refused& what);
  void on(process_id from, const lease_redirected& what);
  /// Requests that lay with a node that is gone are asked again, of this process's node; when it is
  /// that one, they are refused.
  void process_gone(process_id gone, const std::string& cause);

 private:
  struct open_request {
    request_lease what;
    lease_client* who = nullptr;
    process_id at = 0;
  };
  void refuse(std::uint64_t request, const std::string& why);

  process& here_;
  std::mutex mutex_;
  std::uint64_t last_ = 0;  // guarded by mutex_, as below
  std::unordered_map<std::uint64_t, open_request> open_;
};

/// Thread-safe. Message handlers are called by the endpoint's thread.
class task_owner {
 public:
  task_owner(process& here, lease_desk& desk);
  ~task_owner();

  void tasks_wait(tasks::remote_queue& queue) noexcept;
  void task_stopped(detail::task& task) noexcept;

  void on(process_id from, const task_done& what, const message& carrier);
  void on(process_id from, const task_returned& what);
  void on(process_id from, const stream_item& what, const message& carrier);
  void process_gone(process_id gone, const std::string& cause);
  /// Cancels all that runs elsewhere and forgets it: this process leaves the cluster.
  void abandon_all() noexcept;

 private:
  class line;
  struct lease;
  struct flight {
    detail::task* task = nullptr;  ///< pinned by its own pin
    lease* by = nullptr;
    std::uint64_t items = 0;  ///< of a generator: how many came
  };
  struct departure {
    detail::task* task;
    process_id worker;
    lease_id under;
  };

  line& line_of(tasks::remote_queue& queue);
  void pump(line& of, std::vector<departure>& leaving);
  void send(const std::vector<departure>& leaving);
  void send(const departure& one);
  void ended(detail::task& task);
  void finish(detail::task& task, const detail::failure_ptr& why);
  void consumed(std::uint64_t task, std::size_t read, bool abandoned);

  process& here_;
  lease_desk& desk_;
  std::mutex mutex_;
  std::unordered_map<tasks::remote_queue*, std::unique_ptr<line>> lines_;  // guarded by mutex_
  std::unordered_map<std::uint64_t, flight> flights_;  // by the task's id; guarded by mutex_
};

}  // namespace troupe::net
