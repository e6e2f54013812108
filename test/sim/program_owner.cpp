// The owner in a simulated process: has its tasks run by leases of nodes, as `net/task_owner.cpp`
// and `net/lease_desk.cpp` do.
#include <utility>

#include "core/retry_state.hpp"
#include "test/sim/program.hpp"
#include "test/sim/program_running.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

// As the owner has it.
constexpr auto idle_lease = 10ms;

enum record : std::uint64_t { task_sent = 40, task_ended = 42, lease_asked = 44 };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

program::line& program::line_of(const shape& what) {
  auto& known = lines_[what];
  if (!known) {
    known = std::make_unique<line>();
    known->what = what;
  }
  return *known;
}

void program::pump(line& of) {
  std::vector<flight_state::departure> leaving;
  flights_.fill(
      of,
      [&of]() -> std::pair<task*, std::uint64_t> {
        if (of.waiting.empty()) return {nullptr, 0};
        task* const next = of.waiting.front();
        of.waiting.pop_front();
        return {next, next->id};
      },
      leaving);
  if (!of.waiting.empty() && flights_.ask(of)) ask(of);
  for (const auto& one : leaving) send(one);
}

void program::ask(line& of) {
  net::request_lease wanted;
  wanted.job = job_;
  wanted.wanted = of.what.wanted;
  wanted.isolated = of.what.isolated;
  wanted.name = "task";
  if (of.what.spread) wanted.placement = net::placement_kind::spread;
  wanted.group = of.what.group;
  wanted.bundle = of.what.bundle;
  ask(std::move(wanted), {&of, 0});
}

std::uint64_t program::ask_for_actor(std::uint64_t actor, net::request_lease wanted) {
  wanted.job = job_;
  wanted.name = "actor";
  wanted.for_actor = true;
  return ask(std::move(wanted), {nullptr, actor});
}

void program::withdraw(std::uint64_t request) {
  if (const auto at = requests_.withdraw(request)) net_.send(*at, net::cancel_request{request});
}

std::uint64_t program::ask(net::request_lease wanted, requester who) {
  wanted.home = node_;
  wanted.outlives_job = outlives_job_;
  const process_id first = wanted.group ? head() : node_;
  const net::request_lease& asked = requests_.ask(std::move(wanted), who, first);
  sim_.w.record(lease_asked, id(), asked.request, [&] {
    return name_of(id()) + " asks for a lease, request " + std::to_string(asked.request);
  });
  const bool cut_off = requests_.is_gone(node_);
  if (cut_off || (!send_request(asked) && first == node_)) {
    later(1us, [number = asked.request](program& self) {
      if (const auto whose = self.requests_.answered(number)) self.refuse(*whose);
    });
  }
  return asked.request;
}

bool program::send_request(const net::request_lease& what) {
  return net_.send(what.group ? head() : node_, what);
}

void program::refuse(const requester& who) {
  if (who.of != nullptr) return refuse(*who.of);
  actors_.owner().refused(who.actor, "no lease can be had");
}

void program::refuse(line& of) {
  of.asking = false;
  for (task* const hopeless : std::exchange(of.waiting, {})) {
    end(*hopeless, true, "no lease can be had");
  }
}

void program::send(const flight_state::departure& one) {
  task& what = *one.task;
  if (what.cancelled) {
    const auto landed = flights_.returned(what.id);
    if (!landed) return;
    line& of = static_cast<line&>(*landed->by->of);
    pump(of);
    watch_idle(*landed->by);
    return end(what, true, "cancelled");
  }
  sim_.w.record(task_sent, id(), what.id, [&] {
    return name_of(id()) + " sends task " + std::to_string(what.id) + " attempt " +
           std::to_string(what.attempt) + " to " + name_of(one.worker) + " lease " +
           std::to_string(one.under);
  });
  net::run_task order;
  order.task = what.id;
  order.lease = one.under;
  order.function = what.function;
  order.attempt = static_cast<std::uint32_t>(what.attempt);
  net_.send(one.worker, std::move(order));
}

void program::watch_idle(flight_state::lease& of) {
  if (!flights_.watch_idle(of)) return;
  later(idle_lease, [line_ = static_cast<line*>(of.of), node = of.node, id = of.id](program& self) {
    if (self.flights_.idle_over(*line_, node, id)) self.net_.send(node, net::return_lease{id});
  });
}

void program::move_to_isolation(task& what) {
  shape alone = what.home->what;
  alone.isolated = true;
  what.home = &line_of(alone);
}

void program::again(task& what, duration wait) {
  if (wait > 0ns) {
    return later(wait, [number = what.id](program& self) {
      const auto at = self.tasks_.find(number);
      if (at != self.tasks_.end()) self.again(*at->second, 0ns);
    });
  }
  what.home->waiting.push_back(&what);
  pump(*what.home);
}

