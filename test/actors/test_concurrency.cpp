// Actors whose methods run side by side: max_concurrency and concurrency groups.
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::actor_died_error;
using troupe::actor_unavailable_error;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

/// Counts how many methods are inside at once.
struct server {
  explicit server(signal s = {}) : ended(std::move(s)) {}

  int meet(signal entered, object_ref<int> gate) {
    const int now = ++inside;
    int known = most.load();
    while (now > known && !most.compare_exchange_weak(known, now)) {
    }
    entered.raise();
    const int value = troupe::get(gate);
    --inside;
    return value;
  }
  /// Returns when all of so many calls are inside, by foreign waiting.
  bool barrier(signal entered, std::size_t all) {
    entered.raise();
    return entered.wait(all);
  }
  int most_inside() const { return most.load(); }
  int quick() { return 1; }
  int count() { return ++total; }
  int refuse_once() {
    if (troupe::this_task::attempt() == 0) throw std::out_of_range("once");
    return 2;
  }
  int refuse() { throw std::out_of_range("no"); }
  int fail() { troupe::this_actor::fail("together"); }
  int leave() { troupe::this_actor::exit(); }
  int restarts() const { return troupe::this_actor::restarts(); }

  at_end ended;
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> total{0};
};

}  // namespace

TEST_CASE("with max_concurrency 4 four calls are inside at once, and not five") {
  const auto session = start();
  const auto s = with({.max_concurrency = 4}).remote<server>();
  const signal entered;
  const promise<int> gate;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(s.remote<&server::meet>(entered, gate.ref()));
  REQUIRE(entered.wait(4));
  CHECK(entered.count() == 4);
  gate.set(3);
  CHECK(fetch(calls) == std::vector<int>(20, 3));
  CHECK(fetch(s.remote<&server::most_inside>()) == 4);
}

TEST_CASE("concurrent methods that block outside of troupe still all get a thread") {
  const auto session = start(1);
  const auto s = with({.max_concurrency = 6}).remote<server>();
  const signal entered;
  std::vector<object_ref<bool>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(s.remote<&server::barrier>(entered, 6));
  for (const auto& call : calls) CHECK(fetch(call));
}

TEST_CASE("calls that came before the constructor had run are concurrent, too") {
  const auto session = start();
  const promise<int> gate;
  const signal made;
  const signal entered;
  const promise<signal> late;
  const auto s = with({.max_concurrency = 3}).remote<server>(late.ref());
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(s.remote<&server::meet>(entered, gate.ref()));
  late.set(made);
  REQUIRE(entered.wait(3));
  gate.set(1);
  CHECK(fetch(calls).size() == 3);
}

TEST_CASE("a blocked concurrency group does not block the others, each with its own limit") {
  const auto session = start();
  const auto s = with({.groups = {{.name = "io", .limit = 2}, {.name = "compute", .limit = 3}}})
                     .remote<server>();
  const promise<int> gate;
  const signal io_in;
  const signal compute_in;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(s.with({.concurrency_group = "io"}).remote<&server::meet>(io_in, gate.ref()));
    calls.push_back(
        s.with({.concurrency_group = "compute"}).remote<&server::meet>(compute_in, gate.ref()));
  }
  REQUIRE(io_in.wait(2));
  REQUIRE(compute_in.wait(3));
  CHECK(fetch(s.remote<&server::quick>()) == 1);  // the default group
  CHECK(io_in.count() == 2);
  CHECK(compute_in.count() == 3);
  gate.set(0);
  fetch(calls);
  CHECK(fetch(s.remote<&server::most_inside>()) <= 5);
}

TEST_CASE("a blocked default group does not block a named one") {
  const auto session = start();
  const auto s = with({.groups = {{.name = "health"}}}).remote<server>();
  const promise<int> gate;
  const signal entered;
  const auto blocked = s.remote<&server::meet>(entered, gate.ref());
  const auto behind = s.remote<&server::quick>();
  REQUIRE(entered.wait());
  CHECK(fetch(s.with({.concurrency_group = "health"}).remote<&server::quick>()) == 1);
  CHECK_FALSE(behind.ready());
  gate.set(1);
  CHECK(fetch(blocked) == 1);
  CHECK(fetch(behind) == 1);
}

TEST_CASE("an unknown concurrency group is an error that names it") {
  const auto session = start();
  const auto s = with({.groups = {{.name = "io", .limit = 2}}}).remote<server>();
  CHECK_THAT(message_of<std::invalid_argument>(
                 [&] { s.with({.concurrency_group = "oi"}).remote<&server::quick>(); }),
             contains("'oi'") && contains("server"));
  CHECK_THROWS_AS(remote<server>().with({.concurrency_group = "io"}).remote<&server::quick>(),
                  std::invalid_argument);
  CHECK(s.pending_calls() == 0);
}

