#include "net/bundle_placement.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace troupe::net {
namespace {

/// A node while bundles are laid onto it.
struct room {
  process_id id = 0;
  core::resource_set total;
  core::resource_set free;
  std::size_t bundles = 0;  ///< of this group
};
using rooms = std::vector<room>;
using assignment = std::vector<process_id>;
constexpr process_id nowhere = 0;

/// How much of the node would be left at its scarcest resource among those of `wanted`.
double left_share(const room& of, const core::resource_set& wanted) {
  double least = 1;
  for (const auto& [name, amount] : wanted) {
    const double total = of.total.get(name).to_double();
    if (total == 0) continue;
    least = std::min(least, (of.free.get(name) - amount).to_double() / total);
  }
  return least;
}

/// The bundles that are not placed, the largest first: those are the hardest to place.
std::vector<std::size_t> by_size(const std::vector<core::resource_set>& bundles,
                                 const assignment& placed) {
  const auto size = [&](std::size_t i) {
    std::int64_t units = 0;
    for (const auto& [name, amount] : bundles[i]) {
      // Memory is counted in bytes and would outweigh all else.
      if (name != core::memory_name) units += amount.units();
    }
    return std::tuple(bundles[i].get(core::gpu_name).units(), units,
                      bundles[i].get(core::memory_name).units());
  };
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    if (placed[i] == nowhere) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return size(a) > size(b); });
  return order;
}

bool pack_on_one(rooms nodes, const std::vector<core::resource_set>& bundles,
                 const std::vector<std::size_t>& order, assignment& where) {
  core::resource_set sum;
  for (const std::size_t i : order) sum += bundles[i];
  const room* best = nullptr;
  for (const room& node : nodes) {
    if (!sum.fits_in(node.free)) continue;
    // The tightest: what is left over elsewhere stays whole.
    if (best == nullptr || std::pair(node.bundles, -left_share(node, sum)) >
                               std::pair(best->bundles, -left_share(*best, sum))) {
      best = &node;
    }
  }
  if (best == nullptr) return false;
  for (const std::size_t i : order) where[i] = best->id;
  return true;
}

/// Fills the node that takes most bundles, then the next.
bool pack(rooms nodes, const std::vector<core::resource_set>& bundles,
          std::vector<std::size_t> order, assignment& where) {
  if (pack_on_one(nodes, bundles, order, where)) return true;
  while (!order.empty()) {
    std::vector<std::size_t> most;
    room* best = nullptr;
    for (room& node : nodes) {
      core::resource_set free = node.free;
      std::vector<std::size_t> fitting;
      for (const std::size_t i : order) {
        if (!bundles[i].fits_in(free)) continue;
        free -= bundles[i];
        fitting.push_back(i);
      }
      if (fitting.size() > most.size()) {
        most = std::move(fitting);
        best = &node;
      }
    }
    if (best == nullptr) return false;
    for (const std::size_t i : most) {
      best->free -= bundles[i];
      where[i] = best->id;
      std::erase(order, i);
    }
  }
  return true;
}

/// Each onto the node with the fewest of the group; of those, where most is left.
bool spread(rooms nodes, const std::vector<core::resource_set>& bundles,
            const std::vector<std::size_t>& order, assignment& where) {
  for (const std::size_t i : order) {
    room* best = nullptr;
    for (room& node : nodes) {
      if (!bundles[i].fits_in(node.free)) continue;
      if (best == nullptr || std::pair(node.bundles, -left_share(node, bundles[i])) <
                                 std::pair(best->bundles, -left_share(*best, bundles[i]))) {
        best = &node;
      }
    }
    if (best == nullptr) return false;
    best->free -= bundles[i];
    ++best->bundles;
    where[i] = best->id;
  }
  return true;
}

/// Each bundle gets a node of its own by augmenting paths (Kuhn's algorithm).
class matching {
 public:
  matching(const rooms& nodes, const std::vector<core::resource_set>& bundles)
      : nodes_(nodes), bundles_(bundles), taken_by_(nodes.size(), nobody) {
    order_.resize(nodes.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }

  bool place(std::size_t bundle) {
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return left_share(nodes_[a], bundles_[bundle]) > left_share(nodes_[b], bundles_[bundle]);
    });
    std::vector<bool> seen(nodes_.size());
    return augment(bundle, seen);
  }
  void result(assignment& where) const {
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (taken_by_[n] != nobody) where[taken_by_[n]] = nodes_[n].id;
    }
  }

 private:
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);

  bool augment(std::size_t bundle, std::vector<bool>& seen) {
    const auto fits = [&](std::size_t n) {
      return nodes_[n].bundles == 0 && bundles_[bundle].fits_in(nodes_[n].free);
    };
    for (const std::size_t n : order_) {
      if (taken_by_[n] != nobody || !fits(n)) continue;
      taken_by_[n] = bundle;
      return true;
    }
    for (const std::size_t n : order_) {
      if (seen[n] || !fits(n)) continue;
      seen[n] = true;
      if (!augment(taken_by_[n], seen)) continue;
      taken_by_[n] = bundle;
      return true;
    }
    return false;
  }

  const rooms& nodes_;
  const std::vector<core::resource_set>& bundles_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> taken_by_;  ///< by node
};