void program::end(task& what, bool failed, const char* why) {
  sim_.w.record(task_ended, id() ^ (failed ? 1U : 0U), what.id, [&] {
    return name_of(id()) + " has " + (failed ? "an error" : "a value") + " of task " +
           std::to_string(what.id) + ": " + why;
  });
  sim_.watch.ended({id(), what.id}, failed);
  const net::global_id parent = what.parent;
  const auto at = running_.find(parent);
  if (at != running_.end()) at->second->children.erase(what.id);
  const std::uint64_t number = what.id;
  const std::int32_t attempt = what.attempt;
  const net::stored_id result = what.result;
  tasks_.erase(number);
  if (sim_.orders.erase({id(), number}) != 0) {
    values_.task_ended(number, failed, attempt, result);
  }
  if (at != running_.end()) child_ended(parent);
}

void program::cancel(std::uint64_t number) {
  const auto at = tasks_.find(number);
  if (at == tasks_.end()) return;
  task& what = *at->second;
  if (std::exchange(what.cancelled, true)) return;
  const auto where = flights_.find(number);
  if (where) net_.send(where->by->worker, net::cancel_task{number, true});
}

void program::on(process_id from, const net::lease_granted& what) {
  net_.learn(what.worker.id);
  std::optional<requester> who;
  const bool unknown = what.worker.id != id() && !net_.knows(what.worker.id);
  if (unknown || requests_.is_gone(what.worker.id)) {
    const auto again = requests_.granted_in_vain(what.request, node_, head());
    if (again) send_request(*again);
  } else {
    who = requests_.answered(what.request);
  }
  if (!who) {
    net_.send(from, net::return_lease{what.lease});
    return;
  }
  if (who->of == nullptr) return actors_.owner().granted(who->actor, what, from);
  line& of = *who->of;
  flight_state::lease& fresh = flights_.granted(of, what.lease, from, what.worker.id);
  pump(of);
  watch_idle(fresh);
}

void program::on(process_id from, const net::lease_refused& what) {
  if (!requests_.lies_with(from, what.request)) return;
  if (what.why == net::refusal::shutting_down) {
    if (const auto again = requests_.turned_away(from, what.request, node_)) {
      net_.send(node_, *again);
      return;
    }
  }
  if (const auto who = requests_.answered(what.request)) refuse(*who);
}

void program::on(process_id from, const net::lease_redirected& what) {
  const auto next =
      requests_.redirected(from, what.request, what.node.id, node_, head(), what.located);
  if (!next) return;
  if (next->to == what.node.id) net_.learn(what.node);
  if (net_.send(next->to, next->what) || next->to != what.node.id) return;
  requests_gone(what.node.id);
}

/// Its placement group is gone, or the bundle.
void program::on(process_id from, const net::lease_revoked& what) {
  std::vector<flight_state::stranded> tasks;
  for (const auto& [what_it_needs, of] : lines_) {
    const auto worker = flights_.revoked(*of, from, what.lease, tasks);
    if (!worker) continue;
    pump(*of);  // what waits is refused by the head
    for (const auto& [which, was_running] : tasks) {
      net_.send(*worker, net::cancel_task{which->id, true});
      end(*which, true, "its placement group is gone");
    }
    break;
  }
  actors_.owner().on(from, what);
}

void program::requests_gone(process_id gone) {
  const auto lost = requests_.process_gone(gone, node_, head());
  for (const net::request_lease& request : lost.again) send_request(request);
  for (const std::uint64_t number : lost.hopeless) {
    if (const auto who = requests_.answered(number)) refuse(*who);
  }
}

void program::on(process_id from, const net::task_done& what) {
  const auto landed = flights_.done(what.task, sim_.w.now());
  if (!landed) return;
  line& of = static_cast<line&>(*landed->by->of);
  pump(of);
  watch_idle(*landed->by);
  task& done = *landed->task;
  // Who makes or reads values retries deaths alone: what cannot be read stays lost, and -1 is for
  // ever.
  const bool retries_errors = !sim_.orders.contains({id(), what.task});
  if (what.result.failed && !done.cancelled && retries_errors) {
    const core::retry_policy policy{.max_retries = done.max_retries, .delay = 20ms, .jitter = 0.2};
    if (const auto wait = core::retry_state::wait_before(policy, done.attempt, random_.uniform())) {
      ++done.attempt;
      return again(done, *wait);
    }
  }
  const auto made = sim_.results.find({{id(), what.task}, from});
  if (made != sim_.results.end()) done.result = made->second;
  end(done, what.result.failed, what.result.failed ? "it threw" : "it returned");
}

void program::on(process_id, const net::task_returned& what) {
  const auto landed = flights_.returned(what.task);
  if (landed) again(*landed->task, 0ns);
}

}  // namespace troupe::sim
