#include "core/placement.hpp"

#include <algorithm>

#include <troupe/error.hpp>

namespace troupe::core {

namespace {

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace

void check_placement(const options& wanted, std::string_view who, std::string_view node_name,
                     const std::vector<std::pair<std::string, std::string>>& labels) {
  const scheduling& where = wanted.scheduling;
  if (where.what() == scheduling::kind::node_affinity && !where.soft() &&
      where.key() != node_name) {
    throw placement_error(quoted(who) + " must run on node " + quoted(where.key()) +
                          ", which does not exist; the only node is " + quoted(node_name) +
                          ". Use a soft affinity to allow another one");
  }
  if (where.what() == scheduling::kind::node_label &&
      std::none_of(labels.begin(), labels.end(), [&](const auto& label) {
        return label.first == where.key() && label.second == where.value();
      })) {
    throw placement_error(quoted(who) + " must run on a node with label " +
                          quoted(std::string(where.key()) + "=" + std::string(where.value())) +
                          "; no node has it (see the option labels)");
  }
}

}  // namespace troupe::core
