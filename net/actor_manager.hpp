/// The owner of actors: places them, begins them again, and tells everyone where they are.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/actor.hpp>

#include "net/actor_life_state.hpp"
#include "net/control_records.hpp"
#include "net/object_sharing.hpp"
#include "net/process.hpp"
#include "net/task_owner.hpp"

namespace troupe::net {

/// What the owner keeps of an actor.
struct actor_plan {
  std::string class_name;
  std::uint64_t constructor = 0;
  actor_options options;
  request_lease lease;
  /// The creation's arguments for that receiver, with their attachments in the message. May throw.
  std::function<payload(process_id receiver, message& carrier)> arguments;
};

/// Thread-safe. Message handlers are called by the endpoint's thread.
class actor_manager {
 public:
  actor_manager(process& here, lease_desk& desk, object_sharing& sharing);
  ~actor_manager();

  /// Takes an actor over and gives it an id, held once by this process.
  global_id own(actor_plan plan);
  /// Begins its first life.
  void begin(global_id actor);
  /// Takes up an actor of an earlier life of this process. One without a place is begun; of one
  /// with a place its process must be found again: `confirm`, or `lose_unconfirmed`.
  void take_up(std::uint64_t local, actor_plan plan, const stored_life& life);
  /// That process lives: its actors' creation is sent again, in case it was lost.
  void confirm(process_id host);
  /// What was taken up and whose process is not among these has lost it.
  void lose_unconfirmed(const std::set<process_id>& living);
  /// Told of each change of an actor's life, before anything of it is sent. Set once, at the start.
  std::function<void(const stored_life&)> on_change;
  /// The head has begun another life: it may have missed which names are free.
  void head_renewed();
  /// The leases of a node that actors have.
  std::vector<lease_id> leases_of(process_id node) const;
  void kill(std::uint64_t actor, exit_reason reason, const std::string& text, bool may_restart);

  void on(process_id from, const locate_actor& what);
  void on(process_id from, const actor_created& what);
  void on(process_id from, const actor_ended& what);
  void on(process_id from, const kill_actor& what);
  void on(process_id from, const lease_revoked& what);
  void process_gone(process_id gone, const std::string& cause);
  /// Ends all: this process leaves the cluster.
  void end_all();
  std::size_t living() const;

 private:
  struct owned;
  struct work;

  void hold(std::uint64_t local);
  actor_at tell(const owned& of) const;
  void carry_out(owned& of, const actor_life_state::steps& steps, const peer& host_before,
                 std::uint32_t incarnation_before, work& outside);
  void finish(work& outside);
  template <class F>
  void change(std::uint64_t actor, F&& f);

  process& here_;
  lease_desk& desk_;
  object_sharing& sharing_;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<owned>> actors_;  // guarded by mutex_, as below
  std::deque<release_name> released_;  // the last names that became free
};

}  // namespace troupe::net
