#include "test/sim/daemon.hpp"

#include <type_traits>
#include <utility>

#include "net/demand.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

// As the daemon has them.
constexpr auto tick_interval = 100ms;
constexpr auto heartbeat_interval = 1s;
constexpr auto silence = 10s;
constexpr auto stop_grace = 5s;

enum record : std::uint64_t { daemon_says = 20, lease_given, request_answered };

net::node_settings settings_of(simulation& sim, std::size_t machine, process_id id) {
  net::node_settings s;
  s.self = sim.net.peer_of(id);
  s.head = machine == 0 ? s.self : sim.head();
  s.name = "node" + std::to_string(machine);
  s.total = sim.machines[machine].total;
  s.idle_after = 5s;
  return s;
}

}  // namespace

daemon::daemon(simulation& sim, std::size_t machine, process_id id, bool is_head)
    : sim_(sim),
      net_(sim.net, id, machine, *this),
      is_head_(is_head),
      node_(settings_of(sim, machine, id)) {
  if (!is_head_) return;
  net::control_settings s;
  s.self = net_.self();
  control_ = std::make_unique<net::control_state>(s);
}

void daemon::begin() {
  net::join_cluster hello;
  hello.node = net_.self();
  hello.name = node_.settings().name;
  hello.total = net::to_demand(node_.settings().total);
  head_heard_ = sim_.w.now();
  if (is_head_) {
    control_->received(sim_.w.now(), id(), std::move(hello));
  } else {
    net_.learn(node_.settings().head.id);
    net_.send(node_.settings().head.id, std::move(hello));
  }
  carry_out();
  tick();
}

void daemon::tick() {
  const time now = sim_.w.now();
  node_.tick(now);
  if (control_) control_->tick(now);
  carry_out();
  if (joined_) {
    const bool news = node_.report_version() != reported_version_;
    if (news || now - reported_ >= heartbeat_interval) {
      reported_version_ = node_.report_version();
      reported_ = now;
      to_head(node_.report());
      carry_out();
    }
  }
  if (!is_head_ && joined_ && now - head_heard_ > silence) stop();
  if (stopping_ && (node_.workers() == 0 || now - stopping_since_ > stop_grace + 2s)) {
    node_.say_goodbye();
    carry_out();
    // Its last words travel for a while.
    return sim_.w.after(500ms, [&sim = sim_, self = id(), m = machine()] {
      daemon* const me = sim.machines[m].node.get();
      if (me != nullptr && me->id() == self) sim.end(*me);
    });
  }
  sim_.w.after(tick_interval, [&sim = sim_, self = id(), m = machine()] {
    daemon* const me = sim.machines[m].node.get();
    if (me != nullptr && me->id() == self) me->tick();
  });
}

void daemon::stop() {
  if (std::exchange(stopping_, true)) return;
  stopping_since_ = sim_.w.now();
  node_.shut_down(stopping_since_);
  carry_out();
}

// -- messages -------------------------------------------------------------------------------------

void daemon::received(process_id from, const any_message& what) {
  if (from == node_.settings().head.id) head_heard_ = sim_.w.now();
  std::visit(
      [&](const auto& m) {
        using T = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<T, net::register_process>) {
          node_.received(sim_.w.now(), sim_.net.peer_of(from), m);
        } else if constexpr (std::is_same_v<T, net::joined>) {
          if (!is_head_ && from == node_.settings().head.id) join_answered(m);
        } else if constexpr (std::is_same_v<T, net::process_died> ||
                             std::is_same_v<T, net::job_started> ||
                             std::is_same_v<T, net::job_ended>) {
          // What the control sends to nodes, and nodes to the control.
          if (control_) {
            control_->received(sim_.w.now(), from, m);
          } else if (from == node_.settings().head.id) {
            to_node(from, m);
          }
        } else if constexpr (std::is_same_v<T, net::request_lease>) {
          const bool of_group = m.group && !m.located;
          if (!of_group || !to_control(from, m)) to_node(from, m);
        } else if constexpr (std::is_same_v<T, net::cancel_request>) {
          to_control(from, m);
          to_node(from, m);
        } else if constexpr (std::is_same_v<T, net::cluster_view>) {
          if (!is_head_ && from == node_.settings().head.id) to_node(from, m);
        } else {
          static_cast<void>(to_control(from, m) || to_node(from, m));
        }
      },
      what);
  carry_out();
}

