/// The actors of a simulated process: those it owns, those it hosts, and those it calls.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/actor_life_state.hpp"
#include "net/reference_state.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;
class program;

/// The owner carries out what `actor_life_state` and `reference_state` decide, as
/// `net/actor_manager.cpp` and `net/object_sharing.cpp` do; host and caller keep the rules of
/// docs/protocol.md.
class actor_part {
 public:
  actor_part(simulation& sim, program& in) : sim_(sim), in_(in) {}

  /// Creates, finds, calls, kills or lets go of an actor, as the numbers say.
  void work(rng& draw);
  /// Lets go of all handles that no call waits on.
  void let_go();
  bool has_pending() const;
  std::string waits_for() const;
  void end_all();
  void process_gone(process_id gone, const std::string& cause);
  void cut_off();

  void granted(std::uint64_t actor, const net::lease_granted& what, process_id node);
  void refused(std::uint64_t actor, const std::string& why);

  // -- of the owner
  void on(process_id from, const net::locate_actor& what);
  void on(process_id from, const net::refs_changed& what);
  void on(process_id from, const net::actor_created& what);
  void on(process_id from, const net::actor_ended& what);
  void on(process_id from, const net::kill_actor& what);
  // -- of the host
  void on(process_id from, const net::create_actor& what);
  void on(process_id from, const net::call_actor& what);
  void on(process_id from, const net::end_actor& what);
  // -- of the caller
  void on(process_id from, const net::name_reply& what);
  void on(process_id from, const net::actor_at& what);
  void on(process_id from, const net::call_done& what);

  struct hosted {
    std::uint32_t incarnation = 0;
    bool ready = false;
    bool busy = false;
    std::vector<std::pair<process_id, std::uint64_t>> mail;
    std::map<process_id, std::uint64_t> last;  ///< call that ran, by caller
  };
  const std::map<net::global_id, hosted>& hosts() const noexcept { return hosted_; }

 private:
  struct owned {
    explicit owned(std::int32_t max_restarts) : life(max_restarts) {}
    net::actor_life_state life;
    std::set<process_id> watchers;
    std::uint64_t request = 0;
    net::lease_id lease = 0;
    process_id lease_node = 0;
    std::string name;
    bool isolated = false;
  };
  struct handle {
    net::actor_phase phase = net::actor_phase::pending;
    std::uint32_t incarnation = 0;
    process_id host = 0;
    std::set<std::uint64_t> waiting;  ///< calls, in their order
    std::set<std::uint64_t> sent;
  };

  template <class F>
  void change(std::uint64_t actor, F&& f);
  void create(rng& draw);
  void count(net::global_id what, std::int32_t by);
  void free(std::uint64_t local);
  void take_handle(net::global_id actor, bool counted);
  void call(handle& of);
  void flush(net::global_id actor, handle& of);
  void fail(std::set<std::uint64_t>& calls);
  void run_next(net::global_id actor);

  simulation& sim_;
  program& in_;
  std::map<std::uint64_t, owned> owned_;
  net::reference_state references_;
  std::map<net::global_id, hosted> hosted_;
  std::map<net::global_id, handle> handles_;
  std::map<std::uint64_t, std::uint64_t> naming_;  ///< actor by request; 0: it looks for one
  std::uint64_t last_request_ = 0;
};

}  // namespace troupe::sim
