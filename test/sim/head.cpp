#include "test/sim/head.hpp"

#include <type_traits>

#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr auto tick_interval = 100ms;

enum record : std::uint64_t { head_says = 100, head_stores };

}  // namespace

head_process::head_process(simulation& sim, process_id cluster, process_id own_node,
                           durable_store& store)
    : sim_(sim),
      life_(store.begin_life()),
      net_(sim.net, cluster, 0, *this, life_),
      node_(own_node),
      store_(store),
      owner_(*this),
      last_local_(std::uint64_t{life_} << 32U) {
  owner_.on_change = [this](const net::stored_life& now, const net::actor_life_state& life) {
    changed(now, life);
  };
}

void head_process::begin() {
  net::control_settings settings;
  settings.self = net_.self();
  settings.own_node = node_;
  settings.life = life_;
  control_ = std::make_unique<net::control_state>(settings);
  net_.learn(node_);
  net::stored_cluster known = store_.read();
  known.life = life_;
  auto actors = std::move(known.actors);
  const auto lives = std::move(known.lives);
  control_->recover(sim_.w.now(), std::move(known), actors);
  recover(std::move(actors), lives);
  carry_out();
  tick();
}

void head_process::tick() {
  control_->tick(sim_.w.now());
  look_for_quiet_nodes();
  carry_out();
  sim_.after_in_head(tick_interval, [this] { tick(); });
}

/// As `net::listener_watch`: whether anybody listens where a node did.
void head_process::look_for_quiet_nodes() {
  for (const net::peer& one : control_->quiet_nodes(sim_.w.now())) {
    const bool answers =
        !sim_.net.reachable(0, sim_.net.machine_of(one.id)) || sim_.net.lives(one.id);
    if (answers) continue;
    sim_.after_in_head(sim_.w.random.time(100us, 3ms), [this, id = one.id] {
      if (!control_->is_node(id)) return;
      control_->node_gone(sim_.w.now(), id, "its daemon has ended: nothing listens", false);
      carry_out();
    });
  }
}

// -- messages -------------------------------------------------------------------------------------

void head_process::received(process_id from, const any_message& what) {
  std::visit(
      [&](const auto& m) {
        using T = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<T, net::request_lease>) {
          if (m.group) control_->received(sim_.w.now(), from, m);
        } else if constexpr (requires { control_->received(sim_.w.now(), from, m); }) {
          control_->received(sim_.w.now(), from, m);
        } else if constexpr (requires { on(from, m); }) {
          on(from, m);
        } else if constexpr (requires { owner_.on(from, m); }) {
          owner_.on(from, m);
        }
      },
      what);
  carry_out();
}

void head_process::unreachable(process_id peer, const std::string& why) {
  control_->node_gone(sim_.w.now(), peer, "cannot be reached: " + why, false);
  carry_out();
}

bool head_process::deliver(process_id to, any_message what) {
  if (to != id() && !net_.knows(to)) return false;
  batch_.sends.emplace_back(to, std::move(what));
  if (!std::exchange(closing_later_, true)) {
    sim_.after_in_head(0ns, [this] {
      closing_later_ = false;
      carry_out();
    });
  }
  return true;
}

// -- what is stored, and then sent ----------------------------------------------------------------

void head_process::carry_out() {
  for (bool more = true; more;) {
    more = false;
    for (const net::control_effect& effect : control_->take_effects()) {
      more = true;
      std::visit([this](const auto& e) { act(e); }, effect);
    }
  }
  if (batch_.empty()) return;
  if (batch_.changes.empty() && held_.empty()) return release(std::exchange(batch_, {}));
  held_.push_back(std::exchange(batch_, {}));
  ++queued_;
  write();
}

