#include "test/sim/monitor.hpp"

#include <map>
#include <utility>
#include <vector>

namespace troupe::sim {

void monitor::actor_lives(net::global_id id, std::uint32_t life) {
  ++counted.lives;
  if (!lives_.emplace(id, life).second) {
    throw violation("life " + std::to_string(life) + " of actor " + name(id) + " began twice");
  }
}

void monitor::adopted(net::global_id id, const std::string& name) {
  ++counted.adopted;
  const bool over = detached_[id].over;  // before its creator heard of it
  for (const auto& [other, of] : detached_) {
    if (!over && of.name == name && other != id && !of.over && !of.ordered) {
      throw violation("two detached actors have the name " + name);
    }
  }
  detached_[id].name = name;
}

void monitor::buried(net::global_id id, bool may_fail, const std::string& why) {
  detached& of = detached_[id];
  of.over = true;
  if (of.name.empty() || of.ordered || may_fail) return;
  throw violation("detached actor " + of.name + " was promised, and is over though nobody wanted " +
                  "its end: " + why);
}

void monitor::not_found(const std::string& name) const {
  for (const auto& [id, of] : detached_) {
    if (of.name == name && !of.over && !of.ordered) {
      throw violation("detached actor " + name + " was promised, and is not found by its name");
    }
  }
}

std::size_t monitor::promised() const {
  std::size_t count = groups_.size();
  for (const auto& [id, of] : detached_) count += !of.name.empty() && !of.over && !of.ordered;
  return count;
}

void monitor::maker_runs(std::uint64_t version, std::int32_t max_retries, net::global_id task,
                         std::int32_t attempt) {
  maker_attempts_[{task, attempt}] = version;
  const std::int32_t runs = ++maker_runs_[version];
  if (max_retries == -1 || runs <= 1 + max_retries) return;
  throw violation("the task that makes value " + std::to_string(version) + " runs " +
                  std::to_string(runs) + " times, and max_retries is " +
                  std::to_string(max_retries));
}

void monitor::attempt_not_counted(net::global_id task, std::int32_t attempt) {
  const auto at = maker_attempts_.find({task, attempt});
  if (at == maker_attempts_.end()) return;
  --maker_runs_[at->second];
  maker_attempts_.erase(at);
}

void monitor::group_promised(net::global_id id, const std::string& name) {
  ++counted.groups;
  for (const auto& [other, of] : groups_) {
    if (of == name) throw violation("two placement groups have the name " + name);
  }
  groups_[id] = name;
}

void monitor::group_not_found(const std::string& name) const {
  for (const auto& [id, of] : groups_) {
    if (of == name) {
      throw violation("placement group " + name + " was promised, and is not found by its name");
    }
  }
}

void monitor::check_resources(const net::node_state& node) {
  const std::string& name = node.settings().name;
  const auto pools = node.pools();
  std::vector<core::resource_set> sums;
  for (const auto& one : pools) sums.push_back(one.available);
  std::map<std::pair<std::size_t, std::uint32_t>, std::int64_t> gpus;
  for (const net::node_state::holding& one : node.holdings()) {
    sums.at(one.pool) += one.wanted;
    for (const core::gpu_share& share : one.gpus) {
      for (const std::uint32_t id : share.ids) gpus[{one.pool, id}] += share.units_of_each;
    }
  }
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const core::resource_set& total = pools[i].total;
    if (sums[i] == total) continue;
    throw violation((i == 0 ? "node " : "a placement group's part of node ") + name + " has " +
                    total.to_string() + ", but what is free and what it gave away are " +
                    sums[i].to_string() +
                    (sums[i].fits_in(total) ? ": some is lost" : ": some was granted twice"));
  }
  for (const auto& [which, units] : gpus) {
    if (units > core::resource_amount::units_per_one) {
      throw violation("node " + name + " granted GPU " + std::to_string(which.second) + " twice");
    }
  }
}

}  // namespace troupe::sim
