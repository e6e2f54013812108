// What is checked each second of a simulation, and at its end.
#include <algorithm>
#include <set>

#include "net/demand.hpp"
#include "test/sim/daemon.hpp"
#include "test/sim/head.hpp"
#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

/// An earlier life of an actor ends within this time of the next one's beginning.
constexpr auto one_life_within = 60s;
/// A node that is dead to the head ends within this time.
constexpr auto fenced_within = 60s;
/// An actor whose lease has ended ends within this time.
constexpr auto leaseless_for = 25s;

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

std::string simulation::describe_nodes() const {
  std::string text;
  for (const machine& one : machines) {
    if (!one.node) continue;
    const net::node_state& node = one.node->state();
    const std::string store = one.node->store().describe();
    if (node.leases() == 0 && node.requests() == 0 && store.empty()) continue;
    text += "\n    " + node.settings().name + " has " + node.settings().total.to_string() +
            ", free " + node.available().to_string() + ", " + std::to_string(node.requests()) +
            " requests";
    if (!store.empty()) text += ", its store " + store;
    for (const auto& [wanted, count] : node.report().waiting) {
      text += ", " + std::to_string(count) + " of";
      for (const auto& [name, units] : wanted) text += " " + name + "=" + std::to_string(units);
    }
    for (const net::node_state::holding& held : node.holdings()) {
      text += "; " +
              (held.lease == 0 ? "a request or group" : "lease " + std::to_string(held.lease)) +
              " of process " + name_of(held.owner) + " has " + held.wanted.to_string();
    }
  }
  return text;
}

std::string simulation::describe_actor(net::global_id actor, process_id watcher) const {
  if (head_ != nullptr && actor.owner == head_->id()) {
    return head_->actors().describe(actor.local, watcher);
  }
  const auto owner = programs.find(actor.owner);
  if (owner == programs.end()) return "; its owner is dead";
  return owner->second->actors().owner().describe(actor.local, watcher);
}

void simulation::check() {
  for (const machine& one : machines) {
    if (one.node) monitor::check_resources(one.node->state());
  }
  for (const auto& [id, one] : programs) one->check_nothing_waits_on_the_dead();
  check_lives();
  check_fences();
  check_leases();
}

/// The host of an earlier life may be cut off, and learns late that it is over.
void simulation::check_lives() {
  std::map<net::global_id, std::uint32_t> lives;
  std::map<std::string, std::set<net::global_id>> named;
  for (const auto& [id, one] : programs) {
    for (const auto& [actor, there] : one->actors().host().all()) {
      if (!there.ready) continue;
      ++lives[actor];
      if (!there.name.empty()) named[there.name].insert(actor);
    }
  }
  std::map<std::string, time> twice;
  const auto at_once = [&](const std::string& what) {
    const auto known = lives_twice_.find(what);
    const time since = known == lives_twice_.end() ? w.now() : known->second;
    twice.emplace(what, since);
    if (w.now() - since > one_life_within) throw violation(what + " has two lives at once");
  };
  for (const auto& [actor, count] : lives) {
    if (count > 1) {
      at_once("actor " + std::to_string(actor.local) + " of process " + name_of(actor.owner));
    }
  }
  for (const auto& [name, all] : named) {
    if (all.size() > 1) at_once("the actor named " + name);
  }
  lives_twice_ = std::move(twice);
}

void simulation::check_fences() {
  std::map<process_id, time> unfenced;
  for (const machine& one : machines) {
    if (head_ == nullptr || w.now() < head_began_ + fenced_within) break;
    if (!one.node || !one.node->joined() || head_->control().is_node(one.node->id())) continue;
    const process_id id = one.node->id();
    const auto known = unfenced_.find(id);
    const time since = known == unfenced_.end() ? w.now() : known->second;
    unfenced.emplace(id, since);
    if (w.now() - since > fenced_within) {
      throw violation(one.node->state().settings().name +
                      " lives on, and has been dead to the head for long");
    }
  }
  unfenced_ = std::move(unfenced);
}

