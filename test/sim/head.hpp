/// The head of a simulated cluster: carries out what `control_state` decides and owns the detached
/// actors, as `net/head.cpp` and `net/detached_actors.cpp` do.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/control_state.hpp"
#include "net/lease_request_state.hpp"
#include "test/sim/actor_owner.hpp"
#include "test/sim/durable_store.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;

/// Nothing that follows from a change is sent before the change is stored.
class head_process final : public receiver, public owner_home {
 public:
  head_process(simulation& sim, process_id cluster, process_id own_node, durable_store& store);
  void begin();

  process_id id() const noexcept override { return net_.id(); }
  endpoint& net() noexcept { return net_; }
  const net::control_state& control() const noexcept { return *control_; }
  const actor_owner& actors() const noexcept { return owner_; }

  void received(process_id from, const any_message& what) override;
  void unreachable(process_id peer, const std::string& why) override;

  // -- of owner_home
  process_id head() const noexcept override { return id(); }
  bool deliver(process_id to, any_message what) override;
  void learn(const net::peer& who) override { net_.learn(who); }
  std::uint64_t ask_for_actor(std::uint64_t actor, net::request_lease wanted) override;
  void withdraw(std::uint64_t request) override;

 private:
  struct batch {
    std::vector<net::store_change> changes;
    std::vector<std::pair<process_id, any_message>> sends;
    std::vector<process_id> forgotten;
    bool empty() const { return changes.empty() && sends.empty() && forgotten.empty(); }
  };
  struct adopted_actor {
    process_id asker = 0;
    std::uint64_t request = 0;
    net::job_id job = 0;
    bool named = false;
  };

  void tick();
  void look_for_quiet_nodes();
  void carry_out();
  void write();
  void written(std::size_t batches);
  void release(const batch& stored);
  void act(const net::send_from_control& e);
  void act(const net::keep_row& e) { batch_.changes.push_back(e.what); }
  void act(const net::process_over& e);
  void act(const net::node_back& e);
  void act(const net::recovery_over& e) { owner_.lose_unconfirmed(e.processes); }
  void act(const net::forget_process& e) { batch_.forgotten.push_back(e.process); }
  void act(const net::say& e);

  void recover(std::vector<net::stored_actor>&& known,
               const std::map<std::uint64_t, net::stored_life>& lives);
  void begin_to_own(const net::stored_actor& what, const net::stored_life* life);
  void named(const net::name_reply& reply);
  void changed(const net::stored_life& now, const net::actor_life_state& life);
  void requests_gone(process_id gone);

  void on(process_id from, const net::adopt_actor& what);
  void on(process_id from, const net::lease_granted& what);
  void on(process_id from, const net::lease_refused& what);
  void on(process_id from, const net::lease_redirected& what);

  simulation& sim_;
  const std::uint32_t life_;
  endpoint net_;
  const process_id node_;  ///< in its process
  durable_store& store_;
  std::unique_ptr<net::control_state> control_;
  actor_owner owner_;
  net::lease_request_state<std::uint64_t> requests_;
  std::map<std::uint64_t, adopted_actor> actors_;  ///< that live
  std::map<std::pair<process_id, std::uint64_t>, std::uint64_t> asked_;
  std::uint64_t last_local_ = 0;
  batch batch_;
  std::deque<batch> held_;  ///< until they are stored
  std::size_t queued_ = 0;  ///< of those, that nobody writes yet
  bool writing_ = false;
  bool closing_later_ = false;
};

}  // namespace troupe::sim
