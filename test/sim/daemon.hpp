/// A node daemon of the simulation: carries out what `node_state` decides, as `net/node.cpp` does.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "net/node_state.hpp"
#include "test/sim/network.hpp"
#include "test/sim/node_store.hpp"

namespace troupe::sim {

class simulation;

class daemon final : public receiver {
 public:
  daemon(simulation& sim, std::size_t machine, process_id id);
  void begin();

  process_id id() const noexcept { return net_.id(); }
  std::size_t machine() const noexcept { return net_.machine(); }
  endpoint& net() noexcept { return net_; }
  const net::node_state& state() const noexcept { return node_; }
  node_store& store() noexcept { return store_; }
  bool joined() const noexcept { return joined_; }
  bool is_ending() const noexcept { return ending_; }

  void received(process_id from, const any_message& what) override;
  void unreachable(process_id peer, const std::string& why) override;
  void renewed(const net::peer& who) override;

  // -- by the kernel ------------------------------------------------------------------------------
  void worker_exited(std::uint64_t token, const std::string& cause, bool in_order);
  void driver_ended(process_id who);

 private:
  bool with_head() const noexcept { return machine() == 0; }
  process_id head() const noexcept { return node_.settings().head.id; }
  void join(bool returning);
  void tick();
  void look_after_head(time now);
  void carry_out();
  void act(const net::send_from_node& e);
  void act(const net::start_worker& e);
  void act(const net::kill_worker& e);
  void act(const net::watch_driver&) {}  // the kernel tells
  void act(const net::forget_process& e) { net_.forget(e.process); }
  void act(const net::say& e);
  void join_answered(const net::joined& answer);
  /// It ends at once: the cluster holds what runs here for dead.
  void fail(const std::string& why);

  simulation& sim_;
  endpoint net_;
  net::node_state node_;
  node_store store_;
  bool joined_ = false;
  bool ending_ = false;
  time reported_{};
  std::uint64_t reported_version_ = 0;

  // As `net::head_watch`.
  time head_heard_{};
  time head_known_{};  ///< whether it lives
  time next_probe_{};
  bool head_dead_ = false;
};

}  // namespace troupe::sim