/// As `net::store_writer`: what has queued meanwhile becomes one transaction.
void head_process::write() {
  if (writing_ || queued_ == 0) return;
  writing_ = true;
  const std::size_t batches = std::exchange(queued_, 0);
  const duration takes =
      sim_.w.random.chance(0.02) ? sim_.w.random.time(5ms, 300ms) : sim_.w.random.skewed(30us, 3ms);
  sim_.after_in_head(takes, [this, batches] {
    if (sim_.head_dies_now()) return;
    std::vector<net::store_change> changes;
    for (std::size_t i = 0; i < batches; ++i) {
      const auto& of = held_[i].changes;
      changes.insert(changes.end(), of.begin(), of.end());
    }
    store_.commit(changes);
    sim_.w.record(head_stores, id(), changes.size(), [&] {
      return "the head has stored " + std::to_string(changes.size()) + " rows";
    });
    writing_ = false;
    sim_.after_in_head(1us, [this, batches] { written(batches); });
    write();
  });
}

void head_process::written(std::size_t batches) {
  for (std::size_t i = 0; i < batches; ++i) {
    if (sim_.head_dies_now()) return;
    const batch stored = std::move(held_.front());
    held_.pop_front();
    release(stored);
  }
}

void head_process::release(const batch& stored) {
  for (const auto& [to, what] : stored.sends) net_.send(to, what);
  for (const process_id gone : stored.forgotten) net_.forget(gone);
}

void head_process::act(const net::send_from_control& e) {
  std::visit(
      [&](auto what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, net::name_reply>) {
          if (e.to == id()) return named(what);
        }
        if constexpr (std::is_same_v<T, net::joined>) {
          if (what.returning) {
            what.leases = owner_.leases_of(e.to);
            ++sim_.watch.counted.recovered;
          }
        }
        if constexpr (std::is_same_v<T, net::process_died>) {
          sim_.watch.declared_dead(what.process);
        }
        if (e.at_once) {
          net_.send(e.to, std::move(what));
        } else {
          batch_.sends.emplace_back(e.to, std::move(what));
        }
      },
      e.what);
}

void head_process::act(const net::process_over& e) {
  requests_gone(e.what.process);
  owner_.process_gone(e.what.process, e.what.cause);
}

void head_process::act(const net::node_back& e) {
  for (const process_id one : e.processes) owner_.confirm(one);
}

void head_process::act(const net::say& e) {
  sim_.w.record(head_says, id(), e.text.size(), [&] { return "the head says: " + e.text; });
}

// -- detached actors ------------------------------------------------------------------------------

void head_process::recover(std::vector<net::stored_actor>&& known,
                           const std::map<std::uint64_t, net::stored_life>& lives) {
  for (const net::stored_actor& one : known) {
    const auto at = lives.find(one.local);
    begin_to_own(one, at != lives.end() ? &at->second : nullptr);
  }
}

void head_process::begin_to_own(const net::stored_actor& what, const net::stored_life* life) {
  const net::adopt_actor& order = what.order;
  actor_owner::plan plan{order.options.name, order.options.max_restarts, order.lease};
  plan.lease.job = order.job;
  const bool is_new = what.local > (std::uint64_t{life_} << 32U);
  actors_[what.local] = {what.asker, order.request, order.job, life != nullptr};
  asked_[{what.asker, order.request}] = what.local;
  control_->hold_job(order.job);
  if (is_new) return owner_.own(what.local, std::move(plan));
  net::stored_life fresh;
  fresh.local = what.local;
  fresh.restarts_left = order.options.max_restarts;
  owner_.take_up(life != nullptr ? *life : fresh, std::move(plan));
}

void head_process::on(process_id from, const net::adopt_actor& what) {
  if (const auto known = asked_.find({from, what.request}); known != asked_.end()) {
    deliver(from, net::name_reply{what.request, true, "actor", {id(), known->second}, net_.self()});
    return;
  }
  net::stored_actor asked;
  asked.asker = from;
  asked.order = what;
  asked.local = ++last_local_;
  begin_to_own(asked, nullptr);
  batch_.changes.push_back(net::put_row(net::store_table::actors, std::to_string(asked.local),
                                        what.options.name, asked, true));
  control_->received(
      sim_.w.now(), id(),
      net::register_name{
          asked.local, "", what.options.name, "actor", {id(), asked.local}, net_.self()});
}

