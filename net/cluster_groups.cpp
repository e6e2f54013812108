#include "net/cluster_groups.hpp"

#include <utility>
#include <vector>

#include <troupe/detail/waiting.hpp>
#include <troupe/error.hpp>

#include "net/bundle_placement.hpp"
#include "net/cluster.hpp"
#include "net/demand.hpp"
#include "net/failures.hpp"

namespace troupe::net {
namespace {

constexpr auto answer_timeout = std::chrono::seconds(60);
/// So many removals are told again to another life of the head.
constexpr std::size_t most_removed = 10'000;

detail::value_object<void>& signal(const detail::object_ptr& of) {
  return static_cast<detail::value_object<void>&>(*of);
}

}  // namespace

cluster_groups::question_ptr cluster_groups::ask(ask_group what, bool fails) {
  auto asked = std::make_shared<question>();
  asked->answered = detail::object_ptr::adopt(new detail::value_object<void>);
  asked->fails = fails;
  asked->reply.group = what.group;
  std::string abandoned;
  {
    const std::lock_guard guard(mutex_);
    abandoned = abandoned_;
    what.request = ++last_request_;
    asked->asked = what;
    if (abandoned.empty()) open_.emplace(what.request, asked);
  }
  if (abandoned.empty()) {
    here_.send(here_.head.id, std::move(what));
  } else {
    signal(asked->answered).set_failure(failure_with<connection_error>(abandoned));
  }
  return asked;
}

group_reply cluster_groups::wait_for(const question_ptr& asked, const char* for_what) {
  try {
    detail::wait_until_ready(*asked->answered, std::chrono::steady_clock::now() + answer_timeout);
  } catch (const get_timeout_error&) {
    throw connection_error(std::string(for_what) +
                           ": the head of the cluster did not answer within " +
                           std::to_string(answer_timeout.count()) + " s; see 'troupe status'");
  }
  asked->answered->note_asked();
  if (asked->answered->has_failed()) detail::throw_failure(*asked->answered);
  return asked->reply;
}

placement_group_id cluster_groups::create(core::group_spec wanted) {
  create_group order;
  {
    const std::lock_guard guard(mutex_);
    order.group = {here_.self(), ++last_group_};
  }
  const global_id id = order.group;
  const bool named = !wanted.name.empty();
  order.job = here_.job;
  order.in_namespace = std::move(wanted.in_namespace);
  order.name = std::move(wanted.name);
  order.strategy = static_cast<group_strategy>(wanted.strategy);
  order.detached = wanted.detached;
  for (const core::resource_set& one : wanted.bundles) order.bundles.push_back(to_demand(one));
  {
    const std::lock_guard guard(mutex_);
    unconfirmed_.emplace(id, order);
  }
  here_.send(here_.head.id, std::move(order));
  if (named) {
    // The refusal of a taken name stands before this answer.
    const question_ptr asked = ask({0, id, {}, {}, false}, false);
    const group_reply known = wait_for(asked, "placement_group");
    if (known.group != id) throw placement_error("placement_group: " + known.why);
  }
  return to_public(id);
}

detail::object_ptr cluster_groups::ready(placement_group_id id) {
  return ask({0, to_global(id), {}, {}, true}, true)->answered;
}

void cluster_groups::remove(placement_group_id id) noexcept {
  {
    const std::lock_guard guard(mutex_);
    removed_.push_back(to_global(id));
    if (removed_.size() > most_removed) removed_.pop_front();
    unconfirmed_.erase(to_global(id));
  }
  here_.send(here_.head.id, remove_group{to_global(id)});
}

void cluster_groups::head_renewed() {
  std::vector<create_group> created;
  std::vector<global_id> removed;
  std::vector<ask_group> asked;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, order] : unconfirmed_) created.push_back(order);
    removed.assign(removed_.begin(), removed_.end());
    for (const auto& [request, one] : open_) asked.push_back(one->asked);
  }
  for (create_group& one : created) here_.send(here_.head.id, std::move(one));
  for (const global_id id : removed) here_.send(here_.head.id, remove_group{id});
  for (ask_group& one : asked) here_.send(here_.head.id, std::move(one));
}

core::placement_groups::found cluster_groups::find(std::string_view name,
                                                   std::string_view in_namespace) {
  const question_ptr asked =
      ask({0, {}, std::string(in_namespace), std::string(name), false}, false);
  const group_reply known = wait_for(asked, "get_placement_group");
  return {to_public(known.group), known.bundles.size()};
}

std::vector<placement_group_info> cluster_groups::list() {
  std::vector<placement_group_info> result;
  for (const status::group& g : static_cast<cluster&>(*here_.runtime().cluster).ask_head().groups) {
    placement_group_info info;
    info.id = to_public(g.id);
    info.name = g.name;
    info.in_namespace = g.in_namespace;
    info.strategy = static_cast<placement_strategy>(g.strategy);
    info.state = to_text(g.phase);
    info.why = g.why;
    info.detached = g.detached;
    info.nodes = g.nodes;
    std::string wrong;
    for (const demand& amount : g.bundles) {
      const auto bundle = to_resources(amount, wrong);
      info.bundles.push_back(bundle ? core::to_map(*bundle) : std::map<std::string, double>());
    }
    result.push_back(std::move(info));
  }
  return result;
}

core::capacity& cluster_groups::bundle(placement_group_id, int, const core::resource_set&,
                                       std::string_view who) {
  // What runs in this process and nowhere else uses nothing of its node.
  throw placement_error("'" + std::string(who) +
                        "' cannot run in a placement group: its "
                        "arguments keep it in this process");
}

void cluster_groups::on(process_id, group_reply what) {
  question_ptr asked;
  const std::string gone = "the placement group is gone: " + what.why;
  {
    const std::lock_guard guard(mutex_);
    if (what.group) unconfirmed_.erase(what.group);
    const auto at = open_.find(what.request);
    if (at == open_.end()) return;  // also a refusal, which the next answer repeats
    asked = std::move(at->second);
    open_.erase(at);
  }
  const bool is_gone = what.phase == group_phase::removed;
  asked->reply = std::move(what);
  if (is_gone && asked->fails) {
    signal(asked->answered).set_failure(failure_with<placement_error>(gone));
  } else {
    signal(asked->answered).set();
  }
}

void cluster_groups::abandon_all(const std::string& why) {
  std::unordered_map<std::uint64_t, question_ptr> left;
  {
    const std::lock_guard guard(mutex_);
    left.swap(open_);
    if (abandoned_.empty()) abandoned_ = why;
  }
  for (const auto& [request, asked] : left) {
    signal(asked->answered).set_failure(failure_with<connection_error>(why));
  }
}

}  // namespace troupe::net
