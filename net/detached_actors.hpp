/// The owner of detached actors: lives on the head, so that they outlive the programs that made
/// them.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "net/actor_manager.hpp"
#include "net/node.hpp"
#include "net/object_sharing.hpp"
#include "net/process.hpp"
#include "net/task_owner.hpp"

namespace troupe::net {

/// On the endpoint's thread.
class detached_actors final : public node_guest {
 public:
  explicit detached_actors(endpoint& net);
  ~detached_actors() override;

  void received(process_id from, message&& what) override;
  void process_died(const net::process_died& what) override;

 private:
  /// A name that the control was asked for, for an actor that somebody wants adopted.
  struct pending {
    process_id from = 0;
    std::uint64_t request = 0;
    global_id actor;
  };
  void adopt(process_id from, message&& what);
  void named(const name_reply& reply);

  process here_;
  object_sharing objects_;
  lease_desk desk_;
  actor_manager manager_;
  std::uint64_t last_request_ = 0;
  std::unordered_map<std::uint64_t, pending> pending_;
};

}  // namespace troupe::net
