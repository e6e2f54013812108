// Methods that are coroutines: they interleave where they wait, and nowhere else.
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
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct kitchen {
  async<int> cook(object_ref<int> gate, signal entered) {
    const int now = ++inside;
    most = now > most ? now : most;  // no atomic: one thread at a time
    entered.raise();
    const int value = co_await gate;
    --inside;
    ++done;
    co_return value;
  }
  async<void> step(int times) {
    for (int i = 0; i < times; ++i) {
      const int before = steps;
      steps = before + 1;  // no other method runs between the two
      co_await troupe::put(i);
    }
  }
  async<int> through_tasks(int n);
  async<int> inner(int n) {
    if (n == 0) co_return co_await troupe::put(1);
    co_return co_await inner(n - 1) + 1;
  }
  async<int> nested(int n) { co_return co_await inner(n); }
  async<int> fails_late(object_ref<int> gate) {
    co_await gate;
    throw std::out_of_range("burnt");
  }
  async<std::string> guarded(object_ref<int> gate) {
    try {
      co_await gate;
    } catch (const std::domain_error&) {
      co_return "caught";
    }
    co_return "passed";
  }
  async<int> leaves(object_ref<int> gate) {
    co_await gate;
    troupe::this_actor::exit();
  }
  async<int> who(object_ref<int> gate) {
    co_await gate;
    co_return static_cast<int>(troupe::this_actor::id().value);
  }
  async<int> waits_after_cancel(object_ref<int> gate, signal entered, at_end) {
    entered.raise();
    co_return co_await gate;
  }
  int plain() { return most; }
  int counted() const { return steps; }
  void note(int n) { seen.push_back(n); }
  async<void> note_later(int n, object_ref<int> gate) {
    co_await gate;
    seen.push_back(n);
  }
  std::vector<int> all() const { return seen; }

  int inside = 0;
  int most = 0;
  int done = 0;
  int steps = 0;
  std::vector<int> seen;
};

int square(int n) { return n * n; }

async<int> kitchen::through_tasks(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await remote<square>(i);
  co_return sum;
}

struct relay {
  async<int> call(troupe::actor_handle<kitchen> k, object_ref<int> gate, signal entered) {
    co_return co_await k.remote<&kitchen::cook>(gate, entered) + 1;
  }
};

}  // namespace

TEST_CASE("coroutine methods of one actor wait side by side, and others run meanwhile") {
  const auto session = start(1);
  const auto k = remote<kitchen>();
  const promise<int> gate;
  const signal entered;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 500; ++i) calls.push_back(k.remote<&kitchen::cook>(gate.ref(), entered));
  REQUIRE(entered.wait(500));
  CHECK(fetch(k.remote<&kitchen::plain>()) == 500);
  gate.set(2);
  CHECK(fetch(calls) == std::vector<int>(500, 2));
}

TEST_CASE("a thousand coroutine methods may be suspended; the next begins when one has ended") {
  const auto session = start();
  const auto k = remote<kitchen>();
  const promise<int> gate;
  const signal entered;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 1500; ++i) calls.push_back(k.remote<&kitchen::cook>(gate.ref(), entered));
  REQUIRE(entered.wait(1000));
  CHECK(entered.count() == 1000);
  gate.set(2);
  CHECK(fetch(calls).size() == 1500);
  CHECK(fetch(k.remote<&kitchen::plain>()) == 1000);
}

TEST_CASE("max_concurrency 1 lets a coroutine method end before the next call begins") {
  const auto session = start();
  const auto k = with({.max_concurrency = 1}).remote<kitchen>();
  const promise<int> gate;
  const signal entered;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(k.remote<&kitchen::cook>(gate.ref(), entered));
  const auto behind = k.remote<&kitchen::plain>();
  REQUIRE(entered.wait());
  CHECK(entered.count() == 1);
  CHECK_FALSE(behind.ready());
  gate.set(2);
  fetch(calls);
  CHECK(fetch(behind) == 1);
}

TEST_CASE("between two co_awaits a coroutine method runs alone") {
  const auto session = start();
  const auto k = remote<kitchen>();
  std::vector<object_ref<void>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(k.remote<&kitchen::step>(200));
  fetch(calls);
  CHECK(fetch(k.remote<&kitchen::counted>()) == 20 * 200);
}

