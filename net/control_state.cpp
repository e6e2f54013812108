#include "net/control_state.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "net/demand.hpp"

namespace troupe::net {
namespace {

joined refusal_of(std::string why) {
  joined answer;
  answer.refused = std::move(why);
  return answer;
}

}  // namespace

// -- nodes ----------------------------------------------------------------------------------------

void control_state::received(time now, process_id from, join_cluster what) {
  const auto refuse = [&](const std::string& why) {
    note(log_level::warn, "refused node '" + what.name + "': " + why);
    send(from, refusal_of(why));
  };
  std::string wrong;
  if (what.node.id != from) return refuse("it says to be another process than the one that sent");
  if (dead_.contains(from)) return refuse("it was declared dead; start it again");
  const auto total = to_resources(what.total, wrong);
  if (!total) return refuse("its resources make no sense: " + wrong);
  const auto back = awaited_.find(from);
  if (what.returning && back == awaited_.end()) {
    return refuse("the head that was started again does not know it: it was declared dead before");
  }
  const auto name_taken = [&](const auto& others) -> const join_cluster* {
    for (const auto& [id, other] : others) {
      if (other.info.name == what.name && id != from) return &other.info;
    }
    return nullptr;
  };
  const join_cluster* other = name_taken(nodes_);
  const bool other_awaited = other == nullptr;
  if (other_awaited) other = name_taken(awaited_);
  if (other != nullptr && other->node.host != what.node.host) {
    return refuse("the cluster has a node '" + what.name + "' already, at " + other->node.remote +
                  "; choose another --node-name");
  }
  // Two daemons of one name and session cannot live at once: the older one has crashed.
  if (other != nullptr) {
    const process_id older = other->node.id;
    if (other_awaited) {
      give_up_awaited(now, older, "another process took its place");
    } else {
      node_gone(now, older, "another process took its place", false);
    }
  }
  const auto processes = std::exchange(what.processes, {});
  const auto reservations = std::exchange(what.reservations, {});
  const auto available = std::exchange(what.available, {});
  const bool returning = std::exchange(what.returning, false);
  node& added = nodes_[from];
  added.last.available = returning ? available : what.total;
  added.info = std::move(what);
  added.heard = now;
  added.has_view = false;
  added.changed = true;
  keep(put_row(store_table::nodes, key_of(from), added.info.name, added.info));
  note(log_level::info,
       "node '" + added.info.name + "' has " + (returning ? "come back" : "joined"));
  if (returning) {
    const awaited_node before = std::move(back->second);
    awaited_.erase(back);
    welcome_back(now, from, before, processes);
  } else {
    send(from, joined{});
    // What it is told by others may lie with one of these.
    for (const process_died& one : obituaries_) send(from, one);
    tell_of_jobs(from);
  }
  groups_.node_joined(now, added.info, *total);
  if (returning) {
    groups_.node_returned(now, from, reservations);
    groups_.node_reported(now, from, available);
  }
  membership_changed(now);
}

/// Of the jobs that live, and of those that have ended and whose detached actors live.
void control_state::tell_of_jobs(process_id to) {
  for (const auto& [id, living] : jobs_) send(to, living.started);
  for (const auto& [id, ended] : ended_jobs_) {
    send(to, ended.started);
    send(to, job_ended{id, true});
  }
}

void control_state::received(time now, process_id from, node_report what) {
  const auto found = nodes_.find(from);
  if (found == nodes_.end()) {
    return send(from, refusal_of("it is not part of the cluster (any more); start it again"));
  }
  node& of = found->second;
  of.heard = now;
  if (of.last.available != what.available) {
    of.changed = true;
    view_changed();
  }
  groups_.node_reported(now, from, what.available);
  of.last = std::move(what);
  if (from != settings_.self.id) send(from, joined{}, true);
  send_view_if_due(now);
}

void control_state::received(time, process_id from, process_joined what) {
  if (is_node(from) && !dead_.contains(what.process)) add_process(from, what.process);
}

void control_state::received(time now, process_id from, ask_view what) {
  if (!is_node(from)) return;
  if (view_dirty_) send_view(now);
  cluster_view answer;
  answer.answers = what.number;
  send(from, std::move(answer));
}

void control_state::add_process(process_id at, process_id which) {
  if (!nodes_.at(at).processes.insert(which).second) return;
  keep(put_row(store_table::processes, key_of(which), nodes_.at(at).info.name, at));
}

void control_state::received(time now, process_id from, process_died what) {
  const auto found = nodes_.find(from);
  if (found == nodes_.end()) return;
  if (what.process == from) return node_gone(now, from, what.cause, what.clean);
  // A node speaks for its own processes alone.
  if (found->second.processes.erase(what.process) == 0) return;
  declare_dead(now, what.process, what.cause, what.clean);
}

void control_state::node_gone(time now, process_id who, const std::string& cause, bool clean) {
  const auto found = nodes_.find(who);
  if (found == nodes_.end()) return;
  const node gone = std::move(found->second);
  nodes_.erase(found);
  keep(remove_row(store_table::nodes, key_of(who)));
  gone_.push_back(who);
  note(clean ? log_level::info : log_level::warn,
       "node '" + gone.info.name + "' is gone: " + cause);
  declare_dead(now, who, cause, clean);
  for (const process_id of_it : gone.processes) {
    declare_dead(now, of_it, "its node '" + gone.info.name + "' is gone (" + cause + ")", false);
  }
  groups_.node_gone(now, who);
  membership_changed(now);
}

void control_state::declare_dead(time now, process_id who, const std::string& cause, bool clean) {
  if (!dead_.insert(who)) return;
  for (auto at = names_.begin(); at != names_.end();) {
    at = at->second.owner.id == who ? forget_name(at) : std::next(at);
  }
  const process_died news{who, cause, clean};
  keep(remove_row(store_table::processes, key_of(who)));
  remember_dead(news);
  broadcast(news);
  effects_.emplace_back(process_over{news});
  if (!clean) effects_.emplace_back(forget_process{who});
  groups_.process_gone(now, who);
  if (const auto driver = drivers_.find(who); driver != drivers_.end()) {
    end_job(now, driver->second);
  }
}

void control_state::tick(time now) {
  std::vector<process_id> silent;
  for (const auto& [id, n] : nodes_) {
    const bool own = id == settings_.self.id || id == settings_.own_node;
    if (!own && now - n.heard >= settings_.node_timeout) silent.push_back(id);
  }
  if (recovering_) look_after_awaited(now);
  groups_.tick(now);
  for (const process_id id : silent) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(settings_.node_timeout).count();
    node_gone(now, id, "it was silent for " + std::to_string(seconds) + " s", false);
  }
  send_view_if_due(now);
}

