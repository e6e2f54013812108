/// The owner: has the tasks of this process run by leases of nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "net/lease_request_state.hpp"
#include "net/process.hpp"
#include "net/task_flight_state.hpp"
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

  /// Asks this process's node, for `who`; or first `near`, where what it is for lies. The number of
  /// the request.
  std::uint64_t ask(request_lease what, lease_client& who, process_id near = 0);
  /// The client wants nothing any more: a grant goes back at once.
  void withdraw(std::uint64_t request);
  void on(process_id from, const lease_granted& what);
  void on(process_id from, const lease_refused& what);
  void on(process_id from, const lease_redirected& what);
  /// Requests that lay with a node that is gone are asked again, of this process's node; when it is
  /// that one, they are refused.
  void process_gone(process_id gone, const std::string& cause);
  /// What the head was asked, another life of it is asked again.
  void head_renewed();

 private:
  void refuse(std::uint64_t request, const std::string& why);
  /// Whom to ask first: this process's node, or of a placement group the head.
  process_id first_of(const request_lease& what) const;

  process& here_;
  std::mutex mutex_;
  lease_request_state<lease_client*> requests_;  // guarded by mutex_
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
  void on(process_id from, const lease_revoked& what);
  void process_gone(process_id gone, const std::string& cause);
  /// Cancels all that runs elsewhere and forgets it: this process leaves the cluster.
  void abandon_all() noexcept;

 private:
  class line;
  using state = task_flight_state<detail::task*>;  // tasks are pinned by their own pins
  using departure = state::departure;

  line& line_of(tasks::remote_queue& queue);
  void pump(line& of, std::vector<departure>& leaving);
  void send(const std::vector<departure>& leaving);
  void send(const departure& one);
  void ended(detail::task& task);
  void finish(detail::task& task, const detail::failure_ptr& why);
  void cut_off(const std::string& cause);
  void consumed(std::uint64_t task, std::size_t read, bool abandoned);

  process& here_;
  lease_desk& desk_;
  std::mutex mutex_;
  std::unordered_map<tasks::remote_queue*, std::unique_ptr<line>> lines_;  // guarded by mutex_
  state flights_;                                                          // guarded by mutex_
};

}  // namespace troupe::net