bool spread_strictly(const rooms& nodes, const std::vector<core::resource_set>& bundles,
                     const std::vector<std::size_t>& order, assignment& where) {
  matching match(nodes, bundles);
  for (const std::size_t i : order) {
    if (!match.place(i)) return false;
  }
  match.result(where);
  return true;
}

bool lay(const rooms& nodes, const std::vector<core::resource_set>& bundles,
         group_strategy strategy, assignment& where) {
  const std::vector<std::size_t> order = by_size(bundles, where);
  switch (strategy) {
    case group_strategy::pack:
      return pack(nodes, bundles, order, where);
    case group_strategy::spread:
      return spread(nodes, bundles, order, where);
    case group_strategy::strict_pack: {
      // What is left of it ties the rest to its node.
      rooms allowed = nodes;
      const bool begun = order.size() < bundles.size();
      if (begun) std::erase_if(allowed, [](const room& node) { return node.bundles == 0; });
      return pack_on_one(allowed, bundles, order, where);
    }
    case group_strategy::strict_spread:
      return spread_strictly(nodes, bundles, order, where);
  }
  return false;
}

std::string impossible(const rooms& nodes, const std::vector<core::resource_set>& bundles,
                       group_strategy strategy) {
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    if (std::none_of(nodes.begin(), nodes.end(),
                     [&](const room& node) { return bundles[i].fits_in(node.total); })) {
      return "no node has " + bundles[i].to_string() + ", which bundle " + std::to_string(i) +
             " needs";
    }
  }
  if (strategy == group_strategy::strict_spread && bundles.size() > nodes.size()) {
    return std::to_string(bundles.size()) + " bundles need as many nodes, and the cluster has " +
           std::to_string(nodes.size());
  }
  if (strategy == group_strategy::strict_pack) {
    core::resource_set sum;
    for (const core::resource_set& bundle : bundles) sum += bundle;
    return "no node has " + sum.to_string() + ", which the bundles need together";
  }
  return "the nodes together have no room for its bundles, were they idle";
}

}  // namespace

const char* to_text(group_strategy strategy) {
  switch (strategy) {
    case group_strategy::pack:
      return "PACK";
    case group_strategy::spread:
      return "SPREAD";
    case group_strategy::strict_pack:
      return "STRICT_PACK";
    case group_strategy::strict_spread:
      return "STRICT_SPREAD";
  }
  return "?";
}

const char* to_text(group_phase phase) {
  switch (phase) {
    case group_phase::pending:
      return "pending";
    case group_phase::created:
      return "created";
    case group_phase::rescheduling:
      return "rescheduling";
    case group_phase::removed:
      return "removed";
  }
  return "?";
}

bundle_placement place_bundles(const std::vector<placement_node>& nodes,
                               const std::vector<core::resource_set>& bundles,
                               group_strategy strategy, const std::vector<process_id>& placed) {
  rooms now;
  for (const placement_node& node : nodes) {
    const auto here = std::count(placed.begin(), placed.end(), node.at.id);
    now.push_back({node.at.id, node.total, node.available, static_cast<std::size_t>(here)});
  }
  bundle_placement result;
  result.where = placed;
  if (lay(now, bundles, strategy, result.where)) {
    result.feasible = true;
    return result;
  }
  result.where.clear();
  rooms idle = now;
  for (room& node : idle) {
    node.free = node.total;
    for (std::size_t i = 0; i < bundles.size(); ++i) {
      if (placed[i] == node.id && bundles[i].fits_in(node.free)) node.free -= bundles[i];
    }
  }
  assignment ever = placed;
  result.feasible = lay(idle, bundles, strategy, ever);
  result.why = result.feasible ? "its resources are in use" : impossible(idle, bundles, strategy);
  return result;
}

}  // namespace troupe::net
