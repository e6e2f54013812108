/// What the parts of a process in a cluster share.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "core/runtime.hpp"
#include "net/endpoint.hpp"
#include "net/environments.hpp"
#include "net/pack.hpp"

namespace troupe::net {

/// Set once, before the parts begin to work. Its members are thread-safe.
struct process {
  /// `of`: null in a node's daemon, which runs no code of users.
  explicit process(core::runtime* of) : runtime_(of) {}
  core::runtime& runtime() const noexcept { return *runtime_; }

  endpoint* net = nullptr;
  job_id job = 0;
  peer node;
  peer head;
  peer driver;
  std::string node_name;
  bool is_worker = false;
  /// A detached actor needs this worker, or has: the leases that it asks for outlive its job.
  std::atomic<bool> outlives_job{false};
  environments* surroundings = nullptr;  ///< null in a node's daemon
  env_spec own_surroundings;             ///< of a worker: what it starts gets the same

  /// What a request for a worker says of its environment. `id`: as `environments` gave it; empty
  /// for that of this process.
  env_spec surroundings_for(const std::string& id) const {
    if (id.empty()) return own_surroundings;
    env_spec result = surroundings->find(id);
    result.source = net->self();
    return result;
  }

  process_id self() const noexcept { return net->id(); }
  template <class T>
  bool send(process_id to, T what) const {
    return send_message(to, pack(std::move(what)));
  }
  bool send_message(process_id to, message what) const {
    return deliver ? deliver(to, std::move(what)) : net->send(to, std::move(what));
  }
  /// Without whose node what this process has asked for is of no use any more. The head is none of
  /// its node's processes.
  process_id home() const noexcept { return head.id == self() ? head.id : node.id; }
  /// In place of the endpoint: what the head sends waits until it is stored.
  std::function<bool(process_id, message&&)> deliver;

 private:
  core::runtime* runtime_;
};

}  // namespace troupe::net
