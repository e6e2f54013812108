#include "test/sim/actors.hpp"

#include <algorithm>

#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

using net::actor_phase;
using step = net::actor_life_state::step;

// As troupe::exit_reason.
constexpr std::uint8_t out_of_scope = 0;
constexpr std::uint8_t killed = 2;
constexpr std::uint8_t failed = 4;
constexpr std::uint8_t shutdown = 6;

constexpr std::size_t most_owned = 5;
constexpr std::size_t most_pending = 100;

enum record : std::uint64_t { actor_begins = 80, call_runs, actor_moves };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }
std::string name_of(net::global_id id) {
  return "actor " + std::to_string(id.local) + " of " + name_of(id.owner);
}

}  // namespace

// -- the program ----------------------------------------------------------------------------------

void actor_part::work(rng& draw) {
  if (draw.chance(0.3) && owned_.size() < most_owned) create(draw);
  if (draw.chance(0.2)) {
    const std::uint64_t request = ++last_request_;
    naming_[request] = 0;
    in_.net().send(in_.head(), net::find_name{request, "", "n" + std::to_string(draw.below(4))});
  }
  for (auto& [id, one] : handles_) {
    if (one.phase == actor_phase::dead || draw.chance(0.5)) continue;
    if (draw.chance(0.01)) {
      in_.net().send(id.owner, net::kill_actor{id.local, draw.chance(0.5), killed, "killed"});
    }
    const auto room =
        static_cast<std::int64_t>(most_pending - std::min(one.waiting.size(), most_pending));
    for (std::int64_t i = std::min(draw.between(0, 8), room); i > 0; --i) call(one);
    flush(id, one);
  }
}

void actor_part::let_go() {
  std::vector<net::global_id> idle;
  for (const auto& [id, one] : handles_) {
    if (one.waiting.empty() && one.sent.empty()) idle.push_back(id);
  }
  for (const net::global_id id : idle) {
    handles_.erase(id);
    count(id, -1);
  }
}

bool actor_part::has_pending() const {
  for (const auto& [id, one] : handles_) {
    if (!one.waiting.empty() || !one.sent.empty()) return true;
  }
  return false;
}

std::string actor_part::waits_for() const {
  for (const auto& [id, one] : handles_) {
    if (one.waiting.empty() && one.sent.empty()) continue;
    constexpr const char* phases[] = {"pending", "alive", "restarting", "dead"};
    std::string text = std::to_string(one.waiting.size()) + " calls wait and " +
                       std::to_string(one.sent.size()) + " are sent to " + name_of(id) +
                       ", which is " + phases[static_cast<int>(one.phase)] + " in life " +
                       std::to_string(one.incarnation) + " at " + name_of(one.host);
    const auto owner = sim_.programs.find(id.owner);
    if (owner == sim_.programs.end()) return text + "; its owner is dead";
    const auto at = owner->second->actors().owned_.find(id.local);
    if (at == owner->second->actors().owned_.end()) return text + "; its owner has forgotten it";
    const owned& there = at->second;
    return text + "; for its owner it is " + phases[static_cast<int>(there.life.phase())] +
           " in life " + std::to_string(there.life.incarnation()) + " at " +
           name_of(there.life.host().id) +
           (there.watchers.contains(in_.id()) ? "" : ", not watched");
  }
  return {};
}

// -- the owner ------------------------------------------------------------------------------------

void actor_part::create(rng& draw) {
  const std::uint64_t local = in_.next_number();
  owned& added =
      owned_.try_emplace(local, static_cast<std::int32_t>(draw.between(0, 3))).first->second;
  added.isolated = draw.chance(0.2);
  const net::global_id id{in_.id(), local};
  references_.change(local, in_.id(), 1);
  take_handle(id, true);
  if (!draw.chance(0.7)) return change(local, [](owned& self) { return self.life.begin(); });
  added.name = "n" + std::to_string(draw.below(4));
  const std::uint64_t request = ++last_request_;
  naming_[request] = local;
  net::register_name order;
  order.request = request;
  order.name = added.name;
  order.class_name = "actor";
  order.actor = id;
  order.owner = in_.net().self();
  in_.net().send(in_.head(), std::move(order));
}

