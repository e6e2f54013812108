#include "test/sim/actors.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::size_t most_owned = 5;
constexpr std::size_t most_pending = 100;

enum record : std::uint64_t { actor_moves = 82 };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }
std::string name_of(net::global_id id) {
  return "actor " + std::to_string(id.local) + " of " + name_of(id.owner);
}

}  // namespace

actor_part::actor_part(simulation& sim, program& in)
    : sim_(sim), in_(in), owner_(in), host_(sim, in) {}

// -- the program ----------------------------------------------------------------------------------

void actor_part::work(rng& draw) {
  if (draw.chance(0.3) && owner_.all().size() < most_owned) create(draw);
  if (draw.chance(0.05)) create_detached(draw);
  if (draw.chance(0.2)) {
    const std::string name = (draw.chance(0.7) ? "n" : "d") + std::to_string(draw.below(4));
    const std::uint64_t request = ++last_request_;
    ask(request, {net::find_name{request, "", name}, name});
  }
  for (auto& [id, one] : handles_) {
    if (one.state.is_dead() || draw.chance(0.5)) continue;
    if (draw.chance(0.01)) order_end(id, one, draw.chance(0.5));
    const auto room =
        static_cast<std::int64_t>(most_pending - std::min(one.waiting.size(), most_pending));
    for (std::int64_t i = std::min(draw.between(0, 8), room); i > 0; --i) call(one);
    flush(id, one);
  }
}

void actor_part::create(rng& draw) {
  const std::uint64_t local = in_.next_number();
  actor_owner::plan what;
  what.max_restarts = static_cast<std::int32_t>(draw.between(0, 3));
  what.lease.isolated = draw.chance(0.2);
  const bool named = draw.chance(0.7);
  if (named) what.name = "n" + std::to_string(draw.below(4));
  const net::global_id id{in_.id(), local};
  net::register_name order;
  order.name = what.name;
  order.class_name = "actor";
  order.actor = id;
  order.owner = in_.net().self();
  owner_.own(local, std::move(what));
  take_handle(id, true);
  if (!named) return owner_.begin(local);
  order.request = ++last_request_;
  const std::string name = order.name;
  ask(order.request, {std::move(order), name, local});
}

net::global_id actor_part::create_one(rng& draw) {
  const net::global_id id{in_.id(), in_.next_number()};
  actor_owner::plan what;
  what.max_restarts = -1;
  what.lease.isolated = draw.chance(0.3);
  what.lease.placement = net::placement_kind::spread;
  owner_.own(id.local, std::move(what));
  take_handle(id, true);
  owner_.begin(id.local);
  handle& of = handles_.at(id);
  for (std::int64_t i = draw.between(0, 5); i > 0; --i) call(of);
  flush(id, of);
  return id;
}

void actor_part::drop(net::global_id actor) {
  const auto at = handles_.find(actor);
  if (at == handles_.end()) return;
  fail(at->second.waiting);
  fail(at->second.sent);
  handles_.erase(at);
  count(actor, -1);
}

void actor_part::create_detached(rng& draw) {
  net::adopt_actor order;
  order.request = ++last_request_;
  order.job = in_.job();
  order.class_name = "actor";
  order.options.detached = true;
  order.options.name = "d" + std::to_string(draw.below(4));
  order.options.max_restarts = draw.chance(0.6) ? -1 : static_cast<std::int32_t>(draw.below(4));
  order.lease.isolated = draw.chance(0.2);
  const std::string name = order.options.name;
  ask(order.request, {std::move(order), name, 0, true});
}

void actor_part::put_away(const std::string& name) {
  const std::uint64_t request = ++last_request_;
  ask(request, {net::find_name{request, "", name}, name, 0, false, true});
}

void actor_part::go_on_putting_away() {
  for (auto& [id, one] : handles_) {
    const bool answered = one.waiting.empty() && one.sent.empty();
    const bool over = one.state.is_dead() || one.state.ordered_end();
    if (one.put_away && answered && !over) order_end(id, one, false);
  }
}

void actor_part::ask(std::uint64_t request, question what) {
  in_.net().send(in_.head(), what.asked);
  naming_.emplace(request, std::move(what));
}

void actor_part::order_end(net::global_id id, handle& of, bool may_restart) {
  if (id.owner == in_.id()) return owner_.kill(id.local, exits::killed, "killed", may_restart);
  if (!may_restart) sim_.watch.end_ordered(id);
  in_.net().send(id.owner, of.state.order_end(id.local, exits::killed, "killed", may_restart));
}

void actor_part::let_go() {
  std::vector<net::global_id> idle;
  for (const auto& [id, one] : handles_) {
    if (one.waiting.empty() && one.sent.empty() && !one.put_away) idle.push_back(id);
  }
  for (const net::global_id id : idle) {
    handles_.erase(id);
    count(id, -1);
  }
}

bool actor_part::has_pending() const {
  if (!naming_.empty()) return true;
  return std::any_of(handles_.begin(), handles_.end(), [](const auto& entry) {
    const handle& one = entry.second;
    return !one.waiting.empty() || !one.sent.empty() || (one.put_away && !one.state.is_dead());
  });
}

