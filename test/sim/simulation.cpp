#include "test/sim/simulation.hpp"
#include "net/bundle_placement.hpp"

#include <algorithm>
#include <utility>

#include "test/sim/daemon.hpp"
#include "test/sim/head.hpp"
#include "test/sim/program.hpp"

namespace troupe::sim {
namespace {

/// Of what happens: a number from 0 to 99.
constexpr std::uint64_t node_dies = 80;

constexpr auto check_interval = 1s;
constexpr auto put_away_interval = 30s;
/// From the end of the last fault on, all that drivers wait for comes within this time.
constexpr auto all_ends_within = 600s;
/// And when they have left, nothing of theirs is left after this one.
constexpr auto all_is_free_within = 60s;

enum record : std::uint64_t { process_begins = 60, process_ends, node_begins, fault_happens };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

network_settings draw_network(rng& draw) {
  network_settings s;
  s.least_delay = draw.skewed(20us, 500us);
  s.most_delay = s.least_delay * draw.between(2, 40);
  if (draw.chance(0.3)) s.frame_loss = 0.002;
  return s;
}

}  // namespace

simulation::simulation(const settings& wanted, result& out)
    : w(wanted.seed),
      net(w, draw_network(w.random)),
      wanted_(wanted),
      out_(out),
      faults_(w.random.fork()) {
  cluster_ = new_id();
  heads_die_ = faults_.chance(0.7);
  nodes_die_often_ = faults_.chance(0.2);
  w.trace = wanted.trace;
  if (!wanted.faults) net.stop_losing_frames();
}

simulation::~simulation() = default;

net::peer simulation::head() const { return head_->net().self(); }

void simulation::after_in_head(duration wait, std::function<void()> f) {
  w.after(wait, [this, life = head_life_, f = std::move(f)] {
    if (head_ != nullptr && head_life_ == life) f();
  });
}

daemon* simulation::find_node(process_id node) const {
  daemon* const there = machines[net.machine_of(node)].node.get();
  return there != nullptr && there->id() == node ? there : nullptr;
}

void simulation::after_in_node(duration wait, process_id node, std::function<void(daemon&)> f) {
  w.after(wait, [this, node, f = std::move(f)] {
    if (daemon* const there = find_node(node)) f(*there);
  });
}

const process_id* simulation::find_worker(std::uint64_t token) const {
  const auto found = workers_.find(token);
  return found == workers_.end() ? nullptr : &found->second;
}

// -- machines -------------------------------------------------------------------------------------

/// The head and the first node are one process.
void simulation::start_node(std::size_t index) {
  if (index != 0 && head_ == nullptr) return w.after(1s, [this, index] { start_node(index); });
  machine& on = machines[index];
  on.restarting = false;
  const process_id id = new_id();
  w.record(node_begins, id, index,
           [&] { return "node" + std::to_string(index) + " begins as " + name_of(id); });
  if (index == 0) {
    ++head_life_;
    head_began_ = w.now();
    head_ = std::make_unique<head_process>(*this, cluster_, id, store_);
    on.node = std::make_unique<daemon>(*this, index, id);
    head_->begin();
  } else {
    on.node = std::make_unique<daemon>(*this, index, id);
  }
  on.node->begin();
}

void simulation::end(daemon& which) {
  const std::size_t index = which.machine();
  w.record(node_begins, which.id(), index,
           [&] { return "node" + std::to_string(index) + " ends"; });
  which.net().close();
  dead_daemons_.push_back(std::move(machines[index].node));
  machines[index].restarting = true;
  duration away = faults_.time(500ms, 8s);
  if (index == 0) {
    head_->net().close();
    dead_heads_.push_back(std::move(head_));
    away = faults_.chance(0.05) ? faults_.time(60s, 80s) : faults_.skewed(100ms, 12s);
  }
  w.after(away, [this, index] { start_node(index); });
}

void simulation::kill_head() {
  if (head_ == nullptr) return;
  ++out_.faults.heads_killed;
  w.record(fault_happens, 7, 0, [] { return "FAULT: the head is killed"; });
  end(*machines.front().node);
}

bool simulation::head_dies_now() {
  if (head_steps_left_ == 0 || --head_steps_left_ > 0) return false;
  kill_head();
  return true;
}

// -- processes ------------------------------------------------------------------------------------

void simulation::start_worker(daemon& by, std::uint64_t token, net::job_id) {
  const process_id node = by.id();
  const std::size_t index = by.machine();
  const bool fails = wanted_.faults && w.now() < busy_until_ && faults_.chance(0.03);
  after_in_node(w.random.time(20ms, 200ms), node, [this, node, index, token, fails](daemon& of) {
    if (fails) return of.worker_exited(token, "exit code 1", false);
    auto made =
        std::make_unique<program>(*this, index, new_id(), node, net::process_role::worker, token);
    program& added = *made;
    programs[added.id()] = std::move(made);
    workers_[token] = added.id();
    w.record(process_begins, added.id(), token, [&] {
      return "worker " + name_of(added.id()) + " begins on node" + std::to_string(index);
    });
    added.begin();
  });
}

void simulation::start_driver(std::size_t index, const std::vector<std::string>& puts_away) {
  daemon* const on = machines[index].node.get();
  if (on == nullptr || !on->joined()) {
    return w.after(1s, [this, index, puts_away] { start_driver(index, puts_away); });
  }
  auto made =
      std::make_unique<program>(*this, index, new_id(), on->id(), net::process_role::driver, 0);
  program& added = *made;
  programs[added.id()] = std::move(made);
  w.record(process_begins, added.id(), 0, [&] {
    return "driver " + name_of(added.id()) + " begins on node" + std::to_string(index);
  });
  if (w.now() >= busy_until_) added.no_more_work();
  if (!puts_away.empty()) added.only_put_away(puts_away);
  added.begin();
}

/// Detached actors and groups are still there when all drivers have left: one more driver finds
/// them. False when there are none.
bool simulation::put_detached_away() {
  if (head_ == nullptr) return true;
  const net::status of = head_->control().make_status();
  if (of.actors.empty() && of.groups.empty() && watch.promised() == 0) return false;
  start_driver(0, {"d0", "d1", "d2", "d3", "g0", "g1", "g2"});
  return true;
}

void simulation::end(program& which, const std::string& cause, bool in_order) {
  const auto at = programs.find(which.id());
  if (at == programs.end()) return;
  w.record(process_ends, which.id(), in_order ? 1 : 0,
           [&] { return "process " + name_of(which.id()) + " ends: " + cause; });
  which.net().close();
  const std::uint64_t token = which.token();
  const process_id node = which.node();
  const bool is_worker = which.is_worker();
  dead_programs_.push_back(std::move(at->second));
  programs.erase(at);
  workers_.erase(token);
  // After all that it asked of its store.
  after_in_node(100us, node, [cause, who = which.id()](daemon& of) { of.store().end(who, cause); });
  after_in_node(w.random.skewed(200us, 50ms), node,
                [token, is_worker, cause, in_order, who = which.id()](daemon& of) {
                  if (is_worker) {
                    of.worker_exited(token, cause, in_order);
                  } else {
                    of.driver_ended(who);
                  }
                });
  w.after(0ns, [this] { dead_programs_.clear(); });
}

program* simulation::any(bool worker) {
  std::vector<program*> all;
  for (const auto& [id, one] : programs) {
    if (one->is_worker() == worker) all.push_back(one.get());
  }
  return all.empty() ? nullptr : all[faults_.below(all.size())];
}

// -- faults ---------------------------------------------------------------------------------------

void simulation::plan_faults() {
  if (w.now() >= busy_until_) return;
  // Much happens while the head is away: it is to find out afterwards.
  w.after(faults_.skewed(20ms, head_ == nullptr ? 400ms : 2s), [this] {
    if (w.now() >= busy_until_) return;
    fault();
    plan_faults();
  });
}

void simulation::fault() {
  const auto say = [&](std::uint64_t what, const std::string& text) {
    w.record(fault_happens, what, 0, [&] { return "FAULT: " + text; });
  };
  std::uint64_t what = faults_.below(100);
  if (nodes_die_often_ && what < 20) what = node_dies;
  if (what < 50) {
    say(1, "a connection breaks");
    net.break_one();
  } else if (what < 76) {
    if (program* const victim = any(true)) {
      say(2, "worker " + name_of(victim->id()) + " is killed");
      ++out_.faults.workers_killed;
      end(*victim, "signal 9 (Killed)", false);
    }
  } else if (what < node_dies) {
    if (program* const victim = any(false)) {
      say(3, "driver " + name_of(victim->id()) + " is killed");
      ++out_.faults.drivers_killed;
      end(*victim, "signal 9 (Killed)", false);
    }
  } else if (what < 88) {
    const std::size_t index = 1 + faults_.below(machines.size() - 1);
    if (machines.size() > 1 && machines[index].node != nullptr) {
      say(4, "the daemon of node" + std::to_string(index) + " is killed");
      ++out_.faults.nodes_killed;
      end(*machines[index].node);
    }
  } else if (what < 92) {
    const std::size_t many = 1 + faults_.below((machines.size() + 1) / 2);
    say(5, std::to_string(many) + " machines are cut off");
    ++out_.faults.partitions;
    for (std::size_t i = 0; i < many; ++i) {
      net.put_into_group(faults_.below(machines.size()), 1);
    }
    w.after(faults_.skewed(100ms, 25s), [this] { net.heal(); });
  } else if (what < 97) {
    if (!heads_die_ || head_ == nullptr) return;
    if (faults_.chance(0.4)) return kill_head();
    say(8, "the head will be killed at one of its next steps");
    head_steps_left_ = 1 + faults_.below(100);
  } else {
    const std::size_t index = faults_.below(machines.size());
    const double factor = static_cast<double>(faults_.between(2, 50));
    say(6, "node" + std::to_string(index) + " is slow");
    net.slow_down(index, factor);
    w.after(faults_.time(1s, 10s), [this, index] { net.slow_down(index, 1); });
  }
}

// -- the run --------------------------------------------------------------------------------------

void simulation::run() {
  rng draw = w.random.fork();
  const std::size_t nodes =
      wanted_.nodes != 0
          ? wanted_.nodes
          : static_cast<std::size_t>(draw.chance(0.04) ? draw.between(12, 30) : draw.between(1, 8));
  out_.nodes = nodes;
  const duration busy = wanted_.busy > 0ns ? wanted_.busy : draw.time(3s, 20s);
  busy_until_ = w.now() + busy;
  const time began = w.now();
  for (std::size_t i = 0; i < nodes; ++i) {
    machine& one = machines.emplace_back();
    one.index = i;
    one.total.set("CPU", core::resource_amount::from_whole(
                             static_cast<std::uint64_t>(draw.between(i == 0 ? 2 : 1, 8)), "CPU"));
    one.total.set("tape", core::resource_amount::from_whole(2, "tape"));
    const auto gpus = static_cast<std::uint64_t>(draw.chance(0.4) ? draw.between(1, 4) : 0);
    if (gpus > 0 || i == 0) one.total.set("GPU", core::resource_amount::from_whole(gpus, "GPU"));
  }
  for (std::size_t i = 0; i < nodes; ++i) start_node(i);
  const std::int64_t drivers = draw.between(1, 2 + static_cast<std::int64_t>(nodes / 4));
  for (std::int64_t i = 0; i < drivers; ++i) {
    w.after(draw.time(0ns, busy), [this, index = draw.below(nodes)] { start_driver(index, {}); });
  }
  if (wanted_.faults) plan_faults();

  time next_check = w.now();
  bool quiet = false;
  time empty_since{};
  time next_put_away{};
  for (;;) {
    if (w.now() >= next_check) {
      check();
      next_check += check_interval;
    }
    if (!quiet && w.now() >= busy_until_) {
      quiet = true;
      net.heal();
      net.stop_losing_frames();
      head_steps_left_ = 0;
      for (const machine& one : machines) net.slow_down(one.index, 1);
      for (const auto& [id, one] : programs) one->no_more_work();
    }
    if (quiet) {
      const bool drivers_left = any_driver();
      if (drivers_left) {
        empty_since = {};
        if (w.now() > busy_until_ + all_ends_within) {
          for (const auto& [id, one] : programs) {
            if (!one->is_worker()) {
              throw violation("driver " + name_of(id) + " waits for ever: " + one->waits_for() +
                              describe_detached() + describe_nodes());
            }
          }
        }
      } else {
        if (empty_since == time{}) empty_since = w.now();
        if (w.now() > next_put_away && put_detached_away()) {
          next_put_away = w.now() + put_away_interval;
        } else if (head_ != nullptr && w.now() > empty_since + all_is_free_within &&
                   w.now() > head_began_ + all_is_free_within) {
          break;
        }
      }
    }
    w.step();
  }
  check_the_end();
  out_.virtual_time = w.now() - began;
}

/// What is left for the drivers that put away what is detached.
std::string simulation::describe_detached() const {
  if (head_ == nullptr) return " there is no head;";
  const net::status of = head_->control().make_status();
  std::string text = " " + std::to_string(watch.promised()) + " detached are promised;";
  for (const auto& a : of.actors) text += " actor " + a.name + (a.detached ? ", detached;" : ";");
  for (const auto& g : of.groups) {
    text += " group '" + g.name + "' of " + name_of(g.id.owner) + ", " + net::to_text(g.phase) +
            (g.detached ? ", detached, " : ", ") + net::to_text(g.strategy) + " on";
    for (const std::string& node : g.nodes) text += " " + (node.empty() ? "-" : node);
    text += (g.why.empty() ? "" : ", ") + g.why + ";";
  }
  return text;
}

bool simulation::any_driver() const {
  return std::any_of(programs.begin(), programs.end(),
                     [](const auto& entry) { return !entry.second->is_worker(); });
}

result run(const settings& wanted) {
  result out;
  out.seed = wanted.seed;
  simulation sim(wanted, out);
  try {
    sim.run();
  } catch (const violation& e) {
    out.broken = e.what();
  } catch (const std::exception& e) {
    out.broken = std::string("the product threw: ") + e.what();
  }
  out.digest = sim.w.digest();
  out.events = sim.w.events();
  out.sent = sim.net.counted;
  out.work = sim.watch.counted;
  return out;
}

}  // namespace troupe::sim
