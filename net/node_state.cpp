#include "net/node_state.hpp"

#include <algorithm>

#include "net/demand.hpp"

namespace troupe::net {
namespace {

constexpr std::size_t most_ended_jobs = 64;

}  // namespace

node_state::node_state(node_settings settings)
    : settings_(std::move(settings)),
      own_(settings_.total, core::gpu_ids(settings_.total.get(core::gpu_name))),
      next_token_(settings_.self.id * 0x9e3779b97f4a7c15U) {
  self_in_view();
}

node_state::~node_state() = default;

// -- processes ------------------------------------------------------------------------------------

void node_state::received(time now, const peer& from, register_process what) {
  if (processes_.count(from.id) != 0) {
    return refuse_process(from.id, "this process is registered already");
  }
  if (ending_) return refuse_process(from.id, "node '" + settings_.name + "' is ending");
  switch (what.role) {
    case process_role::driver:
      return register_driver(from, std::move(what));
    case process_role::worker:
      register_worker(now, from, what);
      return serve(now);
    case process_role::node:
      break;
  }
  refuse_process(from.id, "only drivers and workers register at a node");
}

void node_state::refuse_process(process_id to, std::string why) {
  note(log_level::warn, "refused a process that registered: " + why);
  registered answer;
  answer.refused = std::move(why);
  answer.node_name = settings_.name;
  send(to, std::move(answer));
}

void node_state::register_driver(const peer& from, register_process what) {
  process& driver = processes_[from.id];
  driver.role = process_role::driver;
  driver.at = from;
  const bool here = from.host == settings_.self.host;
  effects_.emplace_back(watch_driver{from.id, here ? std::max<std::int64_t>(0, what.pid) : 0});
  // Until the head has dealt the job: another life of it has to be told again.
  driver.program = std::make_shared<const register_process>(what);
  send(settings_.head.id, process_joined{from.id});
  send(settings_.head.id, job_started{0, from, std::move(what)});
}

void node_state::register_worker(time now, const peer& from, const register_process& what) {
  worker* known = find_worker(what.start_token);
  if (known == nullptr || known->state != worker::phase::starting) {
    return refuse_process(from.id, "its start token is not one that node '" + settings_.name +
                                       "' gave out for a worker that it waits for");
  }
  if (!what.failure.empty()) {
    worker_impossible(now, what.start_token, what.failure);
    return refuse_process(from.id, what.failure);
  }
  job& of = jobs_.at(known->job);
  known->state = worker::phase::ready;
  known->at = from;
  known->idle_since = now;
  if (!known->isolated) of.shared_workers[known->surroundings.id].failed_starts = 0;

  process& entry = processes_[from.id];
  entry.role = process_role::worker;
  entry.at = from;
  entry.token = known->token;
  entry.job = of.id;
  send(settings_.head.id, process_joined{from.id});
  greet(entry);
  for (const ticket id : std::exchange(known->waiting, {})) {
    grant(now, requests_.at(id), *known);
  }
  if (of.ended && known->leases.empty()) retire(now, *known, settings_.job_grace);
  changed();
}

void node_state::greet(const process& who) {
  const job& of = jobs_.at(who.job);
  registered answer;
  answer.job = of.id;
  answer.head = settings_.head;
  answer.node_name = settings_.name;
  answer.session_dir = settings_.session_dir;
  answer.total = to_demand(settings_.total);
  answer.job_namespace = of.program->job_namespace;
  answer.driver = of.driver;
  if (who.at.host == settings_.self.host) answer.store_socket = settings_.store_socket;
  if (const worker* const w = find_worker(who.token)) answer.surroundings = w->surroundings;
  send(who.at.id, std::move(answer));
  // It may be sent on to one of these by a node that has not heard yet.
  for (const process_died& one : obituaries_) send(who.at.id, one);
}

void node_state::remember_dead(const process_died& news) {
  constexpr std::size_t most = 256;
  if (news.clean) return;
  obituaries_.push_back(news);
  if (obituaries_.size() > most) obituaries_.pop_front();
}

void node_state::received(time now, process_id from, goodbye) {
  if (!is_registered(from)) return;
  leave(now, from, "it left in good order", true);
  serve(now);
}

void node_state::process_gone(time now, process_id who, const std::string& cause) {
  const auto known = processes_.find(who);
  if (known == processes_.end()) {
    // One that left before, or one of another node: its own node knows whether it is dead, but
    // nobody can return its leases any more.
    end_all_of(now, who);
    if (dead_.contains(who)) effects_.emplace_back(forget_process{who});
    return serve(now);
  }
  if (known->second.role == process_role::worker) {
    // Its exit follows, and is announced with its cause.
    effects_.emplace_back(kill_worker{known->second.token});
    return;
  }
  leave(now, who, cause, false);
  serve(now);
}

void node_state::leave(time now, process_id who, const std::string& cause, bool clean) {
  const process gone = std::move(processes_.at(who));
  processes_.erase(who);
  announce_death(who, cause, clean);
  end_all_of(now, who);
  if (gone.role == process_role::driver) {
    if (gone.job != 0) {
      send(settings_.head.id, job_ended{gone.job});
    } else {
      left_early_.insert(who);
    }
    return;
  }
  worker* left = find_worker(gone.token);
  if (left == nullptr) return;
  for (const lease_id id : std::set(left->leases)) end_lease(now, id, false);
  detach(*left);
  left->state = worker::phase::ending;
  left->kill_at = now + settings_.lease_grace;
  changed();
}

void node_state::announce_death(process_id who, const std::string& cause, bool clean) {
  constexpr std::size_t most = 1'000;
  if (!dead_.insert(who)) return;
  const process_died news{who, cause, clean};
  remember_dead(news);
  own_dead_.push_back(news);
  if (own_dead_.size() > most) own_dead_.pop_front();
  for (const auto& [id, other] : processes_) {
    if (id != who) send(id, news);
  }
  send(settings_.head.id, news);
  // One that left in good order may still be waiting to hear that all has arrived.
  if (!clean) effects_.emplace_back(forget_process{who});
}

void node_state::received(time now, process_id, process_died what) {
  if (!dead_.insert(what.process)) return;
  remember_dead(what);
  for (const auto& [id, other] : processes_) send(id, what);
  // The next view comes later; until then nothing is sent on to a node that is no more.
  std::erase_if(view_, [&](const placement_node& n) { return n.at.id == what.process; });
  end_all_of(now, what.process);
  if (!what.clean) effects_.emplace_back(forget_process{what.process});
  serve(now);
}

// -- jobs -----------------------------------------------------------------------------------------

void node_state::received(time now, process_id, job_started what) {
  if (what.job == 0 || jobs_.count(what.job) != 0) return;
  if (left_early_.contains(what.driver.id)) send(settings_.head.id, job_ended{what.job});

  job& added = jobs_[what.job];
  added.id = what.job;
  added.driver = what.driver;
  added.program = std::make_shared<const register_process>(std::move(what.process));
  const auto driver = processes_.find(what.driver.id);
  if (driver != processes_.end() && driver->second.role == process_role::driver) {
    added.driver_here = true;
    driver->second.job = added.id;
    driver->second.program.reset();
    greet(driver->second);
    if (!ending_) start_shared(now, added, added.program->surroundings);
  }
  if (without_job_ > 0) {
    std::vector<ticket> waited;
    for (const auto& [id, r] : requests_) {
      if (r.phase == request_phase::unknown_job && r.asked.job == added.id) waited.push_back(id);
    }
    without_job_ -= waited.size();
    for (const ticket id : waited) {
      request& r = requests_.at(id);
      r.phase = request_phase::infeasible;
      decide(now, r);
    }
  }
  serve(now);
}

void node_state::received(time now, process_id, job_ended what) {
  job* of = find_job(what.job);
  if (of == nullptr || (of->ended && what.held)) return;
  const bool has_left = !std::exchange(of->ended, true);
  if (has_left) note(log_level::info, "job " + std::to_string(of->id) + " has ended");
  std::vector<std::uint64_t> tokens;
  for (const auto& [token, w] : workers_) {
    if (w.job == of->id) tokens.push_back(token);
  }
  for (const std::uint64_t token : tokens) {
    worker& w = workers_.at(token);
    const bool is_used =
        w.state == worker::phase::starting ? !w.waiting.empty() : what.held && outlives_job(w);
    if (!is_used) retire(now, w, settings_.job_grace);
  }
  if (has_left) ended_jobs_.push_back(what.job);
  forget_old_jobs();
  serve(now);
}

// -- another life of the head ---------------------------------------------------------------------

void node_state::head_renewed(time now, const peer& head) {
  const process_id id = settings_.head.id;
  settings_.head = head;
  for (auto& [number, of] : leases_) of.unconfirmed = of.owner == id;
  std::vector<ticket> asked;
  for (const auto& [number, r] : requests_) {
    if (r.owner == id) asked.push_back(number);
  }
  for (const ticket one : asked) {
    request& r = requests_.at(one);
    drop(r);
    erase(r);
  }
  serve(now);
}

void node_state::say_again() {
  if (view_asked_ > view_answered_) send(settings_.head.id, ask_view{view_asked_});
    // A process that began and ended while the head was away: others may have met it.
#ifndef TROUPE_PLANTED_DEATHS_NOT_TOLD_AGAIN  // for the simulator to find
  for (const process_died& one : own_dead_) {
    send(settings_.head.id, process_joined{one.process});
    send(settings_.head.id, one);
  }
#endif
  for (const auto& [id, known] : processes_) {
    if (known.role == process_role::driver && known.job == 0 && known.program) {
      send(settings_.head.id, job_started{0, known.at, *known.program});
    }
  }
}

join_cluster node_state::describe() const {
  join_cluster result;
  result.available = to_demand(own_.ledger.available());
  for (const auto& [id, known] : processes_) result.processes.push_back(id);
  for (const auto& [key, made] : reservations_) {
    result.reservations.push_back({key.first, key.second, made.bundles, made.committed});
  }
  return result;
}

void node_state::received(time now, process_id from, const joined& what) {
  std::vector<job_ended> over;
  for (const auto& [id, of] : jobs_) {
    if (std::find(what.jobs.begin(), what.jobs.end(), id) != what.jobs.end()) continue;
    const bool held = std::find(what.held.begin(), what.held.end(), id) != what.held.end();
    over.push_back({id, held});
  }
  for (const job_ended& one : over) received(now, from, one);
  // A place that the earlier life had asked for and did not take.
  std::vector<lease_id> untaken;
  for (auto& [id, of] : leases_) {
    if (!std::exchange(of.unconfirmed, false)) continue;
    if (std::find(what.leases.begin(), what.leases.end(), id) == what.leases.end()) {
      untaken.push_back(id);
    }
  }
  for (const lease_id id : untaken) end_lease(now, id, true);
  for (const lease_id id : what.leases) {
    if (find_lease(id) == nullptr) {
      send(settings_.head.id, lease_revoked{id, "its lease ended while the head was away"});
    }
  }
  serve(now);
}

void node_state::forget_old_jobs() {
  // What is left of a detached actor may still ask for leases of its job: so the last are kept.
  while (ended_jobs_.size() > most_ended_jobs) {
    const auto idle = std::find_if(ended_jobs_.begin(), ended_jobs_.end(),
                                   [this](job_id id) { return jobs_.at(id).workers == 0; });
    if (idle == ended_jobs_.end()) return;
    jobs_.erase(*idle);
    ended_jobs_.erase(idle);
  }
}

// -- workers --------------------------------------------------------------------------------------

node_state::worker& node_state::start(time, job& of, const env_spec& surroundings,
                                      const request* isolated_for) {
  const std::uint64_t token = ++next_token_;
  worker& added = workers_[token];
  added.token = token;
  added.job = of.id;
  added.isolated = isolated_for != nullptr;
  added.surroundings = surroundings;
  added.register_by = time::max();  // from when its process begins
  ++of.workers;
  start_worker effect{token, of.id, of.driver, of.program, std::nullopt, surroundings};
  if (isolated_for != nullptr && isolated_for->wanted.get(core::gpu_name).units() > 0) {
    effect.gpus = isolated_for->gpus.ids;
  }
  effects_.emplace_back(std::move(effect));
  return added;
}

node_state::worker& node_state::start_shared(time now, job& of, const env_spec& surroundings) {
  job::shared& one = of.shared_workers[surroundings.id];
  if (one.token == 0) one.token = start(now, of, surroundings, nullptr).token;
  return workers_.at(one.token);
}

void node_state::worker_begins(time now, std::uint64_t token) {
  if (worker* const w = find_worker(token)) w->register_by = now + settings_.register_within;
}

node_state::worker node_state::take_out(std::uint64_t token) {
  const auto found = workers_.find(token);
  worker gone = std::move(found->second);
  workers_.erase(found);
  --jobs_.at(gone.job).workers;
  detach(gone);
  changed();
  return gone;
}

void node_state::worker_impossible(time now, std::uint64_t token, const std::string& why) {
  if (find_worker(token) == nullptr) return;
  start_failed(now, take_out(token), why, true);
  effects_.emplace_back(kill_worker{token});
  forget_old_jobs();
  serve(now);
}

void node_state::worker_exited(time now, std::uint64_t token, const std::string& cause,
                               bool in_order, const std::string& last_lines) {
  if (find_worker(token) == nullptr) return;
  worker gone = take_out(token);
  std::string text = cause;
  if (!last_lines.empty() && !in_order) text += "; it printed last:\n" + last_lines;
  if (!gone.at) {
    start_failed(now, std::move(gone), text, false);
    return serve(now);
  }
  for (const lease_id id : std::set(gone.leases)) end_lease(now, id, false);
  if (processes_.erase(gone.at.id) != 0) {
    // It was told to end, or it ended by itself without a word.
    const bool clean = in_order && gone.state == worker::phase::ending;
    if (!clean) {
      note(log_level::warn, "a worker of job " + std::to_string(gone.job) + " died: " + text);
    }
    announce_death(gone.at.id, text, clean);
    end_all_of(now, gone.at.id);
  }
  effects_.emplace_back(forget_process{gone.at.id});
  forget_old_jobs();
  serve(now);
}

void node_state::start_failed(time now, worker gone, const std::string& text, bool for_good) {
  job& of = jobs_.at(gone.job);
  const bool of_job = gone.surroundings.id == of.program->surroundings.id;
  const bool wanted_anyway = !gone.isolated && of_job && of.driver_here && !of.ended;
  if (gone.waiting.empty() && !wanted_anyway) return;
  note(log_level::warn,
       "a worker of job " + std::to_string(of.id) + " ended before it had registered: " + text);
  job::shared& shared = of.shared_workers[gone.surroundings.id];
  std::uint32_t& failures =
      gone.isolated ? requests_.at(gone.waiting.front()).failed_starts : shared.failed_starts;
  if (!for_good && ++failures < settings_.start_attempts && !ending_) {
    const request* alone = gone.isolated ? &requests_.at(gone.waiting.front()) : nullptr;
    worker& next = start(now, of, gone.surroundings, alone);
    if (!gone.isolated) shared.token = next.token;
    next.waiting = std::move(gone.waiting);
    for (const ticket id : next.waiting) requests_.at(id).worker = next.token;
    return;
  }
  failures = 0;
  for (const ticket id : gone.waiting) {
    request& r = requests_.at(id);
    if (for_good) {
      refuse(r, refusal::worker_failed,
             "its worker cannot be started at node '" + settings_.name + "': " + text);
      continue;
    }
    refuse(r, refusal::worker_failed,
           "the worker for '" + r.asked.name + "' ended before it had registered at node '" +
               settings_.name + "', " + std::to_string(settings_.start_attempts) +
               " times in a row (" + of.program->executable + "): " + text);
  }
}

bool node_state::outlives_job(const worker& which) const {
  return std::any_of(which.leases.begin(), which.leases.end(),
                     [this](lease_id id) { return leases_.at(id).outlives_job; });
}

void node_state::detach(worker& which) {
  const auto at = jobs_.at(which.job).shared_workers.find(which.surroundings.id);
  if (at != jobs_.at(which.job).shared_workers.end() && at->second.token == which.token) {
    at->second.token = 0;
  }
}

void node_state::retire(time now, worker& which, std::optional<std::chrono::milliseconds> grace) {
  detach(which);
  if (which.state == worker::phase::starting) {
    which.state = worker::phase::ending;
    effects_.emplace_back(kill_worker{which.token});
    return;
  }
  const bool is_told = std::exchange(which.state, worker::phase::ending) == worker::phase::ending;
  if (!is_told && is_registered(which.at.id)) send(which.at.id, end_process{});
  if (grace) which.kill_at = std::min(which.kill_at.value_or(now + *grace), now + *grace);
}

void node_state::became_idle(time now, worker& which) {
  which.idle_since = now;
  if (which.state != worker::phase::ready) return;
  if (which.isolated) return retire(now, which, settings_.lease_grace);
  if (jobs_.at(which.job).ended) retire(now, which, settings_.job_grace);
}

void node_state::tick(time now) {
  for (auto& [token, w] : workers_) {
    const job& of = jobs_.at(w.job);
    if (w.state == worker::phase::starting && now >= w.register_by) {
      note(log_level::warn,
           "a worker of job " + std::to_string(w.job) + " has not registered in time and is ended");
      w.register_by = time::max();
      effects_.emplace_back(kill_worker{token});
    }
    if (w.kill_at && now >= *w.kill_at) {
      w.kill_at.reset();
      effects_.emplace_back(kill_worker{token});
    }
    // The one of a living job where its driver is stays: the next task finds it warm.
    const bool kept =
        of.driver_here && !of.ended && w.surroundings.id == of.program->surroundings.id;
    if (w.state == worker::phase::ready && w.leases.empty() && !kept &&
        now - w.idle_since >= settings_.idle_after) {
      retire(now, w, std::nullopt);
    }
  }
  look_after_sent_on(now);
  if (without_job_ > 0) {
    std::vector<ticket> late;
    for (const auto& [id, r] : requests_) {
      if (r.phase == request_phase::unknown_job && now >= r.give_up) late.push_back(id);
    }
    for (const ticket id : late) {
      request& r = requests_.at(id);
      const std::string job_text = std::to_string(r.asked.job);
      refuse(r, refusal::worker_failed,
             "node '" + settings_.name + "' was not told of job " + job_text +
                 ": has it ended, or is the head not reachable?");
    }
  }
  bounce_group_requests();
  serve(now);
}

void node_state::shut_down(time now) {
  if (ending_) return;
  ending_ = true;
  std::vector<ticket> all;
  for (const auto& [id, r] : requests_) all.push_back(id);
  for (const ticket id : all) {
    request& r = requests_.at(id);
    refuse(r, refusal::shutting_down, "node '" + settings_.name + "' is ending");
  }
  serve(now);  // leases that resume have got what the refused ones gave back
  for (auto& [token, w] : workers_) retire(now, w, settings_.stop_grace);
}

void node_state::say_goodbye() {
  const process_died news{settings_.self.id, "node '" + settings_.name + "' was stopped", true};
  for (const auto& [id, other] : processes_) send(id, news);
  send(settings_.head.id, news);
}

process_id node_state::driver_of(std::uint64_t token) const {
  const auto found = workers_.find(token);
  if (found == workers_.end()) return 0;
  const job& of = jobs_.at(found->second.job);
  return of.ended ? 0 : of.driver.id;
}

std::optional<std::pair<std::shared_ptr<const register_process>, peer>> node_state::program_of_job(
    job_id id) const {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return std::nullopt;
  return std::pair(found->second.program, found->second.driver);
}

std::string node_state::program_of(std::uint64_t token) const {
  const auto found = workers_.find(token);
  if (found == workers_.end()) return {};
  const std::string& path = jobs_.at(found->second.job).program->executable;
  return path.substr(path.rfind('/') + 1);
}

node_report node_state::report() const {
  node_report result;
  result.available = to_demand(own_.ledger.available());
  std::map<demand, std::uint32_t> waiting;
  for (const auto& [wanted, count] : own_.ledger.pending()) {
    waiting[to_demand(wanted)] += static_cast<std::uint32_t>(count);
  }
  for (const auto& [id, r] : requests_) {
    const bool waits =
        r.phase == request_phase::infeasible || r.phase == request_phase::lacks_gpu_ids;
    if (waits) ++waiting[to_demand(r.wanted)];
  }
  constexpr std::size_t most_demands = 100;
  for (const auto& [wanted, count] : waiting) {
    if (result.waiting.size() == most_demands) break;
    result.waiting.emplace_back(wanted, count);
  }
  for (const auto& [token, w] : workers_) {
    if (w.at && is_registered(w.at.id)) ++result.workers;
  }
  for (const auto& [id, l] : leases_) result.actors += l.for_actor ? 1 : 0;
  return result;
}

// -- small things ---------------------------------------------------------------------------------

node_state::worker* node_state::find_worker(std::uint64_t token) {
  const auto found = workers_.find(token);
  return found == workers_.end() ? nullptr : &found->second;
}

node_state::job* node_state::find_job(job_id id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

node_state::lease* node_state::find_lease(lease_id id) {
  const auto found = leases_.find(id);
  return found == leases_.end() ? nullptr : &found->second;
}

void node_state::send(process_id to, node_message what) {
  effects_.emplace_back(send_from_node{to, std::move(what)});
}

void node_state::note(log_level level, std::string text) {
  effects_.emplace_back(say{level, std::move(text)});
}

}  // namespace troupe::net
