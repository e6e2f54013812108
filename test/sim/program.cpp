#include "test/sim/program.hpp"

#include <utility>

#include "test/sim/daemon.hpp"
#include "test/sim/program_running.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

// As the cluster's shell has them.
constexpr auto node_watch_period = 1s;
constexpr auto head_retry_period = 1s;

enum record : std::uint64_t { process_says = 43 };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

program::program(simulation& sim, std::size_t machine, process_id id, process_id node,
                 net::process_role role, std::uint64_t token)
    : sim_(sim),
      net_(sim.net, id, machine, *this),
      role_(role),
      token_(token),
      node_(node),
      random_(sim.w.random.fork()),
      actors_(sim, *this),
      groups_(sim, *this),
      values_(sim, *this) {}

program::~program() = default;

void program::begin() {
  net_.learn(node_);
  net::register_process hello;
  hello.role = role_;
  hello.pid = 1;
  hello.start_token = token_;
  hello.executable = "/program";
  net_.send(node_, std::move(hello));
  watch_node();
  if (is_worker()) return;
  later(20s, [](program& self) {  // `init` gives up
    if (!self.registered_) self.leave();
  });
}

// -- messages -------------------------------------------------------------------------------------

void program::received(process_id from, const any_message& what) {
  if (leaving_) return;
  std::visit(
      [&](const auto& m) {
        if constexpr (requires { on(from, m); }) {
          on(from, m);
        } else if constexpr (requires { groups_.on(from, m); }) {
          groups_.on(from, m);
        } else if constexpr (requires { values_.on(from, m); }) {
          values_.on(from, m);
        } else if constexpr (requires { actors_.on(from, m); }) {
          actors_.on(from, m);
        } else if constexpr (requires { actors_.owner().on(from, m); }) {
          actors_.owner().on(from, m);
        } else if constexpr (requires { actors_.host().on(from, m); }) {
          actors_.host().on(from, m);
        }
      },
      what);
}

void program::unreachable(process_id peer, const std::string& why) {
  if (leaving_) return;
  if (peer != head_.id) return process_gone(peer, why);
  // It may be started again; whether it is gone for good, this process's node knows.
  later(head_retry_period, [](program& self) {
    if (self.leaving_) return;
    self.net_.learn(self.head_);
    self.tell_head_again();
  });
}

void program::renewed(const net::peer& who) {
  if (leaving_ || who.id != head_.id) return;
  head_ = who;
  tell_head_again();
}

void program::tell_head_again() {
  actors_.head_renewed();
  groups_.head_renewed();
  requests_gone(head_.id);
}

void program::on(process_id, const net::registered& what) {
  if (!what.refused.empty()) return leave();
  registered_ = true;
  job_ = what.job;
  head_ = what.head;
  net_.learn(head_);
  for (const std::string& name : put_away_) {
    name.starts_with("g") ? groups_.put_away(name) : actors_.put_away(name);
  }
  if (!is_worker()) work();
}

void program::on(process_id, const net::process_died& what) {
  process_gone(what.process, what.cause);
}

void program::on(process_id, const net::end_process&) { leave(); }

void program::process_gone(process_id gone, const std::string& cause) {
  sim_.w.record(process_says, id(), gone, [&] {
    return name_of(id()) + " hears that " + name_of(gone) + " is gone: " + cause;
  });
  dead_.erase(gone);
  net_.forget(gone);
  requests_gone(gone);

  std::vector<flight_state::stranded> tasks;
  std::vector<line*> touched;
  for (const auto& [what, of] : lines_) {
    if (gone == node_) {
      flights_.cut_off(*of, tasks);
    } else if (flights_.process_gone(*of, gone, tasks)) {
      touched.push_back(of.get());
    }
  }
  for (const auto& [which, was_running] : tasks) {
    const auto next = net::decide_after_death(which->max_retries, which->attempt, was_running);
    if (which->cancelled || gone == node_ || next == net::after_death::fail) {
      end(*which, true, "its worker has died");
      continue;
    }
    if (next == net::after_death::again_alone) {
      ++which->attempt;
      move_to_isolation(*which);
    } else {
      sim_.watch.attempt_not_counted({id(), which->id}, which->attempt);
    }
    again(*which, 0ns);
  }
  for (line* const of : touched) pump(*of);

  std::vector<running*> orphans;
  for (const auto& [key, one] : running_) {
    if (key.owner == gone) orphans.push_back(one.get());
  }
  for (running* const one : orphans) stop(*one);
  actors_.process_gone(gone, cause);
  values_.process_gone(gone);
  if (gone != node_) return;
  node_lost_ = true;
  actors_.cut_off();
  groups_.cut_off();
  values_.end_all();
  if (is_worker()) leave();
}

void program::watch_node() {
  later(node_watch_period, [](program& self) {
    if (self.leaving_) return;
    if (!self.sim_.daemon_lives(self.node_)) {
      self.process_gone(self.node_, "its daemon has ended");
    } else {
      self.watch_node();
    }
  });
}

void program::leave() {
  if (std::exchange(leaving_, true)) return;
  actors_.end_all();
  values_.end_all();
  for (const auto& one : flights_.take_all()) {
    net_.send(one.by->worker, net::cancel_task{one.task->id, true});
  }
  for (auto& [key, one] : running_) finished_.push_back(std::move(one));
  running_.clear();
  for (auto& [what, of] : lines_) of->waiting.clear();
  for (auto& [number, one] : tasks_) sim_.watch.ended({id(), number}, true);
  tasks_.clear();
  if (!node_lost_) net_.send(node_, net::goodbye{});
  exit_when_flushed(sim_.w.now() + 2s);
}

void program::exit_when_flushed(time deadline) {
  if (node_lost_ || net_.queued() == 0 || sim_.w.now() >= deadline) {
    return sim_.end(*this, "exit code 0", true);
  }
  later(10ms, [deadline](program& self) { self.exit_when_flushed(deadline); });
}

}  // namespace troupe::sim
