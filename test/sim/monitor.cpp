#include "test/sim/monitor.hpp"

#include <map>

namespace troupe::sim {

void monitor::check_resources(const net::node_state& node) {
  const std::string& name = node.settings().name;
  core::resource_set sum = node.available();
  std::map<std::uint32_t, std::int64_t> gpus;
  for (const net::node_state::holding& one : node.holdings()) {
    sum += one.wanted;
    for (const std::uint32_t id : one.gpus.ids) gpus[id] += one.gpus.units_of_each;
  }
  if (sum != node.settings().total) {
    throw violation(
        "node " + name + " has " + node.settings().total.to_string() +
        ", but what is free and what it gave away are " + sum.to_string() +
        (sum.fits_in(node.settings().total) ? ": some is lost" : ": some was granted twice"));
  }
  for (const auto& [id, units] : gpus) {
    if (units > core::resource_amount::units_per_one) {
      throw violation("node " + name + " granted GPU " + std::to_string(id) + " twice");
    }
  }
}

}  // namespace troupe::sim
