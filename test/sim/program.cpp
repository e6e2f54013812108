#include "test/sim/program.hpp"

#include <algorithm>
#include <utility>

#include "core/retry_state.hpp"
#include "test/sim/daemon.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

// As the owner and the cluster's shells have them.
constexpr auto idle_lease = 10ms;
constexpr auto node_watch_period = 1s;
constexpr auto head_retry_period = 1s;

constexpr std::uint64_t deepest = 3;
constexpr std::size_t most_pending = 2'000;
/// By when everybody has heard of a death, whatever happens to the network meanwhile.
constexpr auto news_take_at_most = 60s;

enum record : std::uint64_t { task_sent = 40, task_runs, task_ended, process_says, lease_asked };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

/// A task that this process runs for another.
struct program::running final : core::claimant {
  enum class phase : std::uint8_t { waiting, working, blocked, resuming };

  running(program& p, net::global_id k, std::shared_ptr<lease> l, const net::run_task& what)
      : in(p),
        key(k),
        attempt(static_cast<std::int32_t>(what.attempt)),
        under(std::move(l)),
        draw(what.function + what.attempt),
        depth(what.function & 0xfU) {}
  void granted() noexcept override { in.granted(*this); }

  program& in;
  const net::global_id key;
  const std::int32_t attempt;
  const std::shared_ptr<lease> under;
  rng draw;
  const std::uint64_t depth;
  phase state = phase::waiting;
  std::uint64_t step = 0;  ///< what was planned in an earlier one is void
  std::set<std::uint64_t> children;
  std::optional<value_order> order;
  std::uint64_t marker = 0;  ///< stands for the order among its children
  bool order_failed = false;
  bool has_begun = false;
  bool cancelled = false;
};

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

void program::on(process_id, const net::job_ended&) {
  if (is_worker()) leave();
}

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

// -- the program of a driver ----------------------------------------------------------------------

void program::work() {
  if (leaving_) return;
  if (node_lost_ || !may_submit_) {
    actors_.go_on_putting_away();
    groups_.remove_all();
    const bool idle = tasks_.empty() && !actors_.has_pending() && !groups_.has_pending() &&
                      !values_.has_pending();
    if (idle) return leave();
  } else if (tasks_.size() < most_pending) {
    const std::int64_t burst =
        random_.chance(0.1) ? random_.between(20, 200) : random_.between(1, 5);
    for (std::int64_t i = 0; i < burst; ++i) submit(random_, 0, {});
    actors_.work(random_);
    groups_.work(random_);
    values_.work(random_);
    if (random_.chance(0.02)) actors_.let_go();
    if (random_.chance(0.1) && !tasks_.empty()) {
      auto at = tasks_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random_.below(tasks_.size())));
      cancel(at->first);
    }
  }
  later(random_.skewed(2ms, 500ms), [](program& self) { self.work(); });
}