void head_process::named(const net::name_reply& reply) {
  const std::uint64_t local = reply.request;
  const auto at = actors_.find(local);
  if (at == actors_.end() || at->second.named) return;
  at->second.named = true;
  net::name_reply answer = reply;
  answer.request = at->second.request;
  const process_id asker = at->second.asker;
  if (reply.done) {
    owner_.begin(local);
  } else {
    owner_.kill(local, exits::out_of_scope, "its name is taken", false);
  }
  deliver(asker, std::move(answer));
}

void head_process::changed(const net::stored_life& now, const net::actor_life_state& life) {
  if (life.phase() != net::actor_phase::dead) {
    batch_.changes.push_back(
        net::put_row(net::store_table::lives, std::to_string(now.local), "actor", now));
    return;
  }
  const auto at = actors_.find(now.local);
  if (at == actors_.end()) return;
  const auto says = [&life](const char* what) {
    return life.text().find(what) != std::string::npos;
  };
  // Of what keeps it from being placed, workers that cannot begin are the only reason to give up.
  const bool threw = life.reason() == exits::constructor_threw &&
                     (!says("could not be placed") || says("3 times in a row"));
  sim_.watch.buried({id(), now.local}, threw || life.restarts_left() == 0, life.text());
  control_->release_job(sim_.w.now(), at->second.job);
  asked_.erase({at->second.asker, at->second.request});
  actors_.erase(at);
  for (const auto table : {net::store_table::actors, net::store_table::lives}) {
    batch_.changes.push_back(net::remove_row(table, std::to_string(now.local)));
  }
}

// -- leases of theirs -----------------------------------------------------------------------------

std::uint64_t head_process::ask_for_actor(std::uint64_t actor, net::request_lease wanted) {
  wanted.home = id();
  wanted.name = "actor";
  wanted.for_actor = true;
  const net::request_lease& asked = requests_.ask(std::move(wanted), actor, node_);
  deliver(node_, asked);
  return asked.request;
}

void head_process::withdraw(std::uint64_t request) {
  if (const auto at = requests_.withdraw(request)) deliver(*at, net::cancel_request{request});
}

void head_process::on(process_id from, const net::lease_granted& what) {
  net_.learn(what.worker);
  std::optional<std::uint64_t> who;
  if (!net_.knows(what.worker.id) || requests_.is_gone(what.worker.id)) {
    if (const auto again = requests_.granted_in_vain(what.request, node_)) deliver(node_, *again);
  } else {
    who = requests_.answered(what.request);
  }
  if (!who) {
    deliver(from, net::return_lease{what.lease});
    return;
  }
  owner_.granted(*who, what, from);
}

void head_process::on(process_id from, const net::lease_refused& what) {
  if (!requests_.lies_with(from, what.request)) return;
  if (what.why == net::refusal::shutting_down) {
    if (const auto again = requests_.turned_away(from, what.request, node_)) {
      deliver(node_, *again);
      return;
    }
  }
  if (const auto who = requests_.answered(what.request)) owner_.refused(*who, what.text);
}

void head_process::on(process_id from, const net::lease_redirected& what) {
  const auto next = requests_.redirected(from, what.request, what.node.id, node_, 0, what.located);
  if (!next) return;
  if (next->to == what.node.id) net_.learn(what.node);
  if (deliver(next->to, next->what) || next->to != what.node.id) return;
  requests_gone(what.node.id);
}

void head_process::requests_gone(process_id gone) {
  const auto lost = requests_.process_gone(gone, node_);
  for (const net::request_lease& request : lost.again) deliver(node_, request);
  for (const std::uint64_t number : lost.hopeless) {
    if (const auto who = requests_.answered(number)) owner_.refused(*who, "its node is gone");
  }
}

}  // namespace troupe::sim