template <class F>
void actor_part::change(std::uint64_t actor, F&& f) {
  const auto at = owned_.find(actor);
  if (at == owned_.end()) return;
  owned& self = at->second;
  const process_id host_before = self.life.host().id;
  const std::uint32_t incarnation_before = self.life.incarnation();
  const net::global_id id{in_.id(), actor};
  for (const step one : f(self)) {
    switch (one) {
      case step::ask_lease:
        self.request = in_.ask_for_actor(actor, self.isolated);
        break;
      case step::create: {
        in_.net().learn(self.life.host().id);
        net::create_actor order;
        order.actor = id;
        order.incarnation = self.life.incarnation();
        order.lease = self.lease;
        in_.net().send(self.life.host().id, std::move(order));
        break;
      }
      case step::end_life:
        in_.net().send(host_before, net::end_actor{id, incarnation_before, self.life.reason(), ""});
        break;
      case step::give_lease:
        if (self.request != 0) in_.withdraw(std::exchange(self.request, 0));
        if (self.lease != 0) {
          in_.net().send(self.lease_node, net::return_lease{std::exchange(self.lease, 0)});
        }
        break;
      case step::publish: {
        net::actor_at where;
        where.actor = actor;
        where.incarnation = self.life.incarnation();
        where.phase = self.life.phase();
        where.host = self.life.host();
        for (const process_id watcher : self.watchers) in_.net().send(watcher, where);
        break;
      }
      case step::bury:
        if (!self.name.empty()) {
          in_.net().send(in_.head(), net::release_name{"", self.name, id});
        }
        break;
    }
  }
}

void actor_part::granted(std::uint64_t actor, const net::lease_granted& what, process_id node) {
  if (!owned_.contains(actor)) {
    in_.net().send(node, net::return_lease{what.lease});
    return;
  }
  change(actor, [&](owned& self) {
    self.request = 0;
    self.lease = what.lease;
    self.lease_node = node;
    return self.life.placed(what.worker);
  });
}

void actor_part::refused(std::uint64_t actor, const std::string& why) {
  change(actor, [&](owned& self) {
    self.request = 0;
    return self.life.refused(why);
  });
}

void actor_part::on(process_id from, const net::locate_actor& what) {
  net::actor_at where;
  where.actor = what.actor;
  where.phase = actor_phase::dead;
  if (const auto at = owned_.find(what.actor); at != owned_.end()) {
    at->second.watchers.insert(from);
    where.incarnation = at->second.life.incarnation();
    where.phase = at->second.life.phase();
    where.host = at->second.life.host();
  }
  in_.net().send(from, std::move(where));
}

void actor_part::on(process_id, const net::refs_changed& what) {
  for (const auto& one : what.changes) {
    if (references_.change(one.local, one.holder, one.count)) free(one.local);
  }
}

void actor_part::free(std::uint64_t local) {
  change(local, [](owned& self) { return self.life.kill(out_of_scope, "let go", false); });
  owned_.erase(local);
}

void actor_part::count(net::global_id what, std::int32_t by) {
  net::refs_changed change;
  change.changes.push_back({what.local, in_.id(), by});
  if (what.owner == in_.id()) {
    on(in_.id(), change);
  } else {
    in_.net().send(what.owner, std::move(change));
  }
}

void actor_part::on(process_id, const net::actor_created& what) {
  change(what.actor.local, [&](owned& self) {
    return self.life.created(what.incarnation, !what.result.failed, "its constructor threw");
  });
}

void actor_part::on(process_id, const net::actor_ended& what) {
  change(what.actor.local, [&](owned& self) {
    return self.life.ended(what.incarnation, what.reason, what.text, what.reason == failed);
  });
}