std::string actor_part::waits_for() const {
  if (!naming_.empty()) return "the head's answer about the name " + naming_.begin()->second.name;
  for (const auto& [id, one] : handles_) {
    if (one.waiting.empty() && one.sent.empty() && !one.put_away) continue;
    constexpr const char* phases[] = {"pending", "alive", "restarting", "dead"};
    std::string text = std::to_string(one.waiting.size()) + " calls wait and " +
                       std::to_string(one.sent.size()) + " are sent to " + name_of(id) +
                       ", which is " + phases[static_cast<int>(one.state.phase())] + " in life " +
                       std::to_string(one.state.incarnation()) + " at " +
                       name_of(one.state.host().id);
    if (one.put_away) text += ", and it was ordered to end";
    return text + sim_.describe_actor(id, in_.id());
  }
  return {};
}

void actor_part::end_all() {
  owner_.end_all();
  for (auto& [id, one] : handles_) {
    fail(one.waiting);
    fail(one.sent);
  }
  handles_.clear();
  naming_.clear();
  host_.end_all();
}

/// Its node is lost: nobody tells it anything any more.
void actor_part::cut_off() {
  naming_.clear();
  for (auto& [id, one] : handles_) {
    one.state.end();
    fail(one.waiting);
    fail(one.sent);
  }
}

void actor_part::process_gone(process_id gone, const std::string& cause) {
  owner_.process_gone(gone, cause);
  for (auto& [id, one] : handles_) {
    if (id.owner != gone) continue;
    one.state.end();
    fail(one.waiting);
    fail(one.sent);
  }
  host_.process_gone(gone);
}

void actor_part::head_renewed() {
  const process_id head = in_.head();
  owner_.head_renewed();
  host_.owner_renewed(head);
  for (auto& [id, one] : handles_) {
    if (id.owner != head) continue;
    count(id, 1);
    if (one.state.is_dead()) continue;
    if (one.state.ordered_end()) in_.net().send(head, *one.state.ordered_end());
    in_.net().send(head, net::locate_actor{id.local});
  }
  for (const auto& [request, one] : naming_) in_.net().send(head, one.asked);
}

void actor_part::count(net::global_id what, std::int32_t by) {
  net::refs_changed change;
  change.changes.push_back({what.local, in_.id(), by});
  if (what.owner == in_.id()) {
    owner_.on(in_.id(), change);
  } else {
    in_.net().send(what.owner, std::move(change));
  }
}

// -- the caller -----------------------------------------------------------------------------------

void actor_part::on(process_id, const net::name_reply& what) {
  const auto at = naming_.find(what.request);
  if (at == naming_.end()) return;
  const question asked = std::move(at->second);
  naming_.erase(at);
  if (asked.created != 0) {
    if (what.done) return owner_.begin(asked.created);
    return owner_.kill(asked.created, exits::out_of_scope, "its name is taken", false);
  }
  if (asked.adoption && what.done) sim_.watch.adopted(what.actor, asked.name);
  if (asked.put_away && !what.done) sim_.watch.not_found(asked.name);
  if (!what.done || what.actor.owner == in_.id()) return;
  in_.net().learn(what.owner);
  take_handle(what.actor, false);
  if (!asked.put_away) return;
  handle& of = handles_.at(what.actor);
  of.put_away = true;
  call(of);
  flush(what.actor, of);
}

void actor_part::take_handle(net::global_id actor, bool counted) {
  const auto [at, fresh] = handles_.try_emplace(actor);
  if (!fresh) return;
  if (!counted) count(actor, 1);
  if (!in_.net().send(actor.owner, net::locate_actor{actor.local})) {
    at->second.state.end();
  }
}

void actor_part::call(handle& of) {
  const std::uint64_t number = in_.next_number();
  sim_.watch.submitted({in_.id(), number}, 0);
  of.waiting.insert(number);
}

void actor_part::flush(net::global_id actor, handle& of) {
  if (of.state.is_dead()) return fail(of.waiting);
  if (of.state.is_away()) return;
  for (const std::uint64_t number : std::exchange(of.waiting, {})) {
    of.sent.insert(number);
    net::call_actor order;
    order.actor = actor;
    order.incarnation = of.state.incarnation();
    order.call = number;
    in_.net().send(of.state.host().id, std::move(order));
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
  using news = net::actor_handle_state::news;
  const news heard = of.state.heard(what);
  if (heard == news::none) return;
  sim_.w.record(actor_moves, in_.id(), what.incarnation, [&] {
    return name_of(in_.id()) + " hears that " + name_of(at->first) + " is in phase " +
           std::to_string(static_cast<int>(what.phase)) + " of life " +
           std::to_string(what.incarnation) + " at " + name_of(what.host.id);
  });
  if (heard == news::over) {
    of.state.end();
    fail(of.waiting);
    fail(of.sent);
    return;
  }
  if (heard == news::another) fail(of.sent);  // they may have run
  if (of.state.host().id != 0) in_.net().learn(of.state.host());
  flush(at->first, of);
}

void actor_part::on(process_id, const net::call_done& what) {
  for (auto& [id, of] : handles_) {
    if (!of.sent.contains(what.call)) continue;
    if (what.incarnation != of.state.incarnation())
      return;  // it has been sent again, or waits for that
    of.sent.erase(what.call);
    if (!what.refused) return sim_.watch.ended({in_.id(), what.call}, what.result.failed);
    of.waiting.insert(what.call);
    if (of.state.refused()) in_.net().send(id.owner, net::locate_actor{id.local});
    return;
  }
}

}  // namespace troupe::sim