std::vector<peer> control_state::quiet_nodes(time now) const {
  std::vector<peer> result;
  for (const auto& [id, n] : nodes_) {
    const bool own = id == settings_.self.id || id == settings_.own_node;
    if (!own && now - n.heard >= settings_.quiet_after) {
      result.push_back(n.info.node);
    }
  }
  return result;
}

std::vector<process_id> control_state::nodes() const {
  std::vector<process_id> result;
  for (const auto& [id, n] : nodes_) result.push_back(id);
  return result;
}

/// Who has seen a node come shall find it: told at once, unless very many come.
void control_state::membership_changed(time now) {
  view_changed();
  const std::chrono::milliseconds least(nodes_.size());
  if (now - view_sent_ >= least) view_sent_ = now - settings_.view_interval - least;
  send_view_if_due(now);
}

/// What each gets grows with the number of nodes, and so does the time between views.
void control_state::send_view_if_due(time now) {
  const auto interval = std::max(settings_.view_interval, std::chrono::milliseconds(nodes_.size()));
  if (!nodes_.empty() && view_dirty_ && now - view_sent_ >= interval) send_view(now);
}

void control_state::send_view(time now) {
  view_dirty_ = false;
  view_sent_ = now;
  std::optional<cluster_view> all;
  const cluster_view news = view(false);
  for (auto& [id, n] : nodes_) {
    if (std::exchange(n.has_view, true)) {
      send(id, news);
    } else {
      if (!all) all = view(true);
      send(id, *all);
    }
  }
}

