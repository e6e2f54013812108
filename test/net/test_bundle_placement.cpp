#include "net/bundle_placement.hpp"

#include <map>
#include <random>
#include <set>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/node_states.hpp"

using namespace troupe;
using namespace troupe::test;
using net::group_strategy;

namespace {

std::vector<net::placement_node> cluster_of(std::size_t count, double cpus = 4, double gpus = 0) {
  std::vector<net::placement_node> nodes;
  for (std::size_t i = 1; i <= count; ++i) {
    net::placement_node node;
    node.at = peer_of(i);
    node.name = "n" + std::to_string(i);
    node.total = node.available = resources({{"CPU", cpus}, {"GPU", gpus}});
    nodes.push_back(node);
  }
  return nodes;
}

net::bundle_placement lay(const std::vector<net::placement_node>& nodes,
                          const std::vector<core::resource_set>& bundles, group_strategy strategy) {
  return net::place_bundles(nodes, bundles, strategy,
                            std::vector<net::process_id>(bundles.size(), 0));
}

std::vector<core::resource_set> same(std::size_t count, core::resource_set bundle) {
  return std::vector<core::resource_set>(count, bundle);
}

std::size_t distinct(const net::bundle_placement& placed) {
  return std::set<net::process_id>(placed.where.begin(), placed.where.end()).size();
}

/// What nodes have is enough for what was laid onto them.
bool holds(const std::vector<net::placement_node>& nodes,
           const std::vector<core::resource_set>& bundles, const net::bundle_placement& placed) {
  std::map<net::process_id, core::resource_set> used;
  for (std::size_t i = 0; i < bundles.size(); ++i) used[placed.where[i]] += bundles[i];
  for (const auto& node : nodes) {
    if (!used[node.at.id].fits_in(node.available)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("each strategy keeps its promise on 1 to 8 nodes") {
  const auto nodes = GENERATE(range(1, 9));
  const auto bundles = GENERATE(range(1, 13));
  const auto count = static_cast<std::size_t>(nodes);
  const auto wanted = static_cast<std::size_t>(bundles);
  const auto cluster = cluster_of(count);
  const auto group = same(wanted, resources({{"CPU", 1}}));
  const bool room = wanted <= 4 * count;

  const auto packed = lay(cluster, group, group_strategy::pack);
  REQUIRE(packed.where.empty() != room);
  if (room) CHECK(distinct(packed) == (wanted + 3) / 4);

  const auto spread = lay(cluster, group, group_strategy::spread);
  REQUIRE(spread.where.empty() != room);
  if (room) CHECK(distinct(spread) == std::min(wanted, count));

  const auto on_one = lay(cluster, group, group_strategy::strict_pack);
  REQUIRE(on_one.where.empty() == (wanted > 4));
  if (wanted <= 4) CHECK(distinct(on_one) == 1);

  const auto apart = lay(cluster, group, group_strategy::strict_spread);
  REQUIRE(apart.where.empty() == (wanted > count));
  if (wanted <= count) CHECK(distinct(apart) == wanted);

  for (const auto& placed : {packed, spread, on_one, apart}) {
    if (!placed.where.empty()) CHECK(holds(cluster, group, placed));
    CHECK(placed.feasible == !placed.where.empty());
  }
}

TEST_CASE("a strict spread is found wherever there is one") {
  // The large bundle fits one node only, where a small one would fit as well.
  auto cluster = cluster_of(3, 1);
  cluster[1].total = cluster[1].available = resources({{"CPU", 4}});
  cluster[2].total = cluster[2].available = resources({{"CPU", 2}, {"disk", 1}});
  const std::vector<core::resource_set> group = {resources({{"CPU", 1}}), resources({{"disk", 1}}),
                                                 resources({{"CPU", 2}})};
  const auto placed = lay(cluster, group, group_strategy::strict_spread);
  CHECK(placed.where == std::vector<net::process_id>{1, 3, 2});
}

TEST_CASE("what does not fit now but would were the nodes idle waits, the rest is infeasible") {
  auto cluster = cluster_of(2);
  cluster[0].available = cluster[1].available = resources({{"CPU", 1}});
  const auto busy = lay(cluster, same(1, resources({{"CPU", 2}})), group_strategy::pack);
  CHECK(busy.where.empty());
  CHECK(busy.feasible);
  CHECK_THAT(busy.why, contains("in use"));

  const auto too_big = lay(cluster, same(1, resources({{"CPU", 5}})), group_strategy::pack);
  CHECK(!too_big.feasible);
  CHECK_THAT(too_big.why, contains("no node has {CPU: 5}"));
  const auto apart = lay(cluster, same(3, resources({{"CPU", 1}})), group_strategy::strict_spread);
  CHECK_THAT(apart.why, contains("3 bundles need as many nodes, and the cluster has 2"));
  const auto together = lay(cluster, same(5, resources({{"CPU", 1}})), group_strategy::strict_pack);
  CHECK_THAT(together.why, contains("which the bundles need together"));
}

TEST_CASE("bundles of GPUs and parts of them are laid where GPUs are") {
  auto cluster = cluster_of(2);
  cluster[1].total = cluster[1].available = resources({{"CPU", 4}, {"GPU", 1}});
  const auto halves =
      lay(cluster, same(2, resources({{"CPU", 1}, {"GPU", 0.5}})), group_strategy::pack);
  CHECK(halves.where == std::vector<net::process_id>{2, 2});
  CHECK(lay(cluster, same(3, resources({{"GPU", 0.5}})), group_strategy::pack).where.empty());
}

TEST_CASE("bundles that are lost join those that are left by the rule of the strategy") {
  const auto cluster = cluster_of(3);
  const auto group = same(3, resources({{"CPU", 1}}));
  const auto apart = net::place_bundles(cluster, group, group_strategy::strict_spread, {1, 0, 3});
  CHECK(apart.where == std::vector<net::process_id>{1, 2, 3});
  const auto together = net::place_bundles(cluster, group, group_strategy::strict_pack, {2, 0, 2});
  CHECK(together.where == std::vector<net::process_id>{2, 2, 2});
  const auto spread = net::place_bundles(cluster, group, group_strategy::spread, {1, 0, 1});
  CHECK(spread.where[1] != 1);
}
