// The half of node_state that deals with requests and leases.
#include <algorithm>

#include "net/demand.hpp"
#include "net/node_state.hpp"

namespace troupe::net {
namespace {

using where = placement_decision::where;

constexpr std::size_t most_requests = 1'000'000;
// A request that no node on its way could serve waits after so many; views that differ from the
// truth must not send it round for ever.
constexpr std::uint32_t most_redirections_ever = 16;
constexpr std::size_t most_spilled_at_once = 1'000;

/// Also those of one bundle, see `reservation`.
bool is_cpu(const std::string& name) {
  return name == core::cpu_name ||
         (name.size() > core::cpu_name.size() && name.starts_with(core::cpu_name) &&
          name[core::cpu_name.size()] == bundle_mark);
}

}  // namespace

std::string describe_demand(const core::resource_set& wanted) {
  if (wanted.empty()) return "nothing";
  std::string text;
  for (const auto& [name, amount] : wanted) {
    if (!text.empty()) text += ", ";
    text += amount.to_string() + " " + name;
  }
  return text;
}

// -- requests -------------------------------------------------------------------------------------

void node_state::received(time now, process_id from, request_lease what) {
  if (dead_.contains(from) || dead_.contains(what.home)) return;
  const auto key = std::pair(from, what.request);
  if (by_owner_.count(key) != 0) {
    return note(log_level::warn, "dropped a second request with the number of one that waits");
  }
  const ticket id = next_ticket_++;
  request& added = requests_[id];
  added.id = id;
  added.in = &own_;
  added.owner = from;
  added.asked = std::move(what);
  by_owner_.emplace(key, id);

  std::string wrong;
  if (const auto wanted = to_resources(added.asked.wanted, wrong)) {
    added.wanted = *wanted;
  } else {
    return refuse(added, refusal::infeasible,
                  "the demand of '" + added.asked.name + "' makes no sense: " + wrong);
  }
  if (ending_) {
    return refuse(added, refusal::shutting_down, "node '" + settings_.name + "' is ending");
  }
  if (requests_.size() > most_requests) {
    return refuse(added, refusal::worker_failed,
                  "node '" + settings_.name + "' has too many requests waiting");
  }
  if (jobs_.count(added.asked.job) == 0) {
    added.give_up = now + settings_.unknown_job_wait;
    ++without_job_;
    return;
  }
  added.phase = request_phase::infeasible;  // it waits for no job, wherever it goes from here
  decide(now, added);
  serve(now);
}

void node_state::decide(time, request& which) {
  if (which.asked.group) return decide_in_group(which);
  const placement_decision decision = place(nodes(), settings_.self.id, to_placement(which), turn_);
  switch (decision.what) {
    case where::here:
      if (!own_.ledger.never_fits(which.wanted)) return queue(which);
      break;
    case where::there:
      if (which.asked.redirections < most_redirections_ever) return redirect(which, decision.node);
      break;
    case where::refused:
      if (!view_is_new_enough(which)) break;
      return refuse(which, refusal::infeasible, decision.why);
    case where::nowhere:
      if (!which.asked.infeasible_fails || !view_is_new_enough(which)) break;
      return refuse(which, refusal::infeasible,
                    "'" + which.asked.name + "' needs " + describe_demand(which.wanted) + ": " +
                        decision.why);
  }
  which.phase = request_phase::infeasible;
  if (which.needs_view <= view_answered_) warn_infeasible(which, decision.why);
  changed();
}

/// Who asks may have seen a node come of which no view has told here: nobody is refused before the
/// head has said what it knows now.
bool node_state::view_is_new_enough(request& which) {
  if (which.needs_view == 0) {
    which.needs_view = view_needed_ = view_asked_ + 1;
    ask_for_view();
  }
  return which.needs_view <= view_answered_;
}

void node_state::ask_for_view() {
  if (view_needed_ <= view_asked_ || view_asked_ > view_answered_) return;
  send(settings_.head.id, ask_view{++view_asked_});
}

void node_state::queue(request& which) {
  which.shape = which.in->ledger.intern(which.wanted);
  which.phase = request_phase::queued;
  which.in->ledger.request(which.id, which.shape, core::grant_order::normal, granted_);
  changed();
}

void node_state::warn_infeasible(const request& which, const std::string& why) {
  if (!warned_.insert(which.asked.name + "\n" + which.wanted.to_string())) return;
  note(log_level::warn, "'" + which.asked.name + "' needs " + describe_demand(which.wanted) +
                            " and waits for a node that has it" + (why.empty() ? "" : ": " + why));
}

void node_state::received(time now, process_id from, cancel_request what) {
  const auto found = by_owner_.find({from, what.request});
  if (found == by_owner_.end()) return;  // It was granted meanwhile: the owner returns the lease.
  request& r = requests_.at(found->second);
  drop(r);
  erase(r);
  serve(now);
}

void node_state::drop(request& which) {
  switch (which.phase) {
    case request_phase::unknown_job:
      --without_job_;
      break;
    case request_phase::infeasible:
      break;
    case request_phase::queued:
      if (!which.in->ledger.withdraw(which.id, granted_)) {
        // The ledger has granted it, and it was not served yet.
        const auto granted = std::find(granted_.begin(), granted_.end(), which.id);
        if (granted == granted_.end()) break;
        granted_.erase(granted);
        which.in->ledger.release(which.shape, granted_);
      }
      break;
    case request_phase::lacks_gpu_ids:
      std::erase(which.in->lacking_gpu_ids, which.id);
      break;
    case request_phase::lacks_worker:
      which.in->gpus.give_back(which.gpus);
      if (!which.gpus.ids.empty()) gpu_ids_freed_.insert(which.in);
      which.in->ledger.release(which.shape, granted_);
      if (worker* w = find_worker(which.worker)) {
        std::erase(w->waiting, which.id);
        if (w->isolated && w->state == worker::phase::starting) {
          w->state = worker::phase::ending;
          effects_.emplace_back(kill_worker{w->token});
        }
      }
      break;
  }
  changed();
}

void node_state::erase(request& which) {
  by_owner_.erase({which.owner, which.asked.request});
  requests_.erase(which.id);
}

void node_state::refuse(request& which, refusal why, std::string text) {
  // Before a job is known there is nothing to take back, and it was not counted either.
  if (which.phase != request_phase::unknown_job || which.give_up != time{}) drop(which);
  send(which.owner, lease_refused{which.asked.request, why, std::move(text)});
  erase(which);
}

void node_state::redirect(request& which, process_id node) {
  const auto at = std::find_if(view_.begin(), view_.end(),
                               [node](const placement_node& n) { return n.at.id == node; });
  TROUPE_ASSERT(at != view_.end(), "a request is sent to a node of the view");
  // Until the next view, what was sent there counts as taken.
  if (which.wanted.fits_in(at->available)) at->available -= which.wanted;
  sent_on_ = true;
  send(which.owner, lease_redirected{which.asked.request, at->at});
  erase(which);
}

// -- the view -------------------------------------------------------------------------------------

void node_state::received(time now, process_id, cluster_view what) {
  if (what.whole) view_.clear();
  std::erase_if(view_, [&](const placement_node& n) {
    return std::find(what.gone.begin(), what.gone.end(), n.at.id) != what.gone.end();
  });
  forget_sent_on();
  std::unordered_map<process_id, std::size_t> places;
  for (std::size_t i = 0; i < view_.size(); ++i) places[view_[i].at.id] = i;
  for (cluster_view::node& n : what.nodes) {
    std::string wrong;
    auto total = to_resources(n.total, wrong);
    auto available = to_resources(n.available, wrong);
    if (!total || !available) {
      note(log_level::warn, "left node '" + n.name + "' out of the view: " + wrong);
      continue;
    }
    placement_node seen{std::move(n.at),       std::move(n.name),   std::move(*total),
                        std::move(*available), std::move(n.labels), {}};
    seen.reported = seen.available;
    const auto [place, is_new] = places.try_emplace(seen.at.id, view_.size());
    if (is_new) {
      view_.push_back(std::move(seen));
    } else {
      view_[place->second] = std::move(seen);
    }
  }
  self_in_view();
  if (ending_) return;
  if (what.answers != 0) view_answered_ = what.answers;
  ask_for_view();
  retry_placements(now);
  spill_back();
  serve(now);
}

void node_state::forget_sent_on() {
  for (placement_node& n : view_) n.available = n.reported;
  sent_on_ = false;
  sent_on_until_.reset();
}

/// What was sent on may have ended there between two reports of that node, or never have come: then
/// no view tells that there is room again.
void node_state::look_after_sent_on(time now) {
  if (!sent_on_) return;
  if (!sent_on_until_) sent_on_until_ = now + settings_.sent_on_counts;
  if (now < *sent_on_until_) return;
  forget_sent_on();
  if (ending_) return;
  spill_back();
  serve(now);
}

placement_node& node_state::self_in_view() {
  const auto at = std::find_if(view_.begin(), view_.end(), [this](const placement_node& n) {
    return n.at.id == settings_.self.id;
  });
  if (at != view_.end()) return *at;
  view_.push_back({settings_.self, settings_.name, settings_.total, settings_.total,
                   settings_.labels, settings_.total});
  return view_.back();
}

const std::vector<placement_node>& node_state::nodes() {
  self_in_view().available = own_.ledger.available();
  return view_;
}

placement_request node_state::to_placement(const request& which) const {
  return {which.wanted,     which.asked.placement,   which.asked.place_key, which.asked.place_value,
          which.asked.soft, which.asked.redirections};
}

void node_state::retry_placements(time now) {
  std::vector<ticket> waited;
  for (const auto& [id, r] : requests_) {
    if (r.phase == request_phase::infeasible) waited.push_back(id);
  }
  for (const ticket id : waited) decide(now, requests_.at(id));
}

void node_state::spill_back() {
  const bool anyone_else = view_.size() > 1;
  if (!anyone_else || !own_.ledger.contended()) return;
  std::set<core::shape_id> hopeless;
  std::vector<std::pair<ticket, process_id>> moved;
  const std::vector<placement_node>& all = nodes();
  for (auto& [id, r] : requests_) {
    if (r.phase != request_phase::queued || r.asked.group || hopeless.count(r.shape) != 0) continue;
    if (std::find(granted_.begin(), granted_.end(), id) != granted_.end()) continue;
    const bool anywhere =
        r.asked.placement == placement_kind::hybrid || r.asked.placement == placement_kind::spread;
    const placement_decision decision = place_elsewhere(all, settings_.self.id, to_placement(r));
    if (decision.what == where::there) {
      moved.emplace_back(id, decision.node);
      const auto at = std::find_if(view_.begin(), view_.end(), [&](const placement_node& n) {
        return n.at.id == decision.node;
      });
      at->available -= r.wanted;
      sent_on_ = true;
      if (moved.size() == most_spilled_at_once) break;
    } else if (anywhere && r.asked.redirections < most_redirections) {
      hopeless.insert(r.shape);
    }
  }
  for (const auto& [id, node] : moved) {
    // Those behind it in the ledger move up, so it may have been granted by the move of another.
    request& r = requests_.at(id);
    if (std::find(granted_.begin(), granted_.end(), id) != granted_.end()) continue;
    drop(r);
    const auto at = std::find_if(view_.begin(), view_.end(),
                                 [&, to = node](const auto& n) { return n.at.id == to; });
    send(r.owner, lease_redirected{r.asked.request, at->at});
    erase(r);
  }
}

// -- from the ledger to a lease -------------------------------------------------------------------

void node_state::serve(time now) {
  while (!granted_.empty() || !gpu_ids_freed_.empty()) {
    for (pool* const of : std::exchange(gpu_ids_freed_, {})) {
      for (const ticket id : std::exchange(of->lacking_gpu_ids, {})) queue(requests_.at(id));
    }
    if (granted_.empty()) continue;
    const ticket id = granted_.front();
    granted_.erase(granted_.begin());
    changed();
    if (const auto resume = resumes_.find(id); resume != resumes_.end()) {
      lease& of = leases_.at(resume->second);
      resumes_.erase(resume);
      of.resuming = 0;
      of.suspended = false;
      if (const worker* w = find_worker(of.worker)) send(w->at.id, lease_resumed{of.id});
      continue;
    }
    begin(now, requests_.at(id));
  }
}

void node_state::begin(time now, request& which) {
  auto ids = which.in->gpus.take(which.wanted.get(core::gpu_name));
  if (!ids) {
    // It keeps nothing meanwhile: those who have the GPUs may need its CPUs to go on.
    which.phase = request_phase::lacks_gpu_ids;
    which.in->lacking_gpu_ids.push_back(which.id);
    which.in->ledger.release(which.shape, granted_);
    return;
  }
  which.gpus = std::move(*ids);
  assign_worker(now, which);
}

void node_state::assign_worker(time now, request& which) {
  which.phase = request_phase::lacks_worker;
  job& of = jobs_.at(which.asked.job);
  const env_spec& surroundings =
      which.asked.surroundings.id.empty() ? of.program->surroundings : which.asked.surroundings;
  worker* on = nullptr;
  if (which.asked.isolated) {
    on = &start(now, of, surroundings, &which);
  } else {
    on = &start_shared(now, of, surroundings);
    if (on->state == worker::phase::ready) return grant(now, which, *on);
  }
  on->waiting.push_back(which.id);
  which.worker = on->token;
}

void node_state::grant(time, request& which, worker& on) {
  const lease_id id = next_lease_++;
  lease& given = leases_[id];
  given.id = id;
  given.owner = which.owner;
  given.home = which.asked.home;
  given.worker = on.token;
  given.in = which.in;
  given.shape = which.shape;
  given.wanted = which.wanted;
  given.gpus = which.gpus;
  given.for_actor = which.asked.for_actor;
  given.outlives_job = which.owner == settings_.head.id;
#ifndef TROUPE_PLANTED_JOB_TAKES_CHILDREN  // for the simulator to find
  // Who asks for something when the job has ended works for a detached actor.
  given.outlives_job |= which.asked.outlives_job || jobs_.at(which.asked.job).ended;
#endif
  changed();
  on.leases.insert(id);
  send(on.at.id,
       open_lease{id, which.owner, which.asked.wanted, which.gpus.ids, given.outlives_job});
  send(which.owner, lease_granted{which.asked.request, id, on.at, settings_.name, which.gpus.ids});
  erase(which);
}

// -- leases ---------------------------------------------------------------------------------------

void node_state::received(time now, process_id from, return_lease what) {
  const lease* of = find_lease(what.lease);
  if (of == nullptr) return;  // It ended meanwhile.
  if (of->owner != from) {
    return note(log_level::warn, "a process that does not own lease " + std::to_string(what.lease) +
                                     " wanted to return it");
  }
  end_lease(now, what.lease, true);
  serve(now);
}

core::shape_id node_state::cpu_part(const lease& of) {
  core::resource_set part;
  for (const auto& [name, amount] : of.wanted) {
    if (is_cpu(name)) part.set(name, amount);
  }
  return of.in->ledger.intern(part);
}

core::shape_id node_state::other_part(const lease& of) {
  core::resource_set part;
  for (const auto& [name, amount] : of.wanted) {
    if (!is_cpu(name)) part.set(name, amount);
  }
  return of.in->ledger.intern(part);
}

void node_state::received(time now, process_id from, suspend_lease what) {
  lease* of = find_lease(what.lease);
  if (of == nullptr) return;
  const worker* on = find_worker(of->worker);
  if (on == nullptr || on->at.id != from) return;
  if (of->resuming != 0) {
    // It wanted its CPUs back and blocks again.
    const ticket id = std::exchange(of->resuming, 0);
    resumes_.erase(id);
    if (!of->in->ledger.withdraw(id, granted_)) {
      std::erase(granted_, id);
      of->in->ledger.release(cpu_part(*of), granted_);
    }
  } else if (!of->suspended) {
    of->suspended = true;
    of->in->ledger.release(cpu_part(*of), granted_);
  }
  changed();
  serve(now);
}

void node_state::received(time now, process_id from, resume_lease what) {
  lease* of = find_lease(what.lease);
  if (of == nullptr) return;
  const worker* on = find_worker(of->worker);
  if (on == nullptr || on->at.id != from || of->resuming != 0) return;
  if (!of->suspended) return send(from, lease_resumed{of->id});
  of->resuming = next_ticket_++;
  resumes_.emplace(of->resuming, of->id);
  of->in->ledger.request(of->resuming, cpu_part(*of), core::grant_order::resume, granted_);
  changed();
  serve(now);
}

void node_state::end_lease(time now, lease_id id, bool tell_worker) {
  const auto found = leases_.find(id);
  if (found == leases_.end()) return;
  lease of = std::move(found->second);
  leases_.erase(found);
  changed();

  if (of.resuming != 0) {
    resumes_.erase(of.resuming);
    if (!of.in->ledger.withdraw(of.resuming, granted_)) {
      std::erase(granted_, of.resuming);
      of.suspended = false;
    }
  }
#ifdef TROUPE_PLANTED_RESOURCE_KEPT  // for the simulator to find
  if (tell_worker || of.suspended)
#endif
    of.in->ledger.release(of.suspended ? other_part(of) : of.shape, granted_);
  of.in->gpus.give_back(of.gpus);
  if (!of.gpus.ids.empty()) gpu_ids_freed_.insert(of.in);

  worker* on = find_worker(of.worker);
  if (on == nullptr) return;
  on->leases.erase(id);
  if (tell_worker && is_registered(on->at.id)) send(on->at.id, close_lease{id});
  if (on->leases.empty()) return became_idle(now, *on);
  const bool is_over = on->state == worker::phase::ready && jobs_.at(on->job).ended;
  if (is_over && !outlives_job(*on)) retire(now, *on, settings_.job_grace);
}

/// Also of the processes of a node, of which the head may not have heard: they had registered there
/// while it was cut off.
void node_state::end_all_of(time now, process_id owner) {
  std::vector<ticket> asked;
  for (const auto& [id, r] : requests_) {
    if (r.owner == owner || r.asked.home == owner) asked.push_back(id);
  }
  for (const ticket id : asked) {
    request& r = requests_.at(id);
    drop(r);
    erase(r);
  }
  std::vector<lease_id> owned;
  for (const auto& [id, l] : leases_) {
    if (l.owner == owner || l.home == owner) owned.push_back(id);
  }
  for (const lease_id id : owned) end_lease(now, id, true);
}

std::vector<node_state::holding> node_state::holdings() const {
  std::vector<holding> all;
  const auto pool_of = [this](const pool* in) {
    std::size_t index = 0;
    if (in == &own_) return index;
    for (const auto& [key, made] : reservations_) {
      ++index;
      if (&made.resources == in) break;
    }
    return index;
  };
  for (const auto& [id, l] : leases_) {
    holding& one = all.emplace_back(holding{id, pool_of(l.in), l.owner, l.wanted, {l.gpus}});
    if (!l.suspended) continue;
    for (const auto& [name, amount] : l.wanted) {
      if (is_cpu(name)) one.wanted.set(name, {});
    }
  }
  for (const auto& [id, r] : requests_) {
    const bool granted = std::find(granted_.begin(), granted_.end(), id) != granted_.end();
    if (granted || r.phase == request_phase::lacks_worker) {
      all.push_back({0, pool_of(r.in), r.owner, r.wanted, {r.gpus}});
    }
  }
  for (const auto& [key, made] : reservations_) {
    all.push_back({0, 0, key.first.owner, made.amount, made.gpus});
  }
  return all;
}

std::vector<node_state::pool_use> node_state::pools() const {
  std::vector<pool_use> all{{own_.ledger.total(), own_.ledger.available()}};
  for (const auto& [key, made] : reservations_) {
    all.push_back({made.resources.ledger.total(), made.resources.ledger.available()});
  }
  return all;
}

}  // namespace troupe::net
