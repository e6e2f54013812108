#include "net/placement.hpp"

#include <algorithm>

namespace troupe::net {
namespace {

using where = placement_decision::where;
using candidates = std::vector<const placement_node*>;

/// The share of a node that is in use, of those resources that the request wants.
double used_share(const placement_node& node, const core::resource_set& wanted) {
  const auto share_of = [&node](std::string_view name) {
    const double total = node.total.get(name).to_double();
    return total == 0 ? 0.0 : 1 - node.available.get(name).to_double() / total;
  };
  if (wanted.empty()) return share_of(core::cpu_name);
  double share = 0;
  for (const auto& [name, amount] : wanted) share = std::max(share, share_of(name));
  return share;
}

bool fits_now(const placement_node& node, const core::resource_set& wanted) {
  return wanted.fits_in(node.available);
}

/// The least used of those for which `admitted` holds; the first of equals, from `offset` on.
template <class Predicate>
const placement_node* least_used(const candidates& nodes, const core::resource_set& wanted,
                                 std::uint64_t offset, Predicate&& admitted) {
  const placement_node* best = nullptr;
  double best_share = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const placement_node& node = *nodes[(i + offset) % nodes.size()];
    if (!admitted(node)) continue;
    const double share = used_share(node, wanted);
    if (best == nullptr || share < best_share) {
      best = &node;
      best_share = share;
    }
  }
  return best;
}

placement_decision go_to(const placement_node& node, process_id self) {
  if (node.at.id == self) return {where::here, 0, {}};
  return {where::there, node.at.id, {}};
}

const placement_node* find_self(const candidates& nodes, process_id self) {
  const auto at = std::find_if(nodes.begin(), nodes.end(),
                               [self](const placement_node* node) { return node->at.id == self; });
  return at == nodes.end() ? nullptr : *at;
}

placement_decision hybrid(const candidates& nodes, process_id self,
                          const placement_request& request) {
  const core::resource_set& wanted = request.wanted;
  const auto can_ever = [&](const placement_node& node) { return wanted.fits_in(node.total); };
  const placement_node* local = find_self(nodes, self);
  if (local != nullptr && !can_ever(*local)) local = nullptr;

  if (local != nullptr) {
    const bool sent_on = request.redirections > 0;
    if (fits_now(*local, wanted) && (sent_on || used_share(*local, wanted) < local_share)) {
      return {where::here, 0, {}};
    }
    if (request.redirections >= most_redirections) return {where::here, 0, {}};
  }

  const auto can_now = [&](const placement_node& node) { return fits_now(node, wanted); };
  const placement_node* best = least_used(nodes, wanted, 0, can_now);
  // Of equals the one that costs no way.
  if (local != nullptr &&
      (best == nullptr ||
       (fits_now(*local, wanted) && used_share(*local, wanted) <= used_share(*best, wanted)))) {
    best = local;
  }
  if (best == nullptr) best = least_used(nodes, wanted, 0, can_ever);
  if (best != nullptr) return go_to(*best, self);
  return {where::nowhere, 0, "no node has " + wanted.to_string()};
}

placement_decision spread(const candidates& nodes, process_id self,
                          const placement_request& request, std::uint64_t& turn) {
  const core::resource_set& wanted = request.wanted;
  if (request.redirections > 0) return hybrid(nodes, self, request);
  ++turn;
  const placement_node* best = least_used(
      nodes, wanted, turn, [&](const placement_node& node) { return fits_now(node, wanted); });
  if (best == nullptr) {
    best = least_used(nodes, wanted, turn,
                      [&](const placement_node& node) { return wanted.fits_in(node.total); });
  }
  if (best != nullptr) return go_to(*best, self);
  return {where::nowhere, 0, "no node has " + wanted.to_string()};
}

/// Those that the request's node or label names.
candidates matching(const std::vector<placement_node>& nodes, const placement_request& request) {
  candidates result;
  for (const placement_node& node : nodes) {
    bool matches = true;
    if (request.kind == placement_kind::affinity) {
      matches = node.name == request.key;
    } else if (request.kind == placement_kind::label) {
      matches = std::find(node.labels.begin(), node.labels.end(),
                          std::pair(request.key, request.value)) != node.labels.end();
    }
    if (matches) result.push_back(&node);
  }
  return result;
}

candidates all_of(const std::vector<placement_node>& nodes) {
  candidates result;
  for (const placement_node& node : nodes) result.push_back(&node);
  return result;
}

std::string nobody_matches(const std::vector<placement_node>& nodes,
                           const placement_request& request) {
  if (request.kind == placement_kind::label) {
    return "no node has the label '" + request.key + "=" + request.value +
           "'; give it to one by `troupe start --labels`, or ask softly";
  }
  constexpr std::size_t most_named = 20;
  std::string names;
  for (std::size_t i = 0; i < nodes.size() && i < most_named; ++i) {
    names += (names.empty() ? "'" : ", '") + nodes[i].name + "'";
  }
  if (nodes.size() > most_named) names += ", ...";
  return "there is no node '" + request.key + "'; the cluster's are " + names +
         ". Use a soft affinity to allow another one";
}

}  // namespace

placement_decision place(const std::vector<placement_node>& nodes, process_id self,
                         const placement_request& request, std::uint64_t& turn) {
  switch (request.kind) {
    case placement_kind::spread:
      return spread(all_of(nodes), self, request, turn);
    case placement_kind::affinity:
    case placement_kind::label: {
      const candidates chosen = matching(nodes, request);
      if (chosen.empty() && !request.soft) {
        return {where::refused, 0, nobody_matches(nodes, request)};
      }
      if (!chosen.empty()) {
        placement_decision decision = hybrid(chosen, self, request);
        if (decision.what != where::nowhere || !request.soft) return decision;
      }
      return hybrid(all_of(nodes), self, request);
    }
    case placement_kind::hybrid:
      break;
  }
  return hybrid(all_of(nodes), self, request);
}

placement_decision place_elsewhere(const std::vector<placement_node>& nodes, process_id self,
                                   const placement_request& request) {
  if (request.redirections >= most_redirections) return {where::here, 0, {}};
  candidates chosen = matching(nodes, request);
  if (chosen.empty() && request.soft) chosen = all_of(nodes);
  const placement_node* best =
      least_used(chosen, request.wanted, 0, [&](const placement_node& node) {
        return node.at.id != self && fits_now(node, request.wanted);
      });
  if (best == nullptr) return {where::here, 0, {}};
  return go_to(*best, self);
}

}  // namespace troupe::net