cluster_view control_state::view(bool whole) {
  cluster_view result;
  result.whole = whole;
  for (auto& [id, n] : nodes_) {
    if (!whole && !std::exchange(n.changed, false)) continue;
    result.nodes.push_back(
        {n.info.node, n.info.name, n.info.total, n.last.available, n.info.labels});
  }
  if (!whole) {
    result.gone = std::exchange(gone_, {});
    return result;
  }
  // What needs them waits for them, and is not refused.
  for (const auto& [id, n] : awaited_) {
    result.nodes.push_back({n.info.node, n.info.name, n.info.total, {}, n.info.labels});
  }
  return result;
}

// -- jobs -----------------------------------------------------------------------------------------

void control_state::received(time, process_id from, job_started what) {
  if (!is_node(from) || what.job != 0) return;
  if (dead_.contains(what.driver.id) || drivers_.count(what.driver.id) != 0) return;
  what.job = next_job_++;
  drivers_.emplace(what.driver.id, what.job);
  broadcast(what);
  const job_id id = what.job;
  keep_job(jobs_.emplace(id, job{std::move(what)}).first->second, false);
  keep(put_row(store_table::meta, "next_job", {}, next_job_));
}

void control_state::keep_job(const job& of, bool ended) {
  keep(put_row(store_table::jobs, std::to_string(of.started.job), of.started.process.executable,
               stored_job{of.started, ended}));
}

void control_state::received(time now, process_id from, job_ended what) {
  if (is_node(from)) end_job(now, what.job);
}

void control_state::end_job(time now, job_id id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  drivers_.erase(found->second.started.driver.id);
  if (found->second.held == 0) return job_over(now, id);
  keep_job(found->second, true);
  ended_jobs_.insert(jobs_.extract(found));
  broadcast(job_ended{id, true});
}

void control_state::hold_job(job_id id) {
  if (const auto living = jobs_.find(id); living != jobs_.end()) ++living->second.held;
  if (const auto ended = ended_jobs_.find(id); ended != ended_jobs_.end()) ++ended->second.held;
}

void control_state::release_job(time now, job_id id) {
  if (const auto living = jobs_.find(id); living != jobs_.end()) --living->second.held;
  const auto ended = ended_jobs_.find(id);
  if (ended != ended_jobs_.end() && --ended->second.held == 0) job_over(now, id);
}

/// Also of its detached actors none is left.
void control_state::job_over(time now, job_id id) {
  jobs_.erase(id);
  ended_jobs_.erase(id);
  keep(remove_row(store_table::jobs, std::to_string(id)));
  broadcast(job_ended{id, false});
  groups_.job_ended(now, id);
}

const job_started* control_state::find_job(job_id id) const {
  if (const auto living = jobs_.find(id); living != jobs_.end()) return &living->second.started;
  const auto ended = ended_jobs_.find(id);
  return ended != ended_jobs_.end() ? &ended->second.started : nullptr;
}

// -- names ----------------------------------------------------------------------------------------

void control_state::received(time, process_id from, register_name what) {
  name_reply answer;
  answer.request = what.request;
  const auto key = std::pair(std::move(what.in_namespace), std::move(what.name));
  auto holder = names_.find(key);
  if (holder == names_.end() && !dead_.contains(what.owner.id)) {
    answer.done = true;
    holder = names_.emplace(key, name{std::move(what.class_name), what.actor, what.owner}).first;
#ifndef TROUPE_PLANTED_NAME_NOT_STORED  // for the simulator to find
    keep(put_row(
        store_table::names, key_of(key.first, key.second), key.second,
        stored_name{key.first, key.second, holder->second.class_name, what.actor, what.owner},
        // Any other owner is gone by the time that power is back.
        what.owner.id == settings_.self.id));
#endif
  } else if (holder != names_.end() && holder->second.actor == what.actor) {
    answer.done = true;  // it asks again: the answer was lost with an earlier life of the head
  }
  if (holder != names_.end()) {
    answer.class_name = holder->second.class_name;
    answer.actor = holder->second.actor;
    answer.owner = holder->second.owner;
  }
  send(from, std::move(answer));
}

