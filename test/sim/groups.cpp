#include "test/sim/groups.hpp"

#include <iterator>
#include <utility>

#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::size_t most_groups = 2;

enum record : std::uint64_t { group_told = 120 };

}  // namespace

void group_part::work(rng& draw) {
  if (draw.chance(0.1) && groups_.size() < most_groups) create(draw);
  for (const auto& [id, of] : groups_) {
    if (!of.created || draw.chance(0.5)) continue;
    const auto bundle = static_cast<std::int32_t>(draw.between(-1, of.bundles - 1));
    for (std::int64_t i = draw.between(1, 4); i > 0; --i) {
      const std::int64_t share = draw.chance(0.3) ? 5'000 : 10'000;
      in_.submit_in(id, bundle, {{of.detached ? "tape" : "CPU", share}}, draw);
    }
  }
  if (!groups_.empty() && draw.chance(0.05)) {
    auto at = groups_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(draw.below(groups_.size())));
    if (!at->second.detached) remove(at->first);
  }
}

void group_part::create(rng& draw) {
  net::create_group order;
  order.group = {in_.id(), in_.next_number()};
  order.job = in_.job();
  order.strategy = static_cast<net::group_strategy>(draw.below(4));
  group& added = groups_[order.group];
  added.bundles = static_cast<std::uint32_t>(draw.between(1, 3));
  // What stays for long must not have what others wait for.
  added.detached = order.detached = draw.chance(0.15);
  for (std::uint32_t i = 0; i < added.bundles; ++i) {
    if (order.detached) {
      order.bundles.push_back({{"tape", 10'000}});
      continue;
    }
    order.bundles.push_back({{"CPU", draw.chance(0.3) ? 20'000 : 10'000}});
    if (draw.chance(0.1)) order.bundles.back().emplace_back("GPU", 10'000);
  }
  if (order.detached) order.name = "g" + std::to_string(draw.below(3));
  const net::global_id id = order.group;
  const std::string name = order.name;
  unconfirmed_.emplace(id, order);
  in_.net().send(in_.head(), std::move(order));
  if (!name.empty()) ask({{0, id, "", "", false}, name});
  ask({{0, id, "", "", true}, ""});
}

void group_part::ask(question what) {
  what.asked.request = ++last_request_;
  in_.net().send(in_.head(), what.asked);
  open_.emplace(what.asked.request, std::move(what));
}

void group_part::put_away(const std::string& name) { ask({{0, {}, "", name, false}, name, true}); }

void group_part::remove(net::global_id id) {
  groups_.erase(id);
  unconfirmed_.erase(id);
  removed_.push_back(id);
  in_.net().send(in_.head(), net::remove_group{id});
}

void group_part::remove_all() {
  std::vector<net::global_id> own;
  for (const auto& [id, of] : groups_) {
    // One that was not created may wait for ever.
    if (!of.detached || !of.created) own.push_back(id);
  }
  for (const net::global_id id : own) {
    sim_.watch.group_removed(id);
    remove(id);
  }
  groups_.clear();
}

void group_part::cut_off() {
  groups_.clear();
  unconfirmed_.clear();
  open_.clear();
}

void group_part::head_renewed() {
  for (const auto& [id, order] : unconfirmed_) in_.net().send(in_.head(), order);
  for (const net::global_id id : removed_) in_.net().send(in_.head(), net::remove_group{id});
  for (const auto& [request, one] : open_) in_.net().send(in_.head(), one.asked);
}

void group_part::on(process_id, const net::group_reply& what) {
  if (what.group) unconfirmed_.erase(what.group);
  const auto at = open_.find(what.request);
  if (at == open_.end()) return;
  const question asked = std::move(at->second);
  open_.erase(at);
  const bool is_there = what.phase != net::group_phase::removed;
  sim_.w.record(group_told, in_.id(), static_cast<std::uint64_t>(what.phase), [&] {
    return std::to_string(in_.id() % 1'000'000) + " hears that group " +
           std::to_string(what.group.local) + " is in phase " +
           std::to_string(static_cast<int>(what.phase)) + ": " + what.why;
  });
  if (asked.put_away) {
    if (!is_there) return sim_.watch.group_not_found(asked.name);
    sim_.watch.group_removed(what.group);
    return remove(what.group);
  }
  const net::global_id id = asked.asked.group;
  const auto own = groups_.find(id);
  if (!asked.name.empty()) {
    if (own == groups_.end()) return;  // it was removed meanwhile
    if (is_there) return sim_.watch.group_promised(id, asked.name);
    groups_.erase(own);  // its name is taken
    return;
  }
  if (own == groups_.end()) return;
  own->second.created = is_there;
  if (is_there) return;
  const bool detached = own->second.detached;
  groups_.erase(own);
  if (!detached) throw violation("a placement group is gone, and nobody removed it: " + what.why);
}

std::string group_part::waits_for() const {
  if (open_.empty()) return {};
  return "the head's answer about placement group " +
         std::to_string(open_.begin()->second.asked.group.local);
}

}  // namespace troupe::sim
