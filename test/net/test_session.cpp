// The life of a session in its process.
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;

namespace {

int add(int a, int b) { return a + b; }
int wait_for(object_ref<int> gate, signal entered) {
  entered.raise();
  return troupe::get(gate);
}
/// Foreign code that no stop request reaches.
int deaf(signal entered, signal release) {
  entered.raise();
  release.wait();
  return 1;
}
void shut_down_from_inside() { troupe::shutdown(); }
void init_from_inside() { (void)troupe::init(); }

}  // namespace

TEST_CASE("init starts the runtime and the end of the session ends it") {
  CHECK_FALSE(troupe::is_initialized());
  {
    const auto session = start();
    CHECK(troupe::is_initialized());
    CHECK(fetch(remote<add>(1, 2)) == 3);
  }
  CHECK_FALSE(troupe::is_initialized());
  CHECK_THROWS_AS(remote<add>(1, 2), troupe::connection_error);
  CHECK_THROWS_AS(troupe::stats(), troupe::connection_error);
}

TEST_CASE("init after shutdown works, many times") {
  for (int i = 0; i < 20; ++i) {
    const auto session = start();
    REQUIRE(fetch(remote<add>(i, 1)) == i + 1);
  }
  CHECK_FALSE(troupe::is_initialized());
}

TEST_CASE("a second init is an error and leaves the first alone") {
  const auto session = start();
  CHECK_THAT(message_of<std::logic_error>([] { (void)troupe::init(); }), contains("ignore_reinit"));
  CHECK(fetch(remote<add>(1, 2)) == 3);
  CHECK_THROWS_AS(fetch(remote<init_from_inside>()), std::logic_error);
}

TEST_CASE("a second init that asks to be ignored gives a session that owns nothing") {
  const auto session = start();
  {
    auto second = troupe::init({.ignore_reinit = true});
    second.shutdown();
  }
  CHECK(troupe::is_initialized());
  CHECK(fetch(remote<add>(1, 2)) == 3);
}

TEST_CASE("a session moves; the last owner ends the runtime") {
  auto first = start();
  {
    auto second = std::move(first);
    first.shutdown();  // NOLINT: what a moved session does
    CHECK(troupe::is_initialized());
    first = std::move(second);
  }
  CHECK(troupe::is_initialized());
  first.shutdown();
  CHECK_FALSE(troupe::is_initialized());
  first.shutdown();
  troupe::shutdown();
}

TEST_CASE("shutdown fails what is pending and wakes what waits") {
  auto session = start();
  const signal entered;
  const promise<int> never;
  const auto running = remote<wait_for>(never.ref(), entered);
  const auto pending = remote<add>(never.ref(), 1);
  const auto done = remote<add>(2, 3);
  fetch(done);
  REQUIRE(entered.wait());
  session.shutdown();
  CHECK_THROWS_AS(fetch(running), troupe::task_cancelled_error);
  CHECK_THROWS_AS(fetch(pending), troupe::task_cancelled_error);
  CHECK(fetch(done) == 5);  // values that are ready stay readable
}

TEST_CASE("a draining shutdown waits for tasks that others will start") {
  auto session = start();
  const promise<int> gate;
  const auto chained = remote<add>(remote<add>(gate.ref(), 1), 1);
  std::jthread opener([&] { gate.set(1); });
  session.shutdown({.drain = true});
  CHECK(fetch(chained) == 3);
}

TEST_CASE("shutdown leaves code behind that does not stop within its deadline") {
  const signal entered;
  const signal release;
  object_ref<int> lost;
  {
    auto session = start();
    lost = remote<deaf>(entered, release);
    REQUIRE(entered.wait());
    session.shutdown({.timeout = 10ms});
    CHECK_THROWS_AS(fetch(lost), troupe::task_cancelled_error);
    CHECK_FALSE(troupe::is_initialized());
  }
  {
    const auto session = start();
    CHECK(fetch(remote<add>(1, 2)) == 3);
  }
  release.raise();
}

TEST_CASE("shutdown inside a task is a logic error") {
  const auto session = start();
  CHECK_THROWS_AS(fetch(remote<shut_down_from_inside>()), std::logic_error);
  CHECK(fetch(remote<add>(1, 2)) == 3);
}

TEST_CASE("threads that shut down at once all return when it is done") {
  for (int round = 0; round < 20; ++round) {
    auto session = start();
    std::vector<object_ref<int>> sums;
    for (int i = 0; i < 100; ++i) sums.push_back(remote<add>(i, i));
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) threads.emplace_back([] { troupe::shutdown(); });
    threads.clear();
    REQUIRE_FALSE(troupe::is_initialized());
    for (const auto& sum : sums) REQUIRE(sum.ready());
  }
}

TEST_CASE("resources tell what there is and what is free") {
  const auto session = troupe::init({.num_cpus = 3,
                                     .num_gpus = 1.5,
                                     .resources = {{"disk", 2}},
                                     .memory = 1 << 20,
                                     .log_level = troupe::log_level::off});
  const auto all = troupe::cluster_resources();
  CHECK(all.at("CPU") == 3);
  CHECK(all.at("GPU") == 1.5);
  CHECK(all.at("disk") == 2);
  CHECK(all.at("memory") == 1 << 20);
  CHECK(troupe::available_resources() == all);
}

TEST_CASE("the stats of a fresh session count nothing") {
  const auto session = start();
  const auto now = troupe::stats();
  CHECK(now.pending_tasks == 0);
  CHECK(now.live_actors == 0);
  CHECK(now.blocked_threads == 0);
}