void actor_part::on(process_id, const net::kill_actor& what) {
  change(what.actor,
         [&](owned& self) { return self.life.kill(what.reason, what.text, !what.no_restart); });
}

void actor_part::end_all() {
  std::vector<std::uint64_t> all;
  for (const auto& [local, one] : owned_) all.push_back(local);
  for (const std::uint64_t local : all) {
    change(local, [](owned& self) { return self.life.kill(shutdown, "shut down", false); });
  }
  owned_.clear();
  for (auto& [id, one] : handles_) {
    fail(one.waiting);
    fail(one.sent);
  }
  handles_.clear();
  hosted_.clear();
}

void actor_part::cut_off() {
  for (auto& [id, one] : handles_) {
    one.phase = actor_phase::dead;
    fail(one.waiting);
    fail(one.sent);
  }
}

void actor_part::process_gone(process_id gone, const std::string& cause) {
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
  for (auto& [id, one] : handles_) {
    if (id.owner != gone) continue;
    one.phase = actor_phase::dead;
    fail(one.waiting);
    fail(one.sent);
  }
  std::erase_if(hosted_, [gone](const auto& entry) { return entry.first.owner == gone; });
}

// -- the host -------------------------------------------------------------------------------------

void actor_part::on(process_id from, const net::create_actor& what) {
  hosted& made = hosted_[what.actor] = {};
  made.incarnation = what.incarnation;
  const bool throws = sim_.w.random.chance(0.03);
  in_.later(sim_.w.random.time(50us, 5ms), [from, id = what.actor, life = what.incarnation,
                                            throws](program& self) {
    auto& all = self.actors().hosted_;
    const auto at = all.find(id);
    if (at == all.end() || at->second.incarnation != life) return;
    net::actor_created answer;
    answer.actor = id;
    answer.incarnation = life;
    answer.result.failed = throws;
    self.net().send(from, answer);
    if (throws) {
      all.erase(at);
      return;
    }
    self.actors().sim_.w.record(actor_begins, id.owner, id.local, [&] {
      return name_of(id) + " begins life " + std::to_string(life) + " in " + name_of(self.id());
    });
    ++self.actors().sim_.watch.counted.lives;
    at->second.ready = true;
    self.actors().run_next(id);
  });
}

void actor_part::on(process_id from, const net::call_actor& what) {
  const auto at = hosted_.find(what.actor);
  if (at == hosted_.end() || at->second.incarnation != what.incarnation) {
    in_.net().send(from, net::call_done{what.call, what.incarnation, true, {}});
    return;
  }
  at->second.mail.emplace_back(from, what.call);
  run_next(what.actor);
}

void actor_part::run_next(net::global_id actor) {
  hosted& of = hosted_.at(actor);
  if (!of.ready || of.busy || of.mail.empty()) return;
  of.busy = true;
  const auto [from, number] = of.mail.front();
  of.mail.erase(of.mail.begin());
  sim_.w.record(call_runs, actor.owner ^ actor.local, number, [&] {
    return name_of(in_.id()) + " runs call " + std::to_string(number) + " of " + name_of(from) +
           " by " + name_of(actor);
  });
  sim_.watch.began({from, number});
  ++sim_.watch.counted.calls;
  std::uint64_t& last = of.last[from];
  if (number <= last)
    throw violation("calls of one caller ran out of their order: " + name_of(actor));
  last = number;
  const bool fails = sim_.w.random.chance(0.002);
  in_.later(sim_.w.random.time(10us, 2ms),
            [actor, from = from, number = number, life = of.incarnation, fails](program& self) {
              auto& all = self.actors().hosted_;
              const auto at = all.find(actor);
              if (at == all.end() || at->second.incarnation != life) return;
              if (fails) {  // `this_actor::fail()`
                all.erase(at);
                self.net().send(actor.owner, net::actor_ended{actor, life, failed, "it failed"});
                return;
              }
              self.net().send(from, net::call_done{number, life, false, {}});
              at->second.busy = false;
              self.actors().run_next(actor);
            });
}