/// What its owner holds for alive has the place that it was given.
void simulation::check_leases() {
  std::map<std::string, time> without;
  const auto look_at = [&](process_id owner, const actor_owner& actors) {
    for (const auto& [local, one] : actors.all()) {
      if (one.life.phase() != net::actor_phase::alive || one.lease == 0) continue;
      const daemon* const node = find_node(one.lease_node);
      if (node == nullptr) continue;
      const auto held = node->state().holdings();
      const bool is_there = std::any_of(held.begin(), held.end(), [&](const auto& given) {
        return given.lease == one.lease && given.owner == owner;
      });
      if (is_there) continue;
      const std::string what = "actor " + std::to_string(local) + " of process " + name_of(owner) +
                               " lives in life " + std::to_string(one.life.incarnation()) +
                               ", and its node has ended its lease " + std::to_string(one.lease);
      const auto known = leaseless_.find(what);
      const time since = known == leaseless_.end() ? w.now() : known->second;
      without.emplace(what, since);
      // Of a death on another node the head tells.
      const bool told = head_ != nullptr && w.now() - head_began_ > leaseless_for;
      if (told && w.now() - since > leaseless_for) throw violation(what);
    }
  };
  for (const auto& [id, one] : programs) {
    if (!watch.is_declared_dead(id)) look_at(id, one->actors().owner());
  }
  if (head_ != nullptr) look_at(head_->id(), head_->actors());
  leaseless_ = std::move(without);
}

/// Whether a detached actor lives there, or an actor that such a worker has and has not let go of.
bool simulation::is_needed(const program& worker, int depth) const {
  const auto& hosted = worker.actors().host().all();
  return std::any_of(hosted.begin(), hosted.end(), [&](const auto& entry) {
    const auto& [id, there] = entry;
    const bool detached = id.owner == head_->id();
    const auto owner = programs.find(id.owner);
    if (!there.ready || (!detached && (owner == programs.end() || depth > 3))) return false;
    const auto* const known =
        detached ? head_->actors().find(id.local) : owner->second->actors().owner().find(id.local);
    const bool lives = known != nullptr && known->life.phase() == net::actor_phase::alive &&
                       known->life.host().id == worker.id();
    if (!lives || detached) return lives;
    return !watch.is_declared_dead(id.owner) && !owner->second->is_leaving() &&
           head_->control().is_node(owner->second->node()) && is_needed(*owner->second, depth + 1);
  });
}

void simulation::check_not_needed(process_id worker) const {
  const auto ends = programs.find(worker);
  if (head_ == nullptr || ends == programs.end()) return;
  const daemon* const node = find_node(ends->second->node());
  if (node == nullptr || node->is_ending() || !head_->control().is_node(node->id())) return;
  if (is_needed(*ends->second)) {
    throw violation(node->state().settings().name + " ends worker " + name_of(worker) +
                    ", and a detached actor needs it");
  }
}

void simulation::check_the_end() {
  check();
  for (const machine& one : machines) {
    if (!one.node) throw violation("a node's daemon has not come back");
    const net::node_state& node = one.node->state();
    const auto none = [&](std::size_t count, const char* what) {
      if (count == 0) return;
      throw violation("all drivers have left, and " + node.settings().name + " still has " +
                      std::to_string(count) + " " + what + describe_nodes());
    };
    none(node.leases(), "leases");
    none(node.requests(), "requests");
    none(node.workers(), "workers");
    none(node.reservations(), "reservations");
    if (const std::string left = one.node->store().describe(); !left.empty()) {
      throw violation("all drivers have left, and the store of " + node.settings().name +
                      " still has " + left);
    }
    if (node.available() != node.settings().total) {
      throw violation("all drivers have left, and of " + node.settings().name + " only " +
                      node.available().to_string() + " are free");
    }
  }
  if (!programs.empty()) {
    throw violation("all drivers have left, and worker " + name_of(programs.begin()->first) +
                    " still lives");
  }
  const net::status of = head_->control().make_status();
  if (of.jobs != 0) throw violation("all drivers have left, and the head still has jobs");
  if (!of.actors.empty()) throw violation("all drivers have left, and the head still has names");
  if (!of.groups.empty()) throw violation("all drivers have left, and the head still has groups");
  if (!head_->actors().living().empty()) {
    throw violation("all drivers have left, and the head still owns a detached actor");
  }
  if (of.nodes.size() != machines.size()) {
    throw violation("the head knows " + std::to_string(of.nodes.size()) + " nodes of " +
                    std::to_string(machines.size()));
  }
  for (const auto& one : of.nodes) {
    if (one.available != one.total) {
      throw violation("all drivers have left, and to the head some of " + one.name + " is in use");
    }
  }
}

}  // namespace troupe::sim
