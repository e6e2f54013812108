/// The owner of detached actors: lives on the head, so that they outlive the programs that made
/// them, and in its store, so that they outlive the head's process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/actor_manager.hpp"
#include "net/control_records.hpp"
#include "net/object_sharing.hpp"
#include "net/process.hpp"
#include "net/task_owner.hpp"

namespace troupe::net {

/// What detached actors ask of the head. All calls come from its endpoint's thread.
class detached_host {
 public:
  /// Sends when all that was kept before is stored.
  virtual bool deliver(process_id to, message&& what) = 0;
  virtual void keep(store_change what) = 0;
  /// The answer comes to `detached_actors::named`.
  virtual void ask_name(register_name what) = 0;
  /// An actor needs the job's program, or needs it no more.
  virtual void hold_job(job_id job, bool held) = 0;

 protected:
  ~detached_host() = default;
};

/// On the endpoint's thread.
class detached_actors {
 public:
  /// `node`: lives in the head's process, and is asked for places first.
  detached_actors(endpoint& net, const peer& node, detached_host& host);
  ~detached_actors();

  /// Takes up those of an earlier life; before anything else. `life`: that begins.
  void recover(std::uint32_t life, std::vector<stored_actor>&& known,
               const std::map<std::uint64_t, stored_life>& lives);
  void process_back(process_id which) { manager_.confirm(which); }
  void recovery_over(const std::set<process_id>& living) { manager_.lose_unconfirmed(living); }
  std::vector<lease_id> leases_of(process_id node) const { return manager_.leases_of(node); }

  /// A message that is not the control's.
  void received(process_id from, message&& what);
  void named(const name_reply& reply);
  /// A process of the cluster is gone; told once.
  void process_died(const net::process_died& what);

 private:
  struct actor {
    process_id asker = 0;
    std::uint64_t request = 0;  ///< of the asker
    job_id job = 0;
    bool named = false;
    std::string class_name;
  };
  void adopt(process_id from, message&& what);
  global_id begin_to_own(const stored_actor& what, const stored_life* life,
                         const std::vector<blob>& attachments);
  void changed(const stored_life& now);
  void bury(std::uint64_t local);

  process here_;
  detached_host& host_;
  object_sharing objects_;
  lease_desk desk_;
  actor_manager manager_;
  std::unordered_map<std::uint64_t, actor> actors_;                      ///< that live
  std::map<std::pair<process_id, std::uint64_t>, std::uint64_t> asked_;  ///< by asker and request
};

}  // namespace troupe::net
