/// The owner of actors in a simulated process: a program, or the head for detached ones.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/actor_life_state.hpp"
#include "net/control_records.hpp"
#include "net/reference_state.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

/// What the owner's process does for it.
class owner_home {
 public:
  virtual process_id id() const noexcept = 0;
  virtual process_id head() const noexcept = 0;
  virtual bool deliver(process_id to, any_message what) = 0;
  virtual void learn(const net::peer& who) = 0;
  /// Answered by `granted` or `refused`.
  virtual std::uint64_t ask_for_actor(std::uint64_t actor, net::request_lease wanted) = 0;
  virtual void withdraw(std::uint64_t request) = 0;

 protected:
  ~owner_home() = default;
};

/// As `net::actor_manager` and `net::object_sharing`: carries out what `actor_life_state` and
/// `reference_state` decide.
class actor_owner {
 public:
  explicit actor_owner(owner_home& in) : in_(in) {}

  struct plan {
    std::string name;  ///< empty: none
    std::int32_t max_restarts = 0;
    net::request_lease lease;
  };
  void own(std::uint64_t local, plan what);
  void begin(std::uint64_t local);
  /// One of an earlier life of this process.
  void take_up(const net::stored_life& life, plan what);
  void confirm(process_id host);
  void lose_unconfirmed(const std::set<process_id>& living);
  void head_renewed();
  std::vector<net::lease_id> leases_of(process_id node) const;
  void kill(std::uint64_t local, std::uint8_t reason, const std::string& why, bool may_restart);
  void end_all();

  void granted(std::uint64_t actor, const net::lease_granted& what, process_id node);
  void refused(std::uint64_t actor, const std::string& why);
  void on(process_id from, const net::locate_actor& what);
  void on(process_id from, const net::refs_changed& what);
  void on(process_id from, const net::actor_created& what);
  void on(process_id from, const net::actor_ended& what);
  void on(process_id from, const net::kill_actor& what);
  void on(process_id from, const net::lease_revoked& what);
  void process_gone(process_id gone, const std::string& cause);

  struct owned {
    owned(plan p, net::actor_life_state l) : what(std::move(p)), life(std::move(l)) {}
    plan what;
    net::actor_life_state life;
    std::set<process_id> watchers;
    std::uint64_t request = 0;
    net::lease_id lease = 0;
    process_id lease_node = 0;
    bool unconfirmed = false;
  };
  const owned* find(std::uint64_t local) const;
  const std::map<std::uint64_t, owned>& all() const noexcept { return owned_; }
  std::vector<std::uint64_t> living() const;
  std::string describe(std::uint64_t local, process_id watcher) const;

  /// Told of each change of a life, before anything of it is sent.
  std::function<void(const net::stored_life&, const net::actor_life_state&)> on_change;

 private:
  template <class F>
  void change(std::uint64_t actor, F&& f);
  void create(const owned& self, std::uint64_t local);
  net::actor_at tell(std::uint64_t local, const owned& of) const;
  void free(std::uint64_t local);

  owner_home& in_;
  std::map<std::uint64_t, owned> owned_;
  net::reference_state references_;
  std::deque<net::release_name> released_;
};

/// Reasons, as `troupe::exit_reason` has them.
namespace exits {
inline constexpr std::uint8_t out_of_scope = 0;
inline constexpr std::uint8_t killed = 2;
inline constexpr std::uint8_t constructor_threw = 3;
inline constexpr std::uint8_t failed = 4;
inline constexpr std::uint8_t shutdown = 6;
}  // namespace exits

}  // namespace troupe::sim
