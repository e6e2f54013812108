// Placement groups of an embedded runtime.
#include <atomic>
#include <stdexcept>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/error.hpp>
#include <troupe/placement_group.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

int add(int a, int b) { return a + b; }
std::uint64_t group_of_task() { return current_placement_group().id().number; }
std::uint64_t group_of_child() { return get(remote<group_of_task>()); }
int wait_for_stop(std::stop_token token) {
  while (!token.stop_requested()) std::this_thread::yield();
  return 1;
}
struct counter {
  int increment() { return ++value; }
  std::uint64_t group() { return current_placement_group().id().number; }
  int value = 0;
};

session with_gpus() {
  return init(
      {.num_cpus = 4, .num_gpus = 2, .resources = {{"disk", 2}}, .log_level = log_level::off});
}

double free_of(const char* name) { return available_resources().at(name); }

}  // namespace

TEST_CASE("a group reserves its bundles, runs tasks and actors in them, and gives them back") {
  const auto s = with_gpus();
  {
    const placement_group group(
        {.bundles = {{.num_cpus = 1},
                     {.num_cpus = 1, .num_gpus = 0.5, .resources = {{"disk", 1}}}}});
    REQUIRE(group.wait(60s));
    CHECK(group.size() == 2);
    CHECK(free_of("CPU") == 2);
    CHECK(free_of("GPU") == 1.5);
    CHECK(free_of("disk") == 1);
    const auto sum = with({.placement_group = group, .bundle_index = 0}).remote<add>(2, 3);
    CHECK(fetch(sum) == 5);
    const auto c = with({.num_cpus = 1,
                         .num_gpus = 0.5,
                         .resources = {{"disk", 1}},
                         .placement_group = group,
                         .bundle_index = 1})
                       .remote<counter>();
    CHECK(fetch(c.remote<&counter::increment>()) == 1);
    CHECK(fetch(c.remote<&counter::group>()) == group.id().number);
    CHECK(free_of("CPU") == 2);  // the bundles pay, not the runtime
  }
  CHECK(eventually([] { return free_of("CPU") == 4 && free_of("disk") == 2; }));
}

TEST_CASE("what does not fit the bundle of a group is refused at the call") {
  const auto s = with_gpus();
  const placement_group group({.bundles = {{.num_cpus = 1}, {.num_gpus = 1}}});
  CHECK_THROWS_AS(with({.num_cpus = 2, .placement_group = group}).remote<add>(1, 1),
                  placement_error);
  CHECK_THROWS_AS(with({.placement_group = group, .bundle_index = 1}).remote<add>(1, 1),
                  placement_error);
  CHECK_THROWS_AS(with({.placement_group = group, .bundle_index = 2}).remote<add>(1, 1),
                  placement_error);
  CHECK_THROWS_AS(with({.bundle_index = 0}), std::invalid_argument);
  CHECK_THROWS_AS(with({.capture_children = true}), std::invalid_argument);
}

TEST_CASE("options of a group that make no sense are refused") {
  const auto s = start();
  CHECK_THROWS_AS(placement_group(placement_group_options{}), std::invalid_argument);
  CHECK_THROWS_AS(placement_group({.bundles = {{.num_cpus = 0}}}), std::invalid_argument);
  CHECK_THROWS_AS(placement_group({.bundles = {{.num_cpus = -1}}}), std::invalid_argument);
  CHECK_THROWS_AS(placement_group({.bundles = {{.num_cpus = 1}}, .lifetime = lifetime::detached}),
                  std::invalid_argument);
  CHECK_THROWS_AS(placement_group().ready(), std::invalid_argument);
}

