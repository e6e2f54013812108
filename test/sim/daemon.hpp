/// A node daemon of the simulation: carries out what `node_state` and `control_state` decide, as
/// `net/node.cpp` does.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "net/control_state.hpp"
#include "net/node_state.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;

class daemon final : public receiver {
 public:
  daemon(simulation& sim, std::size_t machine, process_id id, bool is_head);
  void begin();

  process_id id() const noexcept { return net_.id(); }
  std::size_t machine() const noexcept { return net_.machine(); }
  endpoint& net() noexcept { return net_; }
  const net::node_state& state() const noexcept { return node_; }
  const net::control_state* control() const noexcept { return control_.get(); }
  bool joined() const noexcept { return joined_; }

  void received(process_id from, const any_message& what) override;
  void unreachable(process_id peer, const std::string& why) override;

  // -- by the kernel ------------------------------------------------------------------------------
  void worker_exited(std::uint64_t token, const std::string& cause, bool in_order);
  void driver_ended(process_id who);

 private:
  void tick();
  void carry_out();
  void act(const net::send_from_node& e);
  void act(const net::send_from_control& e);
  void act(const net::start_worker& e);
  void act(const net::kill_worker& e);
  void act(const net::watch_driver&) {}  // the kernel tells
  void act(const net::forget_process& e) { net_.forget(e.process); }
  void act(const net::say& e);
  // The simulated head does not die, and owns no actors.
  void act(const net::keep_row&) {}
  void act(const net::process_over&) {}
  void act(const net::node_back&) {}
  void act(const net::recovery_over&) {}
  template <class T>
  void to_head(const T& what);
  template <class T>
  bool to_node(process_id from, const T& what);
  template <class T>
  bool to_control(process_id from, const T& what);
  void join_answered(const net::joined& answer);
  void stop();

  simulation& sim_;
  endpoint net_;
  const bool is_head_;
  net::node_state node_;
  std::unique_ptr<net::control_state> control_;
  bool joined_ = false;
  bool stopping_ = false;
  time stopping_since_{};
  time head_heard_{};
  time reported_{};
  std::uint64_t reported_version_ = 0;
};

}  // namespace troupe::sim
