#include "net/control_groups.hpp"

#include <algorithm>
#include <utility>

#include "net/demand.hpp"

namespace troupe::net {

bool control_groups::group::placed() const {
  return std::find(where.begin(), where.end(), process_id{0}) == where.end();
}

bool control_groups::group::on_one_node() const {
  return std::all_of(where.begin(), where.end(),
                     [this](process_id at) { return at != 0 && at == where.front(); });
}

group_phase control_groups::group::phase() const {
  if (placed()) return group_phase::created;
  return was_created ? group_phase::rescheduling : group_phase::pending;
}

// -- nodes ----------------------------------------------------------------------------------------

void control_groups::node_joined(time now, const join_cluster& what,
                                 const core::resource_set& total) {
  std::erase_if(nodes_, [&](const placement_node& n) { return n.at.id == what.node.id; });
  nodes_.insert(place_of(what.node.id), {what.node, what.name, total, total, what.labels, total});
  changed_ = true;
  try_all(now);
}

void control_groups::node_reported(time now, process_id node, const demand& available) {
  placement_node* const of = find_node(node);
  std::string wrong;
  auto amounts = to_resources(available, wrong);
  if (of == nullptr || !amounts || *amounts == of->available) return;
  of->available = std::move(*amounts);
  changed_ = true;
  try_all(now);
}

void control_groups::node_gone(time now, process_id node) {
  std::erase_if(nodes_, [&](const placement_node& n) { return n.at.id == node; });
  for (auto& [id, of] : groups_) lost(now, of, node);
  changed_ = true;
  try_all(now);
}

void control_groups::lost(time now, group& of, process_id node) {
  if (of.attempt != 0 && of.awaited.count(node) + nodes_in(of.plan).count(node) != 0) {
    give_up_attempt(now, of, "a node that was to hold some of it is gone");
  }
  bool any = false;
  for (process_id& at : of.where) {
    if (at != node) continue;
    at = 0;
    any = true;
  }
  if (!any) return;
  keep(of, false);
  of.why = "it has lost bundles with their node";
  of.retry_at.reset();
  of.retry_after = first_retry;
  unplaced_.insert(of.spec.group);
}

void control_groups::process_gone(time now, process_id who) {
  for (auto& [id, of] : groups_) {
    waiting_ -= std::erase_if(of.waiting, [who](const auto& w) { return w.first == who; });
    std::erase_if(of.curious, [who](const auto& w) { return w.first == who; });
  }
  std::erase_if(early_, [who](const early& e) { return e.from == who; });
  refused_.erase(refused_.lower_bound({who, 0}), refused_.upper_bound({who, ~std::uint64_t{0}}));
  std::vector<global_id> owned;
  for (auto at = groups_.lower_bound({who, 0}); at != groups_.end() && at->first.owner == who;
       ++at) {
    if (!at->second.spec.detached) owned.push_back(at->first);
  }
  for (const global_id id : owned) remove(now, id, "the process that created it has ended");
}

void control_groups::job_ended(time now, job_id job) {
  std::vector<global_id> of_job;
  for (const auto& [id, of] : groups_) {
    if (of.spec.job == job && !of.spec.detached) of_job.push_back(id);
  }
  for (const global_id id : of_job) remove(now, id, "its job has ended");
}

void control_groups::tick(time now) {
  while (!early_.empty() && early_.front().until <= now) {
    early late = std::move(early_.front());
    early_.pop_front();
    if (auto* const asked = std::get_if<ask_group>(&late.what)) {
      send(late.from,
           group_reply{asked->request, {}, group_phase::removed, "it does not exist", {}});
    } else {
      const auto& wanted = std::get<request_lease>(late.what);
      refuse(late.from, wanted.request, gone_text(wanted.group));
    }
  }
  try_all(now);
}

// -- placing --------------------------------------------------------------------------------------

void control_groups::try_all(time now) {
  if (unplaced_.empty()) return;
  const bool changed = std::exchange(changed_, false);
  std::vector<group*> candidates;
  for (const global_id id : unplaced_) {
    group& of = groups_.at(id);
    if (of.attempt == 0 && (!of.retry_at || now >= *of.retry_at) &&
        (changed || of.retry_at || of.why.empty())) {
      candidates.push_back(&of);
    }
  }
  // What was lost comes back before what is new.
  std::sort(candidates.begin(), candidates.end(), [](const group* a, const group* b) {
    return std::pair(!a->was_created, a->order) < std::pair(!b->was_created, b->order);
  });
  // What has just found no room need not be tried again for another of the same kind.
  std::set<std::string> hopeless;
  for (group* const of : candidates) {
    std::string kind = to_text(of->spec.strategy);
    for (std::size_t i = 0; i < of->bundles.size(); ++i) {
      kind += of->bundles[i].to_string() + std::to_string(of->where[i]);
    }
    if (hopeless.count(kind) != 0) continue;
    try_place(now, *of);
    if (of->attempt == 0 && !of->placed()) hopeless.insert(std::move(kind));
  }
}

void control_groups::try_place(time, group& of) {
  const bundle_placement found = place_bundles(nodes_, of.bundles, of.spec.strategy, of.where);
  of.retry_at.reset();
  if (found.where.empty()) {
    of.why = (found.feasible ? "waits: " : "infeasible: ") + found.why;
    return;
  }
  of.attempt = ++last_attempt_;
  of.plan.assign(of.bundles.size(), 0);
  std::map<process_id, prepare_bundles> orders;
  for (std::size_t i = 0; i < of.bundles.size(); ++i) {
    if (of.where[i] != 0) continue;
    const process_id node = of.plan[i] = found.where[i];
    orders[node].bundles.push_back({static_cast<std::uint32_t>(i), of.spec.bundles[i]});
    find_node(node)->available -= of.bundles[i];
  }
  for (auto& [node, order] : orders) {
    order.group = of.spec.group;
    order.attempt = of.attempt;
    of.awaited.insert(node);
    send(node, std::move(order));
  }
}

void control_groups::received(time now, process_id from, const bundles_prepared& what) {
  if (placement_node* const node = find_node(from)) {
    std::string wrong;
    if (auto amounts = to_resources(what.available, wrong)) node->available = std::move(*amounts);
  }
  group* const of = find(what.group);
  if (of == nullptr || of->attempt != what.attempt || of->awaited.erase(from) == 0) return;
  if (!what.done) {
    give_up_attempt(now, *of, "waits: a node gave its resources away meanwhile");
    return;
  }
  if (of->awaited.empty()) commit(now, *of);
}

void control_groups::received(time now, process_id from, const bundles_dropped& what) {
  node_reported(now, from, what.available);
}

void control_groups::give_up_attempt(time now, group& of, const std::string& why) {
  for (const process_id node : nodes_in(of.plan)) {
    if (find_node(node) != nullptr) send(node, drop_bundles{of.spec.group, of.attempt, why});
  }
  of.plan.clear();
  of.awaited.clear();
  of.attempt = 0;
  of.why = why;
  of.retry_at = now + of.retry_after;
  of.retry_after = std::min(last_retry, of.retry_after * 3 / 2);
}

void control_groups::commit(time now, group& of) {
  for (std::size_t i = 0; i < of.plan.size(); ++i) {
    if (of.plan[i] != 0) of.where[i] = of.plan[i];
  }
  of.was_created = true;
  keep(of, false);
  for (const process_id node : nodes_in(of.plan)) {
    send(node, commit_bundles{of.spec.group, of.attempt, of.on_one_node()});
  }
  of.plan.clear();
  of.attempt = 0;
  of.retry_after = first_retry;
  if (!of.placed()) {  // it has lost others meanwhile
    send_waiting(of);
    return try_place(now, of);
  }
  unplaced_.erase(of.spec.group);
  created(of);
}

void control_groups::created(group& of) {
  of.was_created = true;
  of.why.clear();
  for (const auto& [who, asked] : std::exchange(of.curious, {})) {
    send(who, reply_to(asked.request, of));
  }
  send_waiting(of);
}

void control_groups::send_waiting(group& of) {
  waiting_ -= of.waiting.size();
  for (auto& [who, wanted] : std::exchange(of.waiting, {})) send_on(of, who, std::move(wanted));
}

// -- another life of the head ---------------------------------------------------------------------

void control_groups::keep(const group& of, bool promised) {
  const std::string& name = of.spec.name;
  changes_.push_back(put_row(store_table::groups, key_of(of.spec.group), name,
                             stored_group{of.spec, of.order, of.where, of.was_created}, promised));
}

void control_groups::recover(std::uint32_t life, std::vector<stored_group>&& known) {
  last_attempt_ = std::uint64_t{life} << 32;
  for (stored_group& one : known) {
    group of;
    std::string wrong;
    for (const demand& amount : one.spec.bundles) {
      of.bundles.push_back(to_resources(amount, wrong).value_or(core::resource_set()));
    }
    of.order = one.order;
    of.where = std::move(one.where);
    of.where.resize(of.bundles.size(), 0);
    of.was_created = one.was_created;
    last_order_ = std::max(last_order_, of.order);
    const global_id id = one.spec.group;
    if (!one.spec.name.empty()) names_.emplace(std::pair(one.spec.in_namespace, one.spec.name), id);
    of.spec = std::move(one.spec);
    if (!of.placed()) unplaced_.insert(id);
    groups_.emplace(id, std::move(of));
  }
}

void control_groups::node_returned(time now, process_id node,
                                   const std::vector<join_cluster::reservation>& has) {
  std::set<std::pair<global_id, std::uint32_t>> seen;
  for (const join_cluster::reservation& one : has) {
    group* const of = find(one.group);
    const auto is_there = [&](std::uint32_t bundle) {
      return bundle < of->where.size() && of->where[bundle] == node;
    };
    if (of == nullptr || !std::all_of(one.bundles.begin(), one.bundles.end(), is_there)) {
      // Removed meanwhile, or of an attempt that the earlier life did not finish.
      send(node, drop_bundles{one.group, one.attempt, "it was removed while the head was away"});
      continue;
    }
    for (const std::uint32_t bundle : one.bundles) seen.emplace(one.group, bundle);
    if (one.committed) continue;
    send(node, commit_bundles{one.group, one.attempt, of->on_one_node()});
  }
  for (auto& [id, of] : groups_) {
    bool any = false;
    for (std::uint32_t bundle = 0; bundle < of.where.size(); ++bundle) {
      if (of.where[bundle] != node || seen.count({id, bundle}) != 0) continue;
      of.where[bundle] = 0;
      any = true;
    }
    if (any) {
      of.why = "its node came back without bundles of it";
      unplaced_.insert(id);
      keep(of, false);
    }
    send_waiting(of);
  }
  changed_ = true;
  try_all(now);
}

// -- the life of a group --------------------------------------------------------------------------

void control_groups::received(time now, process_id from, create_group what) {
  if (groups_.count(what.group) != 0 || removed_.contains(what.group)) {
    // The creator says it again to another life of the head.
    const group* const known = find(what.group);
    return send(
        from, group_reply{
                  0, what.group, known != nullptr ? known->phase() : group_phase::removed, {}, {}});
  }
  const auto refuse_group = [&](const std::string& why) {
    // Whoever asks for it by its id is told so.
    removed_.insert(what.group);
    refused_[what.group] = why;
    send(from, group_reply{0, what.group, group_phase::removed, why, {}});
  };
  const auto key = std::pair(what.in_namespace, what.name);
  if (!what.name.empty() && names_.count(key) != 0) {
    return refuse_group("the name '" + what.name + "' is taken by another placement group");
  }
  group fresh;
  std::string wrong;
  for (const demand& amount : what.bundles) {
    auto bundle = to_resources(amount, wrong);
    if (!bundle || bundle->empty()) return refuse_group("one of its bundles makes no sense");
    fresh.bundles.push_back(std::move(*bundle));
  }
  if (fresh.bundles.empty() || fresh.bundles.size() > most_bundles) {
    return refuse_group("it has " + std::to_string(fresh.bundles.size()) + " bundles; 1 to " +
                        std::to_string(most_bundles) + " are allowed");
  }
  const global_id id = what.group;
  if (!what.name.empty()) names_.emplace(key, id);
  fresh.order = ++last_order_;
  fresh.where.assign(fresh.bundles.size(), 0);
  fresh.spec = std::move(what);
  group& added = groups_.emplace(id, std::move(fresh)).first->second;
  unplaced_.insert(id);
  keep(added, added.spec.detached);  // another one goes with its program
  send(from, group_reply{0, id, group_phase::pending, {}, {}});
  try_place(now, added);

  for (early& e : std::exchange(early_, {})) {
    const bool is_request = std::holds_alternative<request_lease>(e.what);
    if (is_request && std::get<request_lease>(e.what).group == id) {
      received(now, e.from, std::get<request_lease>(std::move(e.what)));
    } else if (!is_request && std::get<ask_group>(e.what).group == id) {
      received(now, e.from, std::get<ask_group>(std::move(e.what)));
    } else {
      early_.push_back(std::move(e));
    }
  }
}

void control_groups::received(time now, process_id, const remove_group& what) {
  remove(now, what.group, "it was removed");
}

void control_groups::remove(time now, global_id id, const std::string& why) {
  const auto found = groups_.find(id);
  removed_.insert(id);
  if (found == groups_.end()) return;
  group of = std::move(found->second);
  groups_.erase(found);
  unplaced_.erase(id);
  changes_.push_back(remove_row(store_table::groups, key_of(id)));
  if (!of.spec.name.empty()) names_.erase({of.spec.in_namespace, of.spec.name});
  const std::string text = name_of(of) + " is gone: " + why;
  std::set<process_id> nodes = nodes_in(of.where);
  nodes.merge(nodes_in(of.plan));
  for (const process_id node : nodes) send(node, drop_bundles{id, 0, text});
  for (const auto& [who, asked] : of.curious) {
    send(who, group_reply{asked.request, id, group_phase::removed, text, {}});
  }
  waiting_ -= of.waiting.size();
  for (const auto& [who, wanted] : of.waiting) refuse(who, wanted.request, text);
  try_all(now);
}

void control_groups::received(time now, process_id from, ask_group what) {
  global_id id = what.group;
  if (!id) {
    const auto named = names_.find({what.in_namespace, what.name});
    if (named != names_.end()) id = named->second;
  }
  group* const of = find(id);
  if (of == nullptr && id && !removed_.contains(id) && what.when_created) {
    early_.push_back({now + unknown_group_wait, from, std::move(what)});
    return;
  }
  if (of == nullptr) {
    const auto refused = refused_.find(id);
    const std::string why = refused != refused_.end() ? refused->second
                            : id                      ? "it was removed"
                                                      : "there is none of that name";
    return send(from, group_reply{what.request, {}, group_phase::removed, why, {}});
  }
  if (what.when_created && !of->was_created) {
    of->curious.emplace_back(from, std::move(what));
    return;
  }
  send(from, reply_to(what.request, *of));
}

group_reply control_groups::reply_to(std::uint64_t request, const group& of) const {
  return {request, of.spec.group, of.phase(), of.why, of.spec.bundles};
}

// -- requests -------------------------------------------------------------------------------------

void control_groups::received(time now, process_id from, request_lease what) {
  group* const of = find(what.group);
  if (of == nullptr) {
    if (removed_.contains(what.group) || early_.size() >= most_waiting) {
      return refuse(from, what.request, gone_text(what.group));
    }
    early_.push_back({now + unknown_group_wait, from, std::move(what)});
    return;
  }
  std::string wrong;
  const auto wanted = to_resources(what.wanted, wrong);
  const auto count = static_cast<std::int64_t>(of->bundles.size());
  if (!wanted) return refuse(from, what.request, "its demand makes no sense: " + wrong);
  if (what.bundle >= count) {
    return refuse(from, what.request,
                  name_of(*of) + " has " + std::to_string(count) + " bundles, and no bundle " +
                      std::to_string(what.bundle));
  }
  const auto fits = [&](const core::resource_set& bundle) { return wanted->fits_in(bundle); };
  if (what.bundle >= 0 ? !fits(of->bundles[static_cast<std::size_t>(what.bundle)])
                       : std::none_of(of->bundles.begin(), of->bundles.end(), fits)) {
    return refuse(from, what.request,
                  "it needs " + wanted->to_string() + ", which " +
                      (what.bundle >= 0 ? "bundle " + std::to_string(what.bundle) + " of "
                                        : "no bundle of ") +
                      name_of(*of) + (what.bundle >= 0 ? " does not have" : " has"));
  }
  send_on(*of, from, std::move(what));
}

void control_groups::send_on(group& of, process_id to, request_lease&& what) {
  process_id node = 0;
  if (what.bundle >= 0) {
    node = of.where[static_cast<std::size_t>(what.bundle)];
  } else {
    std::string wrong;
    const core::resource_set wanted = *to_resources(what.wanted, wrong);
    for (std::size_t tried = 0; tried < of.where.size() && node == 0; ++tried) {
      const std::size_t i = of.turn++ % of.where.size();
      if (wanted.fits_in(of.bundles[i])) node = of.where[i];
    }
  }
  if (const placement_node* const at = find_node(node); at != nullptr) {
    return send(to, lease_redirected{what.request, at->at, true});
  }
  if (waiting_ >= most_waiting) {
    return refuse(to, what.request, "too many requests wait for placement groups");
  }
  ++waiting_;
  of.waiting.emplace_back(to, std::move(what));
}

void control_groups::received(time, process_id from, const cancel_request& what) {
  const auto mine = [&](process_id who, std::uint64_t request) {
    return who == from && request == what.request;
  };
  for (auto& [id, of] : groups_) {
    const auto gone =
        std::erase_if(of.waiting, [&](const auto& w) { return mine(w.first, w.second.request); });
    waiting_ -= gone;
    if (gone != 0) return;
  }
  std::erase_if(early_, [&](const early& e) {
    const auto* const request = std::get_if<request_lease>(&e.what);
    return request != nullptr && mine(e.from, request->request);
  });
}

void control_groups::refuse(process_id to, std::uint64_t request, std::string why) {
  send(to, lease_refused{request, refusal::infeasible, std::move(why)});
}

// -- small things ---------------------------------------------------------------------------------

std::vector<status::group> control_groups::list() const {
  std::vector<status::group> result;
  for (const auto& [id, of] : groups_) {
    status::group entry{id,
                        of.spec.in_namespace,
                        of.spec.name,
                        of.spec.strategy,
                        of.phase(),
                        of.why,
                        of.spec.detached,
                        of.spec.bundles,
                        {}};
    for (const process_id node : of.where) {
      const auto at = std::find_if(nodes_.begin(), nodes_.end(),
                                   [node](const placement_node& n) { return n.at.id == node; });
      entry.nodes.push_back(at != nodes_.end() ? at->name : "");
    }
    result.push_back(std::move(entry));
  }
  return result;
}

std::string control_groups::name_of(const group& of) const {
  return of.spec.name.empty() ? "its placement group" : "placement group '" + of.spec.name + "'";
}

std::string control_groups::gone_text(global_id id) const {
  return removed_.contains(id) ? "its placement group was removed"
                               : "there is no such placement group";
}

std::set<process_id> control_groups::nodes_in(const std::vector<process_id>& where) const {
  std::set<process_id> result(where.begin(), where.end());
  result.erase(0);
  return result;
}

std::vector<placement_node>::iterator control_groups::place_of(process_id id) {
  return std::lower_bound(nodes_.begin(), nodes_.end(), id,
                          [](const placement_node& n, process_id of) { return n.at.id < of; });
}

placement_node* control_groups::find_node(process_id id) {
  const auto at = place_of(id);
  return at == nodes_.end() || at->at.id != id ? nullptr : &*at;
}

control_groups::group* control_groups::find(global_id id) {
  const auto found = groups_.find(id);
  return found == groups_.end() ? nullptr : &found->second;
}

}  // namespace troupe::net