TEST_CASE("coroutine methods await tasks, other coroutines and other actors' methods") {
  const auto session = start();
  const auto k = remote<kitchen>();
  CHECK(fetch(k.remote<&kitchen::through_tasks>(10)) == 285);
  CHECK(fetch(k.remote<&kitchen::nested>(100)) == 101);
  const promise<int> gate;
  const signal entered;
  const auto relayed = remote<relay>().remote<&relay::call>(k, gate.ref(), entered);
  REQUIRE(entered.wait());
  gate.set(4);
  CHECK(fetch(relayed) == 5);
}

TEST_CASE("exceptions reach a co_await, and leave a coroutine method as from any other") {
  const auto session = start();
  const auto k = remote<kitchen>();
  const promise<int> bad;
  const auto guarded = k.remote<&kitchen::guarded>(bad.ref());
  const promise<int> good;
  const auto burnt = k.remote<&kitchen::fails_late>(good.ref());
  bad.fail(std::domain_error("off"));
  good.set(1);
  CHECK(fetch(guarded) == "caught");
  CHECK_THROWS_AS(fetch(burnt), std::out_of_range);
  CHECK(k.alive());
}

TEST_CASE("this_actor is known after a suspension, and exit works there") {
  const auto session = start();
  const auto k = remote<kitchen>();
  const promise<int> gate;
  const auto who = k.remote<&kitchen::who>(gate.ref());
  gate.set(1);
  CHECK(fetch(who) == static_cast<int>(k.id().value));
  const promise<int> second;
  const auto other = k.remote<&kitchen::who>(promise<int>().ref());
  const auto leaving = k.remote<&kitchen::leaves>(second.ref());
  second.set(1);
  CHECK_THROWS_AS(fetch(leaving), troupe::actor_died_error);
  CHECK_THROWS_AS(fetch(other), troupe::actor_died_error);
}

TEST_CASE("a cancelled coroutine method ends at its co_await, its frame goes, the actor stays") {
  const auto session = start();
  const auto k = remote<kitchen>();
  const promise<int> never;
  const signal entered;
  const signal frame;
  const auto call = k.remote<&kitchen::waits_after_cancel>(never.ref(), entered, at_end(frame));
  REQUIRE(entered.wait());
  CHECK(troupe::cancel(call));
  CHECK_THROWS_AS(fetch(call), troupe::task_cancelled_error);
  CHECK(frame.wait());
  CHECK(eventually([&] { return k.pending_calls() == 0; }));
  CHECK(fetch(k.remote<&kitchen::plain>()) == 0);
}

TEST_CASE("an actor without handles ends when its suspended methods have ended") {
  const auto session = start();
  const promise<int> gate;
  const signal entered;
  object_ref<int> call;
  { call = remote<kitchen>().remote<&kitchen::cook>(gate.ref(), entered); }
  REQUIRE(entered.wait());
  CHECK(troupe::stats().live_actors == 1);
  gate.set(9);
  CHECK(fetch(call) == 9);
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("wake-ups from many threads reach each suspended method once") {
  const auto session = start();
  for (int round = 0; round < 20; ++round) {
    const auto k = remote<kitchen>();
    constexpr int count = 200;
    std::vector<promise<int>> gates(count);
    const signal entered;
    std::vector<object_ref<int>> calls;
    for (const auto& gate : gates) {
      calls.push_back(k.remote<&kitchen::cook>(gate.ref(), entered));
    }
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&gates, t] {
          for (int i = t; i < count; i += 4) gates[i].set(i);
        });
      }
    }
    for (int i = 0; i < count; ++i) REQUIRE(fetch(calls[i]) == i);
  }
}

TEST_CASE("kill and cancel that race with wake-ups end each suspended method") {
  const auto session = start();
  const signal frame;
  constexpr int rounds = 100;
  constexpr int count = 20;
  for (int round = 0; round < rounds; ++round) {
    const auto k = remote<kitchen>();
    std::vector<promise<int>> gates(count);
    const signal entered;
    std::vector<object_ref<int>> calls;
    for (const auto& gate : gates) {
      calls.push_back(k.remote<&kitchen::waits_after_cancel>(gate.ref(), entered, at_end(frame)));
    }
    {
      std::jthread waker([&] {
        for (const auto& gate : gates) gate.set(1);
      });
      std::jthread canceller([&] {
        for (const auto& call : calls) troupe::cancel(call);
      });
      std::jthread killer([&] {
        if (round % 2 == 0) troupe::kill(k);
      });
    }
    for (const auto& call : calls) {
      try {
        fetch(call);
      } catch (const troupe::error&) {
      }
    }
  }
  CHECK(frame.wait(rounds * count));
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}
