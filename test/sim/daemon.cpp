#include "test/sim/daemon.hpp"

#include <type_traits>
#include <utility>

#include "net/demand.hpp"
#include "net/worker_environment.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

// As the daemon has them.
constexpr auto tick_interval = 100ms;
constexpr auto heartbeat_interval = 1s;
constexpr auto silence = std::chrono::milliseconds(10'000);
/// So long a node goes on with its work when the head is known to be dead.
constexpr auto head_patience = 60s;
constexpr auto head_is_quiet = 1500ms;
constexpr auto probe_period = 500ms;

enum record : std::uint64_t { daemon_says = 20, lease_given, request_answered };

net::node_settings settings_of(simulation& sim, std::size_t machine, process_id id) {
  net::node_settings s;
  s.self = sim.net.peer_of(id);
  s.head = sim.head();
  s.name = "node" + std::to_string(machine);
  s.total = sim.machines[machine].total;
  s.idle_after = 5s;
  return s;
}

}  // namespace

daemon::daemon(simulation& sim, std::size_t machine, process_id id)
    : sim_(sim),
      net_(sim.net, id, machine, *this),
      node_(settings_of(sim, machine, id)),
      store_(sim, net_) {}

void daemon::begin() {
  head_heard_ = head_known_ = sim_.w.now();
  net_.learn(node_.settings().head);
  join(false);
  tick();
}

void daemon::join(bool returning) {
  net::join_cluster hello;
  if (returning) hello = node_.describe();
  hello.returning = returning;
  hello.node = net_.self();
  hello.name = node_.settings().name;
  hello.total = net::to_demand(node_.settings().total);
  net_.send(head(), std::move(hello));
}

void daemon::tick() {
  const time now = sim_.w.now();
  node_.tick(now);
  carry_out();
  store_.tick();
  if (joined_) {
    const bool news = node_.report_version() != reported_version_;
    if (news || now - reported_ >= heartbeat_interval) {
      reported_version_ = node_.report_version();
      reported_ = now;
      net_.send(head(), node_.report());
    }
    if (!with_head()) look_after_head(now);
  }
  sim_.after_in_node(tick_interval, id(), [](daemon& me) { me.tick(); });
}

void daemon::look_after_head(time now) {
  const auto patience = net::fence_after(silence);
  if (now - head_heard_ < head_is_quiet) return;
  if (now >= next_probe_) {
    next_probe_ = now + probe_period;
    const bool refused = sim_.net.reachable(machine(), 0) && !sim_.net.lives(head());
    if (refused) {
      head_dead_ = true;
      head_known_ = now;
    }
  }
  // A silent head may have begun elsewhere what runs here.
  if (now - head_known_ > patience) return fail("the head is silent");
  if (head_dead_ && now - head_heard_ > head_patience) return fail("the head stays dead");
}

void daemon::fail(const std::string& why) {
  if (std::exchange(ending_, true)) return;
  sim_.w.record(daemon_says, id(), why.size(),
                [&] { return node_.settings().name + " ends: " + why; });
  node_.shut_down(sim_.w.now());
  carry_out();
  node_.say_goodbye();
  carry_out();
  // Its last words travel for a while.
  sim_.after_in_node(500ms, id(), [&sim = sim_](daemon& me) { sim.end(me); });
}

// -- messages -------------------------------------------------------------------------------------

void daemon::received(process_id from, const any_message& what) {
  const time now = sim_.w.now();
  if (from == head()) {
    head_heard_ = head_known_ = now;
    head_dead_ = false;
  }
  std::visit(
      [&](const auto& m) {
        using T = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<T, net::register_process>) {
          node_.received(now, sim_.net.peer_of(from), m);
        } else if constexpr (std::is_same_v<T, net::joined>) {
          if (from == head()) join_answered(m);
        } else if constexpr (std::is_same_v<T, net::process_died>) {
          if (from != head() || m.process == id()) return;
          store_.lose(m.process, m.cause);
          node_.received(now, from, m);
        } else if constexpr (std::is_same_v<T, net::job_started> ||
                             std::is_same_v<T, net::job_ended> ||
                             std::is_same_v<T, net::cluster_view> ||
                             std::is_same_v<T, net::prepare_bundles> ||
                             std::is_same_v<T, net::commit_bundles> ||
                             std::is_same_v<T, net::drop_bundles>) {
          if (from == head()) node_.received(now, from, m);
        } else if constexpr (requires { store_.on(from, m); }) {
          store_.on(from, m);
        } else if constexpr (requires { node_.received(now, from, m); }) {
          node_.received(now, from, m);
        }
      },
      what);
  carry_out();
}

void daemon::join_answered(const net::joined& answer) {
  if (!joined_) {
    joined_ = answer.refused.empty();
    if (!joined_) fail("the head refused it: " + answer.refused);
    return;
  }
  if (answer.returning) return node_.received(sim_.w.now(), head(), answer);
  if (!answer.refused.empty()) fail("the head says: " + answer.refused);
}

void daemon::unreachable(process_id peer, const std::string& why) {
  if (!with_head() && peer == head()) return fail("the head cannot be reached: " + why);
  store_.cannot_reach(peer, "it cannot be reached: " + why);
  node_.process_gone(sim_.w.now(), peer, "cannot be reached: " + why);
  carry_out();
}

/// The head was started again: it knows what its store has, and learns the rest from its nodes.
void daemon::renewed(const net::peer& who) {
  if (who.id != head()) return;
  head_heard_ = head_known_ = sim_.w.now();
  head_dead_ = false;
  node_.head_renewed(sim_.w.now(), who);
  carry_out();
  join(joined_);
  node_.say_again();
  carry_out();
  reported_version_ = 0;
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
  }
}

void daemon::act(const net::send_from_node& e) {
  std::visit(
      [&](const auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, net::open_lease> || std::is_same_v<T, net::lease_resumed>) {
          monitor::check_resources(node_);
        }
        if constexpr (std::is_same_v<T, net::end_process>) sim_.check_not_needed(e.to);
        if constexpr (std::is_same_v<T, net::process_died>) {
          sim_.watch.declared_dead(what.process);
          store_.lose(what.process, what.cause);
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
  if (who != nullptr) sim_.check_not_needed(*who);
  if (who != nullptr) sim_.end(*sim_.programs.at(*who), "signal 9 (Killed)", false);
}

void daemon::act(const net::say& e) {
  sim_.w.record(daemon_says, id(), e.text.size(),
                [&] { return node_.settings().name + " says: " + e.text; });
}

}  // namespace troupe::sim