TEST_CASE("an exception in one concurrent method leaves the others alone") {
  const auto session = start();
  const auto s = with({.max_concurrency = 4}).remote<server>();
  const promise<int> gate;
  const signal entered;
  const auto a = s.remote<&server::meet>(entered, gate.ref());
  const auto b = s.remote<&server::meet>(entered, gate.ref());
  REQUIRE(entered.wait(2));
  CHECK_THROWS_AS(fetch(s.remote<&server::refuse>()), std::out_of_range);
  gate.set(6);
  CHECK(fetch(a) == 6);
  CHECK(fetch(b) == 6);
}

TEST_CASE("a method that threw in a group is tried again in its group") {
  const auto session = start();
  const auto s = with({.groups = {{.name = "io"}}}).remote<server>();
  const promise<int> gate;
  const signal entered;
  const auto blocked = s.remote<&server::meet>(entered, gate.ref());
  REQUIRE(entered.wait());
  const auto tried =
      s.with({.retry_exceptions = true, .max_task_retries = 1, .concurrency_group = "io"})
          .remote<&server::refuse_once>();
  CHECK(fetch(tried) == 2);
  gate.set(1);
  fetch(blocked);
}

TEST_CASE("kill ends every concurrent method; the instance goes when the last has left") {
  const auto session = start();
  const signal ended;
  const signal entered;
  const auto s =
      with({.max_concurrency = 4, .groups = {{.name = "io", .limit = 2}}}).remote<server>(ended);
  std::vector<object_ref<int>> calls;
  const promise<int> never;
  for (int i = 0; i < 4; ++i) calls.push_back(s.remote<&server::meet>(entered, never.ref()));
  for (int i = 0; i < 4; ++i) {
    calls.push_back(
        s.with({.concurrency_group = "io"}).remote<&server::meet>(entered, never.ref()));
  }
  REQUIRE(entered.wait(6));
  troupe::kill(s);
  for (const auto& call : calls) CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("exit from one concurrent method ends the others") {
  const auto session = start();
  const signal ended;
  const signal entered;
  const auto s = with({.max_concurrency = 3}).remote<server>(ended);
  const auto other = s.remote<&server::meet>(entered, promise<int>().ref());
  REQUIRE(entered.wait());
  CHECK_THROWS_AS(fetch(s.remote<&server::leave>()), actor_died_error);
  CHECK_THROWS_AS(fetch(other), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("a failure in one concurrent method restarts the actor once all have left it") {
  const auto session = start();
  const signal ended;
  const signal entered;
  const promise<int> gate;
  const auto s = with({.max_restarts = 1, .max_concurrency = 3}).remote<server>(ended);
  const auto other = s.remote<&server::meet>(entered, gate.ref());
  REQUIRE(entered.wait());
  CHECK_THROWS_AS(fetch(s.remote<&server::fail>()), actor_unavailable_error);
  CHECK_THROWS_AS(fetch(other), actor_unavailable_error);
  CHECK(fetch(s.remote<&server::restarts>()) == 1);
  CHECK(ended.count() == 1);
}

TEST_CASE("a concurrent method that another's failure interrupted runs again with retries") {
  const auto session = start();
  const signal entered;
  const promise<int> gate;
  const auto s = with({.max_restarts = 1, .max_concurrency = 3}).remote<server>();
  const auto other = s.with({.max_task_retries = 1}).remote<&server::meet>(entered, gate.ref());
  REQUIRE(entered.wait());
  CHECK_THROWS_AS(fetch(s.remote<&server::fail>()), actor_unavailable_error);
  REQUIRE(entered.wait(2));
  gate.set(5);
  CHECK(fetch(other) == 5);
}

TEST_CASE("the last handle's end waits for concurrent calls that run or are queued") {
  const auto session = start();
  const signal ended;
  const signal entered;
  const promise<int> gate;
  std::vector<object_ref<int>> calls;
  {
    const auto s = with({.max_concurrency = 2}).remote<server>(ended);
    for (int i = 0; i < 10; ++i) calls.push_back(s.remote<&server::meet>(entered, gate.ref()));
  }
  REQUIRE(entered.wait(2));
  CHECK(ended.count() == 0);
  gate.set(1);
  CHECK(fetch(calls) == std::vector<int>(10, 1));
  CHECK(ended.wait());
}
