// What a failure does to an actor: restarts, and the calls that it interrupted.
#include <algorithm>
#include <atomic>
#include <set>
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
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

std::atomic<int> tries{0};
std::atomic<int> births{0};

struct fragile {
  explicit fragile(int start = 0, signal s = {}) : value(start), ended(std::move(s)) {}

  int add(int by) { return value += by; }
  int restarts() const { return troupe::this_actor::restarts(); }
  int fail() { troupe::this_actor::fail("it broke"); }
  int fail_before(int attempt) {
    ++tries;
    if (troupe::this_task::attempt() < attempt) troupe::this_actor::fail();
    return value += 100;
  }
  int wait_for(object_ref<int> ref, signal entered) {
    entered.raise();
    return troupe::get(ref);
  }
  async<int> suspend(object_ref<int> ref, signal entered, at_end) {
    entered.raise();
    co_return co_await ref;
  }
  async<int> suspend_again(object_ref<int> ref, signal entered) {
    entered.raise();
    co_return co_await ref;
  }
  void note(int n) { seen.push_back(n); }
  int note_or_fail(int n) {
    seen.push_back(n);
    if (troupe::this_task::attempt() == 0) troupe::this_actor::fail();
    return n;
  }
  std::vector<int> all() const { return seen; }

  int value;
  at_end ended;
  std::vector<int> seen;
};

/// Can be made once, and not again.
struct once {
  once() {
    if (births++ > 0) throw std::runtime_error("not twice");
  }
  int work() { return 1; }
  int fail() { troupe::this_actor::fail(); }
};

/// Fails to be made the second and third time.
struct stubborn {
  stubborn() {
    const int birth = births++;
    if (birth == 1 || birth == 2) throw std::runtime_error("birth " + std::to_string(birth));
  }
  int restarts() { return troupe::this_actor::restarts(); }
  int fail() { troupe::this_actor::fail(); }
};

struct fails_at_birth {
  fails_at_birth() { troupe::this_actor::fail("too early"); }
  int work() { return 1; }
};

}  // namespace

TEST_CASE("a failure without restarts ends the actor with its reason") {
  const auto session = start();
  const signal ended;
  const auto f = remote<fragile>(0, ended);
  const auto failing = f.remote<&fragile::fail>();
  const auto behind = f.remote<&fragile::add>(1);
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(failing); }), contains("it broke"));
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(behind); }), contains("it broke"));
  CHECK(ended.wait());
  CHECK(eventually([&] { return !f.alive(); }));
}

TEST_CASE("a restarted actor begins afresh from its constructor's arguments") {
  const auto session = start();
  const signal ended;
  const auto f = with({.max_restarts = 3}).remote<fragile>(10, ended);
  CHECK(fetch(f.remote<&fragile::add>(5)) == 15);
  CHECK(fetch(f.remote<&fragile::restarts>()) == 0);
  CHECK_THROWS_AS(fetch(f.remote<&fragile::fail>()), actor_unavailable_error);
  CHECK(ended.wait());
  CHECK(fetch(f.remote<&fragile::add>(5)) == 15);
  CHECK(fetch(f.remote<&fragile::restarts>()) == 1);
  CHECK(f.alive());
}

TEST_CASE("what is queued behind a failure runs in the next life, in order") {
  const auto session = start();
  const promise<int> gate;
  const auto f = with({.max_restarts = 1}).remote<fragile>();
  const auto held = f.remote<&fragile::wait_for>(gate.ref(), signal());
  f.remote<&fragile::note>(-1);
  const auto failing = f.remote<&fragile::fail>();
  for (int i = 0; i < 100; ++i) f.remote<&fragile::note>(i);
  gate.set(0);
  CHECK_THROWS_AS(fetch(failing), actor_unavailable_error);
  const auto seen = fetch(f.remote<&fragile::all>());
  REQUIRE(seen.size() == 100);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(fetch(held) == 0);
}