void actor_part::on(process_id, const net::end_actor& what) {
  const auto at = hosted_.find(what.actor);
  if (at != hosted_.end() && at->second.incarnation == what.incarnation) hosted_.erase(at);
}

// -- the caller -----------------------------------------------------------------------------------

void actor_part::on(process_id, const net::name_reply& what) {
  const auto at = naming_.find(what.request);
  if (at == naming_.end()) return;
  const std::uint64_t mine = at->second;
  naming_.erase(at);
  if (mine != 0) {
    change(mine, [&](owned& self) {
      return what.done ? self.life.begin()
                       : self.life.kill(out_of_scope, "its name is taken", false);
    });
  } else if (what.done && what.actor.owner != in_.id()) {
    in_.net().learn(what.owner.id);
    take_handle(what.actor, false);
  }
}

void actor_part::take_handle(net::global_id actor, bool counted) {
  const auto [at, fresh] = handles_.try_emplace(actor);
  if (!fresh) return;
  if (!counted) count(actor, 1);
  if (!in_.net().send(actor.owner, net::locate_actor{actor.local})) {
    at->second.phase = actor_phase::dead;
  }
}

void actor_part::call(handle& of) {
  const std::uint64_t number = in_.next_number();
  sim_.watch.submitted({in_.id(), number}, 0);
  of.waiting.insert(number);
}

void actor_part::flush(net::global_id actor, handle& of) {
  if (of.phase != actor_phase::alive) return;
  for (const std::uint64_t number : std::exchange(of.waiting, {})) {
    of.sent.insert(number);
    net::call_actor order;
    order.actor = actor;
    order.incarnation = of.incarnation;
    order.call = number;
    in_.net().send(of.host, std::move(order));
  }
}

void actor_part::fail(std::set<std::uint64_t>& calls) {
  for (const std::uint64_t number : std::exchange(calls, {})) {
    sim_.watch.ended({in_.id(), number}, true);
  }
}

void actor_part::on(process_id from, const net::actor_at& what) {
  const auto at = handles_.find({from, what.actor});
  if (at == handles_.end()) return;
  handle& of = at->second;
  if (of.phase == actor_phase::dead || what.incarnation < of.incarnation) return;
  sim_.w.record(actor_moves, in_.id(), what.incarnation, [&] {
    return name_of(in_.id()) + " hears that " + name_of(at->first) + " is in phase " +
           std::to_string(static_cast<int>(what.phase)) + " of life " +
           std::to_string(what.incarnation) + " at " + name_of(what.host.id);
  });
  const bool another = what.incarnation != of.incarnation || what.phase == actor_phase::restarting;
  of.phase = what.phase;
  of.incarnation = what.incarnation;
  of.host = what.host.id;
  if (of.phase == actor_phase::dead) {
    fail(of.waiting);
    fail(of.sent);
    return;
  }
  if (another) fail(of.sent);  // they may have run
  if (of.host != 0) in_.net().learn(of.host);
  flush(at->first, of);
}

void actor_part::on(process_id, const net::call_done& what) {
  for (auto& [id, of] : handles_) {
    if (!of.sent.contains(what.call)) continue;
    if (what.incarnation != of.incarnation) return;  // it has been sent again, or waits for that
    of.sent.erase(what.call);
    if (!what.refused) {
      sim_.watch.ended({in_.id(), what.call}, what.result.failed);
      return;
    }
    of.waiting.insert(what.call);
    if (of.phase == actor_phase::alive) {
      of.phase = actor_phase::restarting;  // until its owner tells where it is now
      in_.net().send(id.owner, net::locate_actor{id.local});
    }
    return;
  }
}

}  // namespace troupe::sim
