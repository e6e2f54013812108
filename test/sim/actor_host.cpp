#include "test/sim/actor_host.hpp"

#include "test/sim/actor_owner.hpp"
#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::size_t most_ended = 1'000;

enum record : std::uint64_t { actor_begins = 80, call_runs };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }
std::string name_of(net::global_id id) {
  return "actor " + std::to_string(id.local) + " of " + name_of(id.owner);
}

}  // namespace

/// Whether that life has begun here before: its owner, started again, sends the creation again.
bool actor_host::knows(process_id from, const net::create_actor& what) {
  const auto at = hosted_.find(what.actor);
  const bool lives = at != hosted_.end() && at->second.incarnation == what.incarnation;
  if (lives && at->second.ready) {
    in_.net().send(from, net::actor_created{what.actor, what.incarnation, {}});
  }
  bool over = false;
  for (const net::actor_ended& one : ended_) {
    if (one.actor != what.actor || one.incarnation != what.incarnation) continue;
    over = true;
    in_.net().send(from, one);
  }
  return lives || over;
}

void actor_host::owner_renewed(process_id owner) {
  for (const auto& [id, one] : hosted_) {
    if (id.owner == owner && one.ready) {
      in_.net().send(owner, net::actor_created{id, one.incarnation, {}});
    }
  }
  for (const net::actor_ended& one : ended_) in_.net().send(owner, one);
}

void actor_host::on(process_id from, const net::create_actor& what) {
  if (knows(from, what)) return;
  if (what.actor.owner == in_.head()) in_.outlive_job();
  if (const auto before = hosted_.find(what.actor); before != hosted_.end()) erase(before);
  hosted& made = hosted_[what.actor];
  made.incarnation = what.incarnation;
  made.name = what.options.name;
  const bool throws = sim_.w.random.chance(0.03);
  in_.later(sim_.w.random.time(50us, 5ms),
            [from, id = what.actor, life = what.incarnation, throws](program& self) {
              self.actors().host().constructed(from, id, life, throws);
            });
}

void actor_host::constructed(process_id owner, net::global_id id, std::uint32_t life, bool throws) {
  const auto at = hosted_.find(id);
  if (at == hosted_.end() || at->second.incarnation != life) return;
  net::actor_created answer;
  answer.actor = id;
  answer.incarnation = life;
  answer.result.failed = throws;
  in_.net().send(owner, answer);
  if (throws) {
    erase(at);
    tell_of_end(id, life, exits::constructor_threw);
    return;
  }
  sim_.w.record(actor_begins, id.owner, id.local, [&] {
    return name_of(id) + " begins life " + std::to_string(life) + " in " + name_of(in_.id());
  });
  sim_.watch.actor_lives(id, life);
  at->second.ready = true;
  if (in_.outlives_job() && sim_.w.random.chance(0.4)) {
    at->second.has.push_back(in_.actors().create_one(sim_.w.random));
  }
  run_next(id);
}

void actor_host::tell_of_end(net::global_id actor, std::uint32_t life, std::uint8_t reason) {
  net::actor_ended news{actor, life, reason, "it failed"};
  if (actor.owner == in_.head()) {
    ended_.push_back(news);
    if (ended_.size() > most_ended) ended_.pop_front();
  }
  in_.net().send(actor.owner, std::move(news));
}

void actor_host::on(process_id from, const net::call_actor& what) {
  const auto at = hosted_.find(what.actor);
  if (at == hosted_.end() || at->second.incarnation != what.incarnation) {
    in_.net().send(from, net::call_done{what.call, what.incarnation, true, {}});
    return;
  }
  at->second.mail.emplace_back(from, what.call);
  run_next(what.actor);
}

void actor_host::run_next(net::global_id actor) {
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
              actor_host& host = self.actors().host();
              const auto at = host.hosted_.find(actor);
              if (at == host.hosted_.end() || at->second.incarnation != life) return;
              if (fails) {  // `this_actor::fail()`
                host.erase(at);
                return host.tell_of_end(actor, life, exits::failed);
              }
              self.net().send(from, net::call_done{number, life, false, {}});
              at->second.busy = false;
              host.run_next(actor);
            });
}

void actor_host::on(process_id, const net::end_actor& what) {
  const auto at = hosted_.find(what.actor);
  if (at == hosted_.end() || at->second.incarnation != what.incarnation) return;
  erase(at);
  tell_of_end(what.actor, what.incarnation, what.reason);
}

void actor_host::process_gone(process_id gone) {
  for (auto at = hosted_.lower_bound({gone, 0}); at != hosted_.end() && at->first.owner == gone;) {
    erase(at++);
  }
}

/// With its handles.
void actor_host::erase(std::map<net::global_id, hosted>::iterator which) {
  const auto had = std::move(which->second.has);
  hosted_.erase(which);
  for (const net::global_id one : had) in_.actors().drop(one);
}

}  // namespace troupe::sim