TEST_CASE("an actor whose restarts are used up is dead") {
  const auto session = start();
  const auto f = with({.max_restarts = 2}).remote<fragile>();
  CHECK_THROWS_AS(fetch(f.remote<&fragile::fail>()), actor_unavailable_error);
  CHECK_THROWS_AS(fetch(f.remote<&fragile::fail>()), actor_unavailable_error);
  CHECK(fetch(f.remote<&fragile::restarts>()) == 2);
  CHECK_THROWS_AS(fetch(f.remote<&fragile::fail>()), actor_died_error);
  CHECK_THROWS_AS(fetch(f.remote<&fragile::add>(1)), actor_died_error);
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("max_restarts -1 restarts for ever") {
  const auto session = start();
  const signal ended;
  const auto f = with({.max_restarts = -1}).remote<fragile>(0, ended);
  for (int i = 0; i < 200; ++i) f.remote<&fragile::fail>();
  CHECK(fetch(f.remote<&fragile::restarts>()) == 200);
  CHECK(ended.count() == 200);
}

TEST_CASE("a call with retries runs again after the failure that it met") {
  const auto session = start();
  tries = 0;
  const auto f = with({.max_restarts = -1, .max_task_retries = 5}).remote<fragile>(1);
  CHECK(fetch(f.remote<&fragile::fail_before>(3)) == 101);
  CHECK(tries == 4);
  CHECK(fetch(f.remote<&fragile::restarts>()) == 3);
}

TEST_CASE("a call's own max_task_retries counts, and ends in the error") {
  const auto session = start();
  tries = 0;
  const auto f = with({.max_restarts = -1}).remote<fragile>();
  const auto twice = f.with({.max_task_retries = 2});
  CHECK_THROWS_AS(fetch(twice.remote<&fragile::fail_before>(100)), actor_unavailable_error);
  CHECK(tries == 3);
  CHECK(fetch(twice.remote<&fragile::fail_before>(2)) == 100);
  tries = 0;
  CHECK_THROWS_AS(fetch(f.remote<&fragile::fail_before>(1)), actor_unavailable_error);
  CHECK(tries == 1);
}

TEST_CASE("a retried call runs before what its caller sent after it") {
  const auto session = start();
  const auto f = with({.max_restarts = -1, .max_task_retries = 1}).remote<fragile>();
  for (int i = 0; i < 50; ++i) f.remote<&fragile::note_or_fail>(i);
  // Each failure loses what the instance had noted, so the last life has seen the last call only.
  CHECK(fetch(f.remote<&fragile::all>()) == std::vector<int>{49});
  CHECK(fetch(f.remote<&fragile::restarts>()) == 50);
}

TEST_CASE("a retried call's arguments are what they were") {
  const auto session = start();
  const auto f = with({.max_restarts = -1, .max_task_retries = -1}).remote<fragile>();
  const promise<int> gate;
  const signal entered;
  const auto call = f.remote<&fragile::wait_for>(gate.ref(), entered);
  REQUIRE(entered.wait());
  troupe::kill(f, {.no_restart = false});
  REQUIRE(entered.wait(2));
  gate.set(8);
  CHECK(fetch(call) == 8);
}

TEST_CASE("a kill that allows a restart counts as a failure") {
  const auto session = start();
  const auto f = with({.max_restarts = 1}).remote<fragile>(7);
  CHECK(fetch(f.remote<&fragile::add>(1)) == 8);
  troupe::kill(f, {.no_restart = false});
  CHECK(fetch(f.remote<&fragile::add>(0)) == 7);
  CHECK(fetch(f.remote<&fragile::restarts>()) == 1);
  troupe::kill(f, {.no_restart = false});
  CHECK_THROWS_AS(fetch(f.remote<&fragile::add>(0)), actor_died_error);
}

TEST_CASE("a kill without restart ends an actor that could restart for ever") {
  const auto session = start();
  const auto f = with({.max_restarts = -1, .max_task_retries = -1}).remote<fragile>();
  const signal entered;
  const auto call = f.remote<&fragile::wait_for>(promise<int>().ref(), entered);
  REQUIRE(entered.wait());
  troupe::kill(f);
  CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK_THROWS_AS(fetch(f.remote<&fragile::add>(1)), actor_died_error);
}

TEST_CASE("a constructor that throws at a restart uses up restarts until there is none") {
  const auto session = start();
  births = 0;
  const auto o = with({.max_restarts = 3}).remote<once>();
  CHECK(fetch(o.remote<&once::work>()) == 1);
  o.remote<&once::fail>();
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(o.remote<&once::work>()); }),
             contains("not twice"));
  CHECK(births == 4);
}

TEST_CASE("an actor whose constructor throws at some restarts comes back at a later one") {
  const auto session = start();
  births = 0;
  const auto s = with({.max_restarts = 5}).remote<stubborn>();
  s.remote<&stubborn::fail>();
  CHECK(fetch(s.remote<&stubborn::restarts>()) == 3);
  CHECK(births == 4);
}

TEST_CASE("a constructor that fails the first time does not restart") {
  const auto session = start();
  const auto f = with({.max_restarts = -1}).remote<fails_at_birth>();
  CHECK_THROWS_AS(fetch(f.remote<&fails_at_birth::work>()), actor_died_error);
}

TEST_CASE("suspended methods end with the life in which they began; with retries they run again") {
  const auto session = start();
  const promise<int> gate;
  const signal entered;
  const signal frame;
  const auto f = with({.max_restarts = -1}).remote<fragile>();
  const auto lost = f.remote<&fragile::suspend>(gate.ref(), entered, at_end(frame));
  const auto kept =
      f.with({.max_task_retries = 1}).remote<&fragile::suspend_again>(gate.ref(), entered);
  REQUIRE(entered.wait(2));
  f.remote<&fragile::fail>();
  CHECK_THROWS_AS(fetch(lost), actor_unavailable_error);
  CHECK(frame.wait());
  REQUIRE(entered.wait(3));
  gate.set(4);
  CHECK(fetch(kept) == 4);
}

TEST_CASE("under kills that allow restarts, many callers' calls end once each") {
  const auto session = start();
  const auto f = with({.max_restarts = -1, .max_task_retries = -1}).remote<fragile>();
  std::vector<std::vector<object_ref<int>>> calls(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : calls) {
      threads.emplace_back([&f, &mine] {
        for (int i = 0; i < 500; ++i) mine.push_back(f.remote<&fragile::add>(1));
      });
    }
    threads.emplace_back([&f] {
      for (int i = 0; i < 100; ++i) troupe::kill(f, {.no_restart = false});
    });
  }
  for (const auto& mine : calls) {
    for (const auto& call : mine) CHECK(fetch(call) > 0);
  }
  CHECK(f.alive());
}