std::uint64_t program::submit(rng& draw, std::uint64_t depth, net::global_id parent) {
  shape what;
  const core::resource_set& most = sim_.machines.front().total;
  // A task that waits keeps its GPUs: what it waits for must not need any, or both wait for ever.
  const std::int64_t gpus = depth == 0 ? most.get("GPU").units() : 0;
  switch (draw.below(8)) {
    case 0:
      what.wanted = {{"CPU", 5'000}};
      break;
    case 1:
      if (most.get("CPU").units() >= 20'000) what.wanted = {{"CPU", 20'000}};
      break;
    case 2:
      if (gpus > 0) what.wanted = {{"CPU", 10'000}, {"GPU", draw.chance(0.5) ? 10'000 : 2'500}};
      break;
    case 3:
      if (gpus > 10'000) what.wanted = {{"GPU", 20'000}};
      break;
    default:
      break;
  }
  if (what.wanted.empty()) what.wanted = {{"CPU", 10'000}};
  what.isolated = draw.chance(0.02);
  what.spread = draw.chance(0.1);
  return submit(what, draw, depth, parent);
}

void program::submit_in(net::global_id group, std::int32_t bundle, net::demand wanted, rng& draw) {
  shape what;
  what.wanted = std::move(wanted);
  what.group = group;
  what.bundle = bundle;
  submit(what, draw, 0, {});
}

std::uint64_t program::submit(const shape& what, rng& draw, std::uint64_t depth,
                              net::global_id parent) {
  const std::uint64_t function = (draw.next() << 4U) | depth;
  constexpr std::int32_t retries[] = {0, 0, 3, 3, 3, 1, -1, 10};
  return submit(what, retries[draw.below(8)], 0, function, parent);
}

std::uint64_t program::submit_value(const value_order& what, std::int32_t max_retries,
                                    std::int32_t attempt, rng& draw) {
  shape where;
  where.wanted = {{"CPU", draw.chance(0.5) ? 5'000 : 10'000}};
  where.spread = draw.chance(0.5);
  return submit(where, max_retries, attempt, (draw.next() << 4U) | deepest, {}, &what);
}

std::uint64_t program::submit(const shape& what, std::int32_t max_retries, std::int32_t attempt,
                              std::uint64_t function, net::global_id parent,
                              const value_order* order) {
  const std::uint64_t number = next_number();
  if (order != nullptr) sim_.orders[{id(), number}] = *order;
  auto& added = tasks_[number] = std::make_unique<task>();
  added->id = number;
  added->function = function;
  added->home = &line_of(what);
  added->max_retries = max_retries;
  added->attempt = attempt;
  added->parent = parent;
  added->submitted = sim_.w.now();
  sim_.watch.submitted({id(), number}, added->max_retries);
  added->home->waiting.push_back(added.get());
  pump(*added->home);
  return number;
}

// -- the owner ------------------------------------------------------------------------------------

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
  const process_id first = wanted.group ? head() : node_;
  const net::request_lease& asked = requests_.ask(std::move(wanted), who, first);
  sim_.w.record(lease_asked, id(), asked.request, [&] {
    return name_of(id()) + " asks for a lease, request " + std::to_string(asked.request);
  });
  if (!send_request(asked) && first == node_) {
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
  if (what.result.failed && !done.cancelled) {
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

// -- the executor ---------------------------------------------------------------------------------

void program::on(process_id, const net::open_lease& what) {
  auto& made = leases_[what.lease] = std::make_shared<lease>();
  made->capacity = std::make_unique<net::lease_capacity>(
      [this, id = what.lease](net::lease_capacity::wish wish) {
        if (wish == net::lease_capacity::wish::suspend) {
          net_.send(node_, net::suspend_lease{id});
        } else {
          net_.send(node_, net::resume_lease{id});
        }
      });
  // Its queue's shapes: all of it, and its CPUs.
  made->whole = 1;
  made->cpus = what.granted.size() == 1 && what.granted.front().first == "CPU" ? 1 : 2;
  made->capacity->set_shapes(made->whole, made->cpus);
  const auto early = early_.find(what.lease);
  if (early == early_.end()) return;
  const auto tasks = std::move(early->second);
  early_.erase(early);
  for (const auto& [from, one] : tasks) start(from, one, made);
}

void program::on(process_id, const net::close_lease& what) {
  early_.erase(what.lease);
  leases_.erase(what.lease);  // what runs in it keeps it
}

void program::on(process_id, const net::lease_resumed& what) {
  const auto at = leases_.find(what.lease);
  if (at != leases_.end()) at->second->capacity->resumed();
}

void program::on(process_id from, const net::run_task& what) {
  const auto at = leases_.find(what.lease);
  if (at == leases_.end()) {
    early_[what.lease].emplace_back(from, what);
    return;
  }
  start(from, what, at->second);
}

void program::start(process_id from, const net::run_task& what, std::shared_ptr<lease> under) {
  const net::global_id key{from, what.task};
  if (running_.contains(key)) throw violation("a task was sent to a worker that runs it already");
  auto& made = running_[key] = std::make_unique<running>(*this, key, std::move(under), what);
  const auto order = sim_.orders.find(key);
  if (order != sim_.orders.end()) made->order = order->second;
  made->under->capacity->request(*made, made->under->whole, core::grant_order::normal);
}

/// It has its turn: to begin, or to go on.
void program::granted(running& what) {
  what.state = running::phase::working;
  const duration takes =
      what.draw.skewed(50us, what.draw.chance(0.03) ? duration(2s) : duration(20ms));
  if (!what.has_begun) {
    what.has_begun = true;
    // By its own event: this may be called from anywhere, and what it finds may be fatal.
    later(0ns, [key = what.key, step = what.step](program& self) {
      const auto at = self.running_.find(key);
      if (at == self.running_.end() || at->second->step != step) return;
      self.sim_.w.record(task_runs, key.owner, key.local, [&] {
        return name_of(self.id()) + " runs task " + std::to_string(key.local) + " of " +
               name_of(key.owner);
      });
      self.sim_.watch.began(key);
      const running& begun = *at->second;
      const auto& made = begun.order;
      if (made && !made->reads) {
        self.sim_.watch.maker_runs(made->version, made->most, key, begun.attempt);
      }
    });
  }
  later(takes, [key = what.key, step = what.step](program& self) {
    const auto at = self.running_.find(key);
    if (at != self.running_.end() && at->second->step == step) self.proceed(*at->second);
  });
}

void program::proceed(running& what) {
  if (what.order) {
    if (what.cancelled || what.marker != 0)
      return finish(what, what.cancelled || what.order_failed);
    return carry_out_order(what);
  }
  const bool again = what.draw.chance(0.3);
  if (what.cancelled || !again || what.depth >= deepest) {
    return finish(what, what.draw.chance(0.03));
  }
  // It has other tasks run, and waits for them.
  const std::int64_t children = what.draw.between(1, 4);
  for (std::int64_t i = 0; i < children; ++i) {
    what.children.insert(submit(what.draw, what.depth + 1, what.key));
  }
  what.state = running::phase::blocked;
  ++what.step;
  what.under->capacity->lend(what.under->cpus);
}

/// It makes a value, or reads one: meanwhile others may have its CPUs.
void program::carry_out_order(running& what) {
  const net::global_id key = what.key;
  const std::uint64_t marker = what.marker = next_number();
  what.children.insert(marker);
  what.state = running::phase::blocked;
  ++what.step;
  what.under->capacity->lend(what.under->cpus);
  const value_order order = *what.order;
  if (order.reads) {
    values_.read(order, [key, marker](program& self, bool succeeded) {
      self.order_ended(key, marker, !succeeded, {});
    });
  } else {
    values_.make(order, [key, marker](program& self, net::stored_id made) {
      self.order_ended(key, marker, !made, made);
    });
  }
}

void program::order_ended(net::global_id key, std::uint64_t marker, bool failed,
                          net::stored_id made) {
  const auto at = running_.find(key);
  if (at == running_.end() || at->second->marker != marker) return;
  at->second->order_failed = failed;
  if (made) sim_.results[{key, id()}] = made;
  at->second->children.erase(marker);
  child_ended(key);
}

void program::child_ended(net::global_id parent) {
  running& of = *running_.at(parent);
  if (!of.children.empty() || of.state != running::phase::blocked) return;
  of.state = running::phase::resuming;
  of.under->capacity->request(of, of.under->cpus, core::grant_order::resume);
}

void program::finish(running& what, bool failed) {
  const net::global_id key = what.key;
  const std::shared_ptr<lease> under = what.under;
  const auto at = running_.find(key);
  finished_.push_back(std::move(at->second));
  running_.erase(at);
  net::task_done answer;
  answer.task = key.local;
  answer.result.failed = failed;
  // Now and then a reply is lost after the work was done.
  net_.send(key.owner, std::move(answer));
  later(0ns, [](program& self) { self.finished_.clear(); });
  under->capacity->release(under->whole, {});
}

/// A cancel, or its owner is gone: it ends as soon as it can.
void program::stop(running& what) {
  if (std::exchange(what.cancelled, true)) return;
  switch (what.state) {
    case running::phase::waiting: {
      if (!what.under->capacity->withdraw(what)) return;
      const net::global_id key = what.key;
      running_.erase(key);
      net::task_done answer;
      answer.task = key.local;
      answer.result.failed = true;
      net_.send(key.owner, std::move(answer));
      break;
    }
    case running::phase::working: {
      const std::uint64_t step = what.step;
      later(random_.time(0ns, 5ms), [key = what.key, step](program& self) {
        const auto at = self.running_.find(key);
        if (at == self.running_.end() || at->second->step != step) return;
        ++at->second->step;
        self.finish(*at->second, true);
      });
      break;
    }
    case running::phase::blocked:
      for (const std::uint64_t child : std::set(what.children)) cancel(child);
      break;
    case running::phase::resuming:
      break;
  }
}

void program::on(process_id from, const net::cancel_task& what) {
  const auto at = running_.find({from, what.task});
  if (at != running_.end()) stop(*at->second);
}

// -- checks ---------------------------------------------------------------------------------------

std::string program::waits_for() const {
  if (tasks_.empty()) return actors_.waits_for() + groups_.waits_for() + values_.waits_for();
  return std::to_string(tasks_.size()) + " tasks; " + where_is(tasks_.begin()->first);
}

std::string program::where_is(std::uint64_t number, int depth) const {
  std::string text = "\n    task " + std::to_string(number) + " of process " + name_of(id());
  const auto at = tasks_.find(number);
  if (at == tasks_.end()) return text + " has ended";
  const task& what = *at->second;
  if (what.cancelled) text += ", cancelled,";
  const auto where = flights_.find(number);
  if (!where) {
    text += " waits for a lease of " + std::to_string(what.home->what.wanted.size()) + " resources";
    if (what.home->what.isolated) text += ", alone in its process";
    if (!what.home->asking) return text + ", and nobody asks for one";
    return text + ", which was asked for; " + std::to_string(what.home->leases.size()) +
           " others are held";
  }
  const process_id worker = where->by->worker;
  text += " is in lease " + std::to_string(where->by->id) + " of process " + name_of(worker);
  const auto host = sim_.programs.find(worker);
  if (host == sim_.programs.end()) return text + ", which is dead";
  const program& there = *host->second;
  const auto run = there.running_.find({id(), number});
  if (run == there.running_.end()) {
    const bool early = there.early_.contains(where->by->id);
    return text + (early ? ", which is not open there" : ", which does not know it");
  }
  constexpr const char* phases[] = {"waits for its turn", "works", "is blocked", "wants to go on"};
  text += ", where it " + std::string(phases[static_cast<int>(run->second->state)]);
  if (run->second->cancelled) text += ", cancelled";
  if (!there.leases_.contains(where->by->id)) text += ", and the lease is closed";
  if (run->second->state == running::phase::waiting) {
    for (const auto& [key, other] : there.running_) {
      if (other->under != run->second->under || other->state == running::phase::waiting) continue;
      text += "; in the same lease, task " + std::to_string(key.local) + " of process " +
              name_of(key.owner) + " " + phases[static_cast<int>(other->state)];
      const auto owner = sim_.programs.find(key.owner);
      if (depth < 12 && owner != sim_.programs.end()) {
        text += owner->second->where_is(key.local, depth + 1);
      }
      break;
    }
  }
  if (run->second->marker != 0) return text + "; there: " + there.values_.waits_for();
  if (depth < 12 && !run->second->children.empty()) {
    text += there.where_is(*run->second->children.begin(), depth + 1);
  }
  return text;
}

void program::check_nothing_waits_on_the_dead() {
  if (!sim_.head_lives()) return;
  for (const auto& [what, of] : lines_) {
    for (const auto& one : of->leases) {
      if (one->in_flight == 0 || sim_.programs.contains(one->worker)) continue;
      const time since = dead_.emplace(one->worker, sim_.w.now()).first->second;
      // News of deaths are the head's: while there is none, and before it knows, they wait.
      if (sim_.w.now() - std::max(since, sim_.head_began()) > news_take_at_most) {
        throw violation("process " + name_of(id()) + " waits for tasks in process " +
                        name_of(one->worker) + ", which has been dead for long");
      }
    }
  }
}

}  // namespace troupe::sim
