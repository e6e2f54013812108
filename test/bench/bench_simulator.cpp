// How fast the simulator runs: what its scale and the number of its seeds are bounded by.
#include <vector>

#include "test/bench/bench.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::bench {
namespace {

/// A cluster of so many nodes with faults.
double events_per_second(std::size_t nodes, std::uint64_t seed) {
  sim::settings wanted;
  wanted.seed = seed;
  wanted.nodes = nodes;
  wanted.busy = std::chrono::seconds(10);
  sim::result r;
  const double took = seconds([&] { r = sim::run(wanted); });
  return static_cast<double>(r.events) / took;
}

std::vector<figure> sim_events() {
  std::vector<double> small;
  std::vector<double> large;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    small.push_back(events_per_second(5, seed));
    large.push_back(events_per_second(100, seed));
  }
  return {{.name = "sim_events",
           .value = median(small),
           .unit = "1/s",
           .note = "events of simulated clusters of 5 nodes, in one thread"},
          {.name = "sim_events_100_nodes",
           .value = median(large),
           .unit = "1/s",
           .note = "events of simulated clusters of 100 nodes, in one thread"}};
}

const registered sim_events_benchmark("sim_events", sim_events);

}  // namespace
}  // namespace troupe::bench
