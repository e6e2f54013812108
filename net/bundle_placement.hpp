/// Chooses the nodes for the bundles of a placement group.
#pragma once

#include <string>
#include <vector>

#include "core/resources.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/placement.hpp"

namespace troupe::net {

struct bundle_placement {
  std::vector<process_id> where;  ///< by bundle; empty when they cannot be placed
  bool feasible = false;          ///< they could be if all nodes were idle
  std::string why;                ///< when they cannot be placed
};

/// Where the bundles lie or should. Pure.
///
/// `placed` has the node of each bundle that is placed already, 0 for those that are not.
/// `pack`: on as few nodes as the greedy choice finds; `spread`: on as many; `strict_pack`: all on
/// one; `strict_spread`: each on another, which is exact: if there is a way it is found.
bundle_placement place_bundles(const std::vector<placement_node>& nodes,
                               const std::vector<core::resource_set>& bundles,
                               group_strategy strategy, const std::vector<process_id>& placed);

/// "STRICT_PACK"
const char* to_text(group_strategy strategy);
/// "created"
const char* to_text(group_phase phase);

}  // namespace troupe::net
