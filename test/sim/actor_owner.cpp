#include "test/sim/actor_owner.hpp"

#include <utility>

namespace troupe::sim {

using net::actor_phase;
using step = net::actor_life_state::step;

void actor_owner::own(std::uint64_t local, plan what) {
  const net::actor_life_state life(what.max_restarts);
  owned_.try_emplace(local, std::move(what), life);
  references_.change(local, in_.id(), 1);
}

void actor_owner::begin(std::uint64_t local) {
  change(local, [](owned& self) { return self.life.begin(); });
}

const actor_owner::owned* actor_owner::find(std::uint64_t local) const {
  const auto at = owned_.find(local);
  return at == owned_.end() ? nullptr : &at->second;
}

std::vector<std::uint64_t> actor_owner::living() const {
  std::vector<std::uint64_t> result;
  for (const auto& [local, one] : owned_) {
    if (one.life.phase() != actor_phase::dead) result.push_back(local);
  }
  return result;
}

// -- another life of this process, or of the head -------------------------------------------------

void actor_owner::take_up(const net::stored_life& life, plan what) {
  references_.change(life.local, in_.id(), 1);
  owned& of = owned_
                  .try_emplace(life.local, std::move(what),
                               net::actor_life_state(life.restarts_left,
                                                     static_cast<actor_phase>(life.phase),
                                                     life.incarnation, life.host))
                  .first->second;
  of.lease = life.lease;
  of.lease_node = life.lease_node;
  of.unconfirmed = life.host.id != 0;
  if (of.unconfirmed) {
    in_.learn(life.host);
  } else {
    begin(life.local);
  }
}

void actor_owner::confirm(process_id host) {
  for (auto& [local, one] : owned_) {
    if (!one.unconfirmed || one.life.host().id != host) continue;
    one.unconfirmed = false;
    create(one, local);
  }
}

void actor_owner::lose_unconfirmed(const std::set<process_id>& living) {
  std::set<process_id> lost;
  for (const auto& [local, one] : owned_) {
    const process_id host = one.life.host().id;
    if (one.unconfirmed && !living.contains(host)) lost.insert(host);
  }
  for (const process_id one : lost) process_gone(one, "it ended while the head was away");
}

void actor_owner::head_renewed() {
  for (const net::release_name& one : released_) in_.deliver(in_.head(), one);
}

std::vector<net::lease_id> actor_owner::leases_of(process_id node) const {
  std::vector<net::lease_id> result;
  for (const auto& [local, one] : owned_) {
    if (one.lease != 0 && one.lease_node == node) result.push_back(one.lease);
  }
  return result;
}

// -- lives ----------------------------------------------------------------------------------------

template <class F>
void actor_owner::change(std::uint64_t actor, F&& f) {
  const auto at = owned_.find(actor);
  if (at == owned_.end()) return;
  owned& self = at->second;
  const process_id host_before = self.life.host().id;
  const std::uint32_t incarnation_before = self.life.incarnation();
  const net::global_id id{in_.id(), actor};
  bool create_it = false;
  const auto steps = f(self);
  for (const step one : steps) {
    switch (one) {
      case step::ask_lease:
        self.request = in_.ask_for_actor(actor, self.what.lease);
        break;
      case step::create:
        create_it = true;
        break;
      case step::end_life:
        in_.deliver(host_before, net::end_actor{id, incarnation_before, self.life.reason(), ""});
        break;
      case step::give_lease:
        if (self.request != 0) in_.withdraw(std::exchange(self.request, 0));
        if (self.lease != 0) {
          in_.deliver(self.lease_node, net::return_lease{std::exchange(self.lease, 0)});
        }
        break;
      case step::publish:
        for (const process_id watcher : self.watchers) in_.deliver(watcher, tell(actor, self));
        break;
      case step::bury:
        if (!self.what.name.empty()) {
          released_.push_back({"", self.what.name, id});
          in_.deliver(in_.head(), released_.back());
        }
        break;
    }
  }
  if (on_change && !steps.empty()) {
    on_change({actor,
               self.life.incarnation(),
               self.life.restarts_left(),
               static_cast<std::uint8_t>(self.life.phase()),
               self.life.host(),
               self.lease,
               self.lease_node,
               {}},
              self.life);
  }
  if (create_it) create(self, actor);
}

void actor_owner::create(const owned& self, std::uint64_t local) {
  in_.learn(self.life.host());
  net::create_actor order;
  order.actor = {in_.id(), local};
  order.incarnation = self.life.incarnation();
  order.lease = self.lease;
  order.options.name = self.what.name;
  in_.deliver(self.life.host().id, std::move(order));
}

net::actor_at actor_owner::tell(std::uint64_t local, const owned& of) const {
  net::actor_at where;
  where.actor = local;
  where.incarnation = of.life.incarnation();
  where.phase = of.life.phase();
  where.host = of.life.host();
  return where;
}

void actor_owner::kill(std::uint64_t local, std::uint8_t reason, const std::string& why,
                       bool may_restart) {
  change(local, [&](owned& self) { return self.life.kill(reason, why, may_restart); });
}

void actor_owner::end_all() {
  std::vector<std::uint64_t> all;
  for (const auto& [local, one] : owned_) all.push_back(local);
  for (const std::uint64_t local : all) kill(local, exits::shutdown, "shut down", false);
  owned_.clear();
}

void actor_owner::free(std::uint64_t local) {
  kill(local, exits::out_of_scope, "let go", false);
  owned_.erase(local);
}

// -- messages -------------------------------------------------------------------------------------

void actor_owner::granted(std::uint64_t actor, const net::lease_granted& what, process_id node) {
  if (!owned_.contains(actor)) {
    in_.deliver(node, net::return_lease{what.lease});
    return;
  }
  change(actor, [&](owned& self) {
    self.request = 0;
    self.lease = what.lease;
    self.lease_node = node;
    return self.life.placed(what.worker);
  });
}

void actor_owner::refused(std::uint64_t actor, const std::string& why) {
  change(actor, [&](owned& self) {
    self.request = 0;
    return self.life.refused(why);
  });
}

void actor_owner::on(process_id from, const net::locate_actor& what) {
  net::actor_at where;
  where.actor = what.actor;
  where.phase = actor_phase::dead;
  if (const auto at = owned_.find(what.actor); at != owned_.end()) {
    at->second.watchers.insert(from);
    where = tell(what.actor, at->second);
  }
  in_.deliver(from, std::move(where));
}

void actor_owner::on(process_id, const net::refs_changed& what) {
  for (const auto& one : what.changes) {
    if (references_.change(one.local, one.holder, one.count)) free(one.local);
  }
}

void actor_owner::on(process_id, const net::actor_created& what) {
  change(what.actor.local, [&](owned& self) {
    return self.life.created(what.incarnation, !what.result.failed, "its constructor threw");
  });
}

void actor_owner::on(process_id, const net::actor_ended& what) {
  change(what.actor.local, [&](owned& self) {
    return self.life.ended(what.incarnation, what.reason, what.text, what.reason == exits::failed);
  });
}

void actor_owner::on(process_id, const net::kill_actor& what) {
  change(what.actor, [&](owned& self) {
    const bool over =
        !what.no_restart && what.incarnation != 0 && what.incarnation < self.life.incarnation();
    if (over) return net::actor_life_state::steps{};
    return self.life.kill(what.reason, what.text, !what.no_restart);
  });
}

void actor_owner::on(process_id from, const net::lease_revoked& what) {
  std::uint64_t actor = 0;
  for (auto& [local, one] : owned_) {
    if (one.lease != what.lease || one.lease_node != from) continue;
    one.lease = 0;  // there is nothing to give back
    actor = local;
  }
  if (actor != 0) kill(actor, exits::killed, what.why, false);
}

void actor_owner::process_gone(process_id gone, const std::string& cause) {
  std::vector<std::uint64_t> all;
  for (auto& [local, one] : owned_) {
    one.watchers.erase(gone);
    if (one.life.host().id == gone || one.lease_node == gone) all.push_back(local);
  }
  for (const std::uint64_t local : all) {
    change(local, [&](owned& self) {
      const process_id lost = self.life.host().id;
      if (lost != gone && self.lease_node != gone) return net::actor_life_state::steps{};
      self.lease = 0;
      return self.life.process_gone(lost, cause);
    });
  }
  for (const std::uint64_t local : references_.forget(gone)) free(local);
}

std::string actor_owner::describe(std::uint64_t local, process_id watcher) const {
  const owned* const of = find(local);
  if (of == nullptr) return "; its owner has forgotten it";
  constexpr const char* phases[] = {"pending", "alive", "restarting", "dead"};
  return "; for its owner it is " + std::string(phases[static_cast<int>(of->life.phase())]) +
         " in life " + std::to_string(of->life.incarnation()) + " at " +
         std::to_string(of->life.host().id % 1'000'000) +
         (of->watchers.contains(watcher) ? "" : ", not watched");
}

}  // namespace troupe::sim
