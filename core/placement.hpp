/// Checks what a task or actor says about its place against the one node that there is.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <troupe/options.hpp>

namespace troupe::core {

/// Throws `placement_error` when `wanted` names a node or label that does not exist. `who` is named
/// in the message.
void check_placement(const options& wanted, std::string_view who, std::string_view node_name,
                     const std::vector<std::pair<std::string, std::string>>& labels);

}  // namespace troupe::core
