// Kills that race with everything else: each call and each actor ends once.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
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

struct worker {
  explicit worker(signal s = {}) : ended(std::move(s)) {}
  int work() { return ++runs; }
  int wait_for(object_ref<int> ref) { return troupe::get(ref); }
  async<int> suspend(object_ref<int> ref) { co_return co_await ref; }
  at_end ended;
  int runs = 0;
};

struct from_number {
  explicit from_number(int n) : value(n) {}
  int read() const { return value; }
  int value;
};

bool all_gone() {
  return eventually([] { return troupe::stats().live_actors == 0; });
}

}  // namespace

TEST_CASE("a kill meets each call that is about to begin") {
  const auto session = start();
  const promise<int> never;
  for (int round = 0; round < 2000; ++round) {
    const auto w = remote<worker>();
    if (round % 2 == 0) fetch(w.ready());
    const auto blocked = w.remote<&worker::wait_for>(never.ref());
    const auto suspended = w.remote<&worker::suspend>(never.ref());
    const auto behind = w.remote<&worker::work>();
    troupe::kill(w);
    REQUIRE_THROWS_AS(fetch(blocked), actor_died_error);
    REQUIRE_THROWS_AS(fetch(suspended), actor_died_error);
    REQUIRE_THROWS_AS(fetch(behind), actor_died_error);
  }
  CHECK(all_gone());
}

TEST_CASE("a kill that allows a restart meets each call that is about to begin") {
  const auto session = start();
  const promise<int> never;
  const auto w = with({.max_restarts = -1}).remote<worker>();
  for (int round = 0; round < 2000; ++round) {
    const auto blocked = w.remote<&worker::wait_for>(never.ref());
    const auto again = w.with({.max_task_retries = -1}).remote<&worker::work>();
    troupe::kill(w, {.no_restart = false});
    if (!blocked.ready()) troupe::kill(w, {.no_restart = false});
    // Queued when it was struck, it runs in the next life; then a further failure ends it.
    while (!blocked.ready()) troupe::kill(w, {.no_restart = false});
    REQUIRE_THROWS_AS(fetch(blocked), actor_unavailable_error);
    REQUIRE(fetch(again) > 0);
  }
}

TEST_CASE("each call ends, with its result or with the death, when kill races with callers") {
  const auto session = start();
  for (int round = 0; round < 100; ++round) {
    const signal ended;
    const auto w = remote<worker>(ended);
    fetch(w.ready());
    std::vector<std::vector<object_ref<int>>> calls(4);
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&w, &mine = calls[t]] {
          for (int i = 0; i < 100; ++i) mine.push_back(w.remote<&worker::work>());
        });
      }
      threads.emplace_back([&w] { troupe::kill(w); });
      threads.emplace_back([&w] { troupe::kill(w); });
    }
    bool sound = true;
    for (const auto& mine : calls) {
      int last = 0;
      bool dead = false;
      for (const auto& call : mine) {
        try {
          const int n = fetch(call);
          sound &= n > last && !dead;  // nothing runs behind what died
          last = n;
        } catch (const actor_died_error&) {
          dead = true;
        }
      }
    }
    REQUIRE(sound);
    REQUIRE(ended.wait());
    REQUIRE(ended.count() == 1);
  }
  CHECK(all_gone());
}

TEST_CASE("kill that races with the end of scope, the constructor and refs ends each actor once") {
  const auto session = start();
  const signal ended;
  constexpr int rounds = 300;
  for (int round = 0; round < rounds; ++round) {
    auto a = remote<worker>(ended);
    const promise<int> number;
    auto b = remote<from_number>(number.ref());
    auto read = b.remote<&from_number::read>();
    {
      std::jthread first([a] { troupe::kill(a); });
      std::jthread second([&] { number.set(1); });
      std::jthread third([b] { troupe::kill(b); });
      a = {};
    }
    try {
      const int value = fetch(read);
      CHECK(value == 1);
    } catch (const actor_died_error&) {
      CHECK(eventually([&] { return !b.alive(); }));
    }
  }
  CHECK(all_gone());
  CHECK(ended.count() <= rounds);
}