template <class T>
bool daemon::to_node(process_id from, const T& what) {
  if constexpr (requires { node_.received(sim_.w.now(), from, what); }) {
    if constexpr (std::is_same_v<T, net::process_died>) {
      if (what.process == id()) return true;
    }
    node_.received(sim_.w.now(), from, what);
    return true;
  }
  return false;
}

template <class T>
bool daemon::to_control(process_id from, const T& what) {
  if constexpr (requires { control_->received(sim_.w.now(), from, what); }) {
    if (control_) control_->received(sim_.w.now(), from, what);
    return control_ != nullptr;
  }
  return false;
}

template <class T>
void daemon::to_head(const T& what) {
  if (to_control(id(), what)) return;
  net_.send(node_.settings().head.id, what);
}

void daemon::join_answered(const net::joined& answer) {
  if (!answer.refused.empty()) return stop();
  joined_ = true;
}

void daemon::unreachable(process_id peer, const std::string& why) {
  if (!is_head_ && peer == node_.settings().head.id) return stop();
  const time now = sim_.w.now();
  if (control_ && control_->is_node(peer)) control_->node_gone(now, peer, why, false);
  node_.process_gone(now, peer, "cannot be reached: " + why);
  carry_out();
}

void daemon::worker_exited(std::uint64_t token, const std::string& cause, bool in_order) {
  node_.worker_exited(sim_.w.now(), token, cause, in_order, "");
  carry_out();
}

void daemon::driver_ended(process_id who) {
  node_.process_gone(sim_.w.now(), who, "its process has ended");
  carry_out();
}

// -- effects --------------------------------------------------------------------------------------

void daemon::carry_out() {
  for (bool more = true; more;) {
    more = false;
    for (const net::node_effect& effect : node_.take_effects()) {
      more = true;
      std::visit([this](const auto& e) { act(e); }, effect);
    }
    if (!control_) continue;
    for (const net::control_effect& effect : control_->take_effects()) {
      more = true;
      std::visit([this](const auto& e) { act(e); }, effect);
    }
  }
}

void daemon::act(const net::send_from_node& e) {
  std::visit(
      [&](const auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, net::open_lease> || std::is_same_v<T, net::lease_resumed>) {
          monitor::check_resources(node_);
        }
        if constexpr (std::is_same_v<T, net::open_lease>) {
          ++sim_.watch.counted.leases;
          sim_.w.record(lease_given, id(), what.lease, [&] {
            return node_.settings().name + " gives lease " + std::to_string(what.lease);
          });
        }
        if constexpr (requires { what.request; }) {
          sim_.w.record(request_answered, e.to, what.request, [&] {
            const char* const answer = std::is_same_v<T, net::lease_granted>   ? "grants"
                                       : std::is_same_v<T, net::lease_refused> ? "refuses"
                                                                               : "sends on";
            return node_.settings().name + " " + answer + " request " +
                   std::to_string(what.request) + " of " + std::to_string(e.to % 1'000'000);
          });
        }
        if (e.to == node_.settings().head.id) return to_head(what);
        net_.send(e.to, what);
      },
      e.what);
}

void daemon::act(const net::send_from_control& e) {
  std::visit(
      [&](const auto& what) {
        using T = std::decay_t<decltype(what)>;
        if (e.to == id()) {
          if constexpr (std::is_same_v<T, net::joined>) {
            return join_answered(what);
          } else if constexpr (!std::is_same_v<T, net::name_reply> &&
                               !std::is_same_v<T, net::status>) {
            to_node(id(), what);
            return;
          }
        }
        net_.send(e.to, what);
      },
      e.what);
}

void daemon::act(const net::start_worker& e) {
  net_.learn(e.driver.id);
  node_.worker_begins(sim_.w.now(), e.token);
  sim_.start_worker(*this, e.token, e.job);
}

void daemon::act(const net::kill_worker& e) {
  const process_id* const who = sim_.find_worker(e.token);
  if (who != nullptr) sim_.end(*sim_.programs.at(*who), "signal 9 (Killed)", false);
}

void daemon::act(const net::say& e) {
  sim_.w.record(daemon_says, id(), e.text.size(),
                [&] { return node_.settings().name + " says: " + e.text; });
}

}  // namespace troupe::sim