TEST_CASE("a group that one node can never place waits and says why") {
  const auto s = start(4);
  const placement_group apart({.bundles = {{.num_cpus = 1}, {.num_cpus = 1}},
                               .strategy = placement_strategy::strict_spread});
  const placement_group large({.bundles = {{.num_cpus = 5}}});
  CHECK(!apart.wait(0s));
  CHECK(!large.wait(0s));
  const auto all = list_placement_groups();
  REQUIRE(all.size() == 2);
  CHECK(all[0].state == "pending");
  CHECK_THAT(all[0].why, contains("2 bundles need as many nodes"));
  CHECK_THAT(all[1].why, contains("infeasible"));
  CHECK(free_of("CPU") == 4);
  const auto never = with({.placement_group = apart, .bundle_index = 0}).remote<add>(1, 2);
  CHECK_THROWS_AS(get(never, 0s), get_timeout_error);
  apart.remove();
  CHECK_THROWS_AS(fetch(never), placement_error);
  CHECK_THROWS_AS(apart.wait(1s), placement_error);
}

TEST_CASE("a group waits for resources in its turn, and what runs in it waits with it") {
  const auto s = start(2);
  auto first =
      std::make_unique<placement_group>(placement_group_options{.bundles = {{.num_cpus = 2}}});
  REQUIRE(first->wait(60s));
  const placement_group second({.bundles = {{.num_cpus = 1}, {.num_cpus = 1}}});
  const auto sum = with({.placement_group = second}).remote<add>(1, 2);
  const auto actor = with({.placement_group = second}).remote<counter>();
  CHECK(!second.wait(0s));
  CHECK(!sum.ready());
  first.reset();
  CHECK(second.wait(60s));
  CHECK(fetch(sum) == 3);
  CHECK(fetch(actor.remote<&counter::increment>()) == 1);
}

TEST_CASE("a group that is removed ends what runs and waits in it") {
  const auto s = start(2);
  const placement_group group({.bundles = {{.num_cpus = 1}}, .name = "gang"});
  const auto in_group = with({.placement_group = group});
  const auto runs = in_group.remote<wait_for_stop>();
  const auto waits = in_group.remote<add>(1, 2);
  const auto actor = with({.max_restarts = -1, .placement_group = group}).remote<counter>();
  REQUIRE(eventually([&] { return actor.ready().ready(); }));
  group.remove();
  group.remove();
  CHECK_THROWS_AS(fetch(runs), placement_error);
  CHECK_THROWS_AS(fetch(waits), placement_error);
  CHECK_THROWS_AS(fetch(actor.remote<&counter::increment>()), actor_died_error);
  CHECK_THROWS_AS(in_group.remote<add>(1, 2), placement_error);
  CHECK(eventually([] { return free_of("CPU") == 2; }));
}

TEST_CASE("children run in the group of a task that captures them, and only then") {
  const auto s = start(2);
  const placement_group group({.bundles = {{.num_cpus = 2}}});
  const auto capturing = with({.placement_group = group, .capture_children = true});
  CHECK(fetch(capturing.remote<group_of_child>()) == group.id().number);
  CHECK(fetch(with({.placement_group = group}).remote<group_of_child>()) == 0);
  CHECK(!current_placement_group());
}

TEST_CASE("a named group is found by its name until it is removed; a name is one group's") {
  const auto s = start(2);
  {
    const placement_group kept(
        {.bundles = {{.num_cpus = 1}}, .name = "kept", .lifetime = lifetime::detached});
    CHECK_THROWS_AS(placement_group({.bundles = {{.num_cpus = 1}}, .name = "kept"}),
                    placement_error);
  }
  const placement_group found = get_placement_group("kept");
  CHECK(found.size() == 1);
  CHECK(found.wait(60s));
  found.remove();
  CHECK_THROWS_AS(get_placement_group("kept"), placement_error);
}

TEST_CASE("a blocked task in a group lends the bundle's CPU, so that recursion works in it") {
  const auto s = start(2);
  const placement_group group({.bundles = {{.num_cpus = 1}}});
  const auto capturing = with({.placement_group = group, .capture_children = true});
  CHECK(fetch(capturing.remote<group_of_child>()) == group.id().number);
}

TEST_CASE("many groups come and go, and nothing stays reserved") {
  const auto s = start(2);
  for (int i = 0; i < 2'000; ++i) {
    const placement_group group({.bundles = {{.num_cpus = 1}, {.num_cpus = 1}}});
    REQUIRE(group.wait(60s));
  }
  CHECK(eventually([] { return free_of("CPU") == 2; }));
}
