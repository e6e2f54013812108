/// The actors of a simulated program: those it owns, those it hosts, and those it calls.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "net/actor_handle_state.hpp"
#include "test/sim/actor_host.hpp"
#include "test/sim/actor_owner.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

/// The callers keep the rules of `net/remote_actor.cpp`, on the same `actor_handle_state`.
class actor_part {
 public:
  actor_part(simulation& sim, program& in);

  actor_owner& owner() noexcept { return owner_; }
  actor_host& host() noexcept { return host_; }
  const actor_host& host() const noexcept { return host_; }

  /// Creates, finds, calls, kills or lets go of an actor, as the numbers say.
  void work(rng& draw);
  /// For an actor that lives here: one on any node, which is called a few times.
  net::global_id create_one(rng& draw);
  /// Lets go of its handle; calls that wait on it fail.
  void drop(net::global_id actor);
  /// Finds a detached actor again, calls it, and ends it.
  void put_away(const std::string& name);
  void go_on_putting_away();
  /// Lets go of all handles that no call waits on.
  void let_go();
  bool has_pending() const;
  std::string waits_for() const;
  void end_all();
  void process_gone(process_id gone, const std::string& cause);
  void cut_off();
  /// The head has begun another life, and may have lost what it was told or asked.
  void head_renewed();

  void on(process_id from, const net::name_reply& what);
  void on(process_id from, const net::actor_at& what);
  void on(process_id from, const net::call_done& what);

 private:
  struct handle {
    net::actor_handle_state state;
    std::set<std::uint64_t> waiting;  ///< calls, in their order
    std::set<std::uint64_t> sent;
    bool put_away = false;  ///< when its calls have ended
  };
  /// Of the head, about a name.
  struct question {
    any_message asked;
    std::string name;
    std::uint64_t created = 0;  ///< an actor of this process that wants it; 0: none
    bool adoption = false;
    bool put_away = false;
  };

  void create(rng& draw);
  void create_detached(rng& draw);
  void ask(std::uint64_t request, question what);
  void count(net::global_id what, std::int32_t by);
  void take_handle(net::global_id actor, bool counted);
  void call(handle& of);
  void flush(net::global_id actor, handle& of);
  void fail(std::set<std::uint64_t>& calls);
  void order_end(net::global_id actor, handle& of, bool may_restart);

  simulation& sim_;
  program& in_;
  actor_owner owner_;
  actor_host host_;
  std::map<net::global_id, handle> handles_;
  std::map<std::uint64_t, question> naming_;  ///< by request
  std::uint64_t last_request_ = 0;
};

}  // namespace troupe::sim