void control_state::received(time, process_id from, find_name what) {
  name_reply answer;
  answer.request = what.request;
  const auto holder = names_.find({what.in_namespace, what.name});
  if (holder != names_.end()) {
    answer.done = true;
    answer.class_name = holder->second.class_name;
    answer.actor = holder->second.actor;
    answer.owner = holder->second.owner;
  }
  send(from, std::move(answer));
}

void control_state::received(time, process_id, release_name what) {
  const auto holder = names_.find({what.in_namespace, what.name});
  if (holder != names_.end() && holder->second.actor == what.actor) forget_name(holder);
}

control_state::names::iterator control_state::forget_name(names::iterator which) {
  keep(remove_row(store_table::names, key_of(which->first.first, which->first.second)));
  return names_.erase(which);
}

// -- placement groups -----------------------------------------------------------------------------

void control_state::received(time now, process_id from, create_group what) {
  if (!dead_.contains(from)) groups_.received(now, from, std::move(what));
}
void control_state::received(time now, process_id from, remove_group what) {
  groups_.received(now, from, what);
}
void control_state::received(time now, process_id from, ask_group what) {
  groups_.received(now, from, std::move(what));
}
void control_state::received(time now, process_id from, request_lease what) {
  if (!dead_.contains(from)) groups_.received(now, from, std::move(what));
}
void control_state::received(time now, process_id from, cancel_request what) {
  groups_.received(now, from, what);
}
void control_state::received(time now, process_id from, bundles_prepared what) {
  groups_.received(now, from, what);
}
void control_state::received(time now, process_id from, bundles_dropped what) {
  groups_.received(now, from, what);
}

// -- tools ----------------------------------------------------------------------------------------

void control_state::received(time, process_id from, ask_status) { send(from, make_status(), true); }

status control_state::make_status() const {
  status result;
  for (const auto& [id, n] : nodes_) {
    const std::string& address =
        n.info.node.remote.empty() ? n.info.node.local : n.info.node.remote;
    result.nodes.push_back({n.info.name, address, n.info.total, n.last.available, n.last.waiting,
                            n.info.labels, n.last.workers, n.last.actors,
                            id == settings_.self.id || id == settings_.own_node, n.last.store,
                            n.last.gpus});
  }
  for (const auto& [id, n] : awaited_) {
    result.nodes.push_back({n.info.name,
                            n.info.node.remote,
                            n.info.total,
                            n.info.total,
                            {},
                            n.info.labels,
                            0,
                            0,
                            false,
                            {},
                            {},
                            true});
  }
  std::sort(result.nodes.begin(), result.nodes.end(), [](const auto& a, const auto& b) {
    return a.head != b.head ? a.head : a.name < b.name;
  });
  for (const auto& [key, n] : names_) {
    result.actors.push_back({key.first, key.second, n.class_name, n.owner.id == settings_.self.id});
  }
  result.groups = groups_.list();
  result.jobs = static_cast<std::uint32_t>(jobs_.size());
  result.life = settings_.life;
  result.life_began = settings_.life_began;
  return result;
}

std::vector<control_effect> control_state::take_effects() {
  for (store_change& change : groups_.take_changes()) keep(std::move(change));
  for (auto& [to, what] : groups_.take_outgoing()) {
    std::visit([&, to = to](auto& message) { send(to, std::move(message)); }, what);
  }
  return std::exchange(effects_, {});
}

void control_state::broadcast(const control_message& what) {
  for (const auto& [id, n] : nodes_) send(id, what);
}

void control_state::send(process_id to, control_message what, bool at_once) {
  effects_.emplace_back(send_from_control{to, std::move(what), at_once});
}

void control_state::note(log_level level, std::string text) {
  effects_.emplace_back(say{level, std::move(text)});
}

}  // namespace troupe::net
