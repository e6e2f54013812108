/// Hosts actors that the cluster placed in this process, and runs the calls that others send them.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "actors/actor_engine.hpp"
#include "net/process.hpp"
#include "net/task_executor.hpp"

namespace troupe::net {

/// Thread-safe. Message handlers are called by the endpoint's thread.
class actor_host {
 public:
  actor_host(process& here, task_executor& executor) : here_(here), executor_(executor) {}

  void on(process_id from, const create_actor& what, const message& carrier);
  void on(process_id from, const call_actor& what, const message& carrier);
  void on(process_id from, const end_actor& what);
  /// The owner, the head, has begun another life, and may have missed what became of its actors.
  void owner_renewed(process_id owner);
  /// Ends what the process owned.
  void process_gone(process_id gone, const std::string& cause);
  /// What the cluster knows a local actor by; nobody when it was not placed here by it.
  global_id find(const detail::local_actor& actor) const;

 private:
  struct hosted {
    std::uint32_t incarnation = 0;
    detail::actor_core_ptr actor;
  };
  void ended(global_id actor, std::uint32_t incarnation, const exit_info& end);
  bool knows(process_id from, const create_actor& what);
  void tell_of_birth(process_id owner, const actor_created& what,
                     const detail::actor_core_ptr& actor);
  void refuse(process_id to, const create_actor& what, const std::string& why);

  process& here_;
  task_executor& executor_;
  mutable std::mutex mutex_;
  std::unordered_map<global_id, hosted> actors_;                  // guarded by mutex_
  std::unordered_map<const detail::actor_core*, global_id> ids_;  // guarded by mutex_
  std::deque<actor_ended> ended_;  // the last lives of the head's actors; guarded by mutex_
};

}  // namespace troupe::net
