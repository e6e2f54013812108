// ctest: TIMEOUT 300
// Very many actors, down to none; and ends of the runtime in the middle of work.
#include <atomic>
#include <memory>
#include <random>
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
using troupe::actor_handle;
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct small {
  explicit small(tracked t = tracked(1)) : value(std::move(t)) {}
  int read() const { return value.value(); }
  tracked value;
};

struct busy {
  explicit busy(signal s) : ended(std::move(s)) {}
  int spin(signal entered) {
    entered.raise();
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    return 1;
  }
  int wait_for(object_ref<int> gate, signal entered) {
    entered.raise();
    return troupe::get(gate);
  }
  async<int> suspend(object_ref<int> gate, signal entered) {
    entered.raise();
    co_return co_await gate;
  }
  int work() { return 1; }
  at_end ended;
};

struct node {
  /// Starts a binary tree of actors and counts them.
  int grow(int depth) {
    if (depth == 0) return 1;
    left = remote<node>();
    right = remote<node>();
    const auto a = left.remote<&node::grow>(depth - 1);
    const auto b = right.remote<&node::grow>(depth - 1);
    return troupe::get(a) + troupe::get(b) + 1;
  }
  async<int> grow_async(int depth) {
    if (depth == 0) co_return 1;
    left = remote<node>();
    right = remote<node>();
    const auto a = left.remote<&node::grow_async>(depth - 1);
    const auto b = right.remote<&node::grow_async>(depth - 1);
    co_return co_await a + co_await b + 1;
  }
  actor_handle<node> left;
  actor_handle<node> right;
};

struct player {
  /// Hits the ball back until there is none left; the last one tells.
  void hit(int left, actor_handle<player> other, signal over) {
    if (left == 0) {
      over.raise();
    } else {
      other.remote<&player::hit>(left - 1, troupe::this_actor::handle<player>(), over);
    }
  }
};

struct grumpy {
  explicit grumpy(signal s) : ended(std::move(s)) {}
  ~grumpy() { throws_inside(); }
  void throws_inside() noexcept {
    try {
      troupe::get(promise<int>().ref(), 0ns);
    } catch (const troupe::error&) {
      ended.raise();
    }
  }
  int work() { return 1; }
  signal ended;
};

bool no_actors() {
  return eventually([] { return troupe::stats().live_actors == 0; });
}

}  // namespace

TEST_CASE("a hundred thousand actors come, answer, and go down to none") {
  {
    const auto session = start();
    constexpr int count = 100'000;
    {
      std::vector<actor_handle<small>> all;
      std::vector<object_ref<int>> answers;
      all.reserve(count);
      answers.reserve(count);
      for (int i = 0; i < count; ++i) {
        all.push_back(remote<small>(tracked(i)));
        answers.push_back(all.back().remote<&small::read>());
      }
      const auto values = fetch(answers);
      bool right = true;
      for (int i = 0; i < count; ++i) right &= values[i] == i;
      CHECK(right);
      CHECK(troupe::stats().live_actors == count);
      CHECK(tracked::alive() == count);
    }
    CHECK(no_actors());
    CHECK(eventually([] { return tracked::alive() == 0; }));
    for (int i = 0; i < count; ++i) remote<small>(tracked(i));
    CHECK(no_actors());
  }
  CHECK(tracked::alive() == 0);
}

TEST_CASE("many threads start, call and drop actors at once") {
  const auto session = start();
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          if (fetch(remote<small>(tracked(i)).remote<&small::read>()) != i) ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(no_actors());
}

TEST_CASE("actors start actors: a tree of them by blocking get and by coroutines") {
  const auto session = start();
  CHECK(fetch(remote<node>().remote<&node::grow>(7)) == 255);
  CHECK(no_actors());
  CHECK(fetch(remote<node>().remote<&node::grow_async>(11)) == 4095);
  CHECK(no_actors());
}

TEST_CASE("two actors play ping-pong, and so do a hundred pairs") {
  const auto session = start();
  const signal over;
  constexpr int pairs = 100;
  std::vector<actor_handle<player>> players;
  for (int i = 0; i < pairs; ++i) {
    players.push_back(remote<player>());
    players.push_back(remote<player>());
    players[2 * i].remote<&player::hit>(1000, players[2 * i + 1], over);
  }
  CHECK(over.wait(pairs));
}

TEST_CASE("shutdown ends actors that spin, wait, are suspended, queued or pending") {
  const signal ended;
  auto session = start();
  const signal entered;
  const promise<int> never;
  const promise<signal> unborn;
  std::vector<actor_handle<busy>> all;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 20; ++i) {
    const auto b = remote<busy>(ended);
    if (i % 3 == 0) {
      calls.push_back(b.remote<&busy::wait_for>(never.ref(), entered));
    } else {
      calls.push_back(b.remote<&busy::suspend>(never.ref(), entered));
    }
    calls.push_back(b.remote<&busy::wait_for>(never.ref(), entered));
    all.push_back(b);
  }
  const auto spinner = remote<busy>(ended);
  calls.push_back(spinner.remote<&busy::spin>(entered));
  const auto pending = remote<busy>(unborn.ref());
  calls.push_back(pending.remote<&busy::work>());
  const auto detached =
      with({.name = "d", .lifetime = troupe::lifetime::detached}).remote<busy>(ended);
  fetch(detached.ready());
  REQUIRE(entered.wait(21));
  session.shutdown();
  for (const auto& call : calls) {
    CHECK(call.ready());
    CHECK_THROWS_AS(fetch(call), troupe::actor_died_error);
  }
  CHECK(ended.count() == 22);
}

TEST_CASE("handles and refs may outlive the runtime; calls then fail") {
  actor_handle<small> kept;
  object_ref<int> value;
  {
    const auto session = start();
    kept = remote<small>(tracked(4));
    value = kept.remote<&small::read>();
    fetch(value);
  }
  CHECK(tracked::alive() == 0);
  CHECK(fetch(value) == 4);
  CHECK_FALSE(kept.alive());
  CHECK_THROWS_AS(kept.remote<&small::read>(), troupe::connection_error);
  {
    const auto again = start();
    CHECK_THROWS_AS(fetch(kept.remote<&small::read>()), troupe::actor_died_error);
    CHECK(fetch(remote<small>(tracked(6)).remote<&small::read>()) == 6);
  }
}

TEST_CASE("a shutdown that drains lets queued calls end first") {
  const signal ended;
  auto session = start();
  const auto b = remote<busy>(ended);
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(b.remote<&busy::work>());
  session.shutdown({.drain = true});
  for (const auto& call : calls) REQUIRE(fetch(call) == 1);
  CHECK(ended.count() == 1);
}

TEST_CASE("an actor's destructor may use troupe, in life and at shutdown") {
  const signal ended;
  {
    const auto session = start();
    { fetch(remote<grumpy>(ended).remote<&grumpy::work>()); }
    CHECK(ended.wait());
    fetch(with({.name = "g", .lifetime = troupe::lifetime::detached})
              .remote<grumpy>(ended)
              .remote<&grumpy::work>());
  }
  CHECK(ended.count() == 2);
}

TEST_CASE("shutdown while threads start and call actors ends every call that was accepted") {
  for (int round = 0; round < 30; ++round) {
    auto session = start();
    std::vector<std::vector<object_ref<int>>> calls(4);
    const signal going;
    {
      std::vector<std::jthread> threads;
      for (auto& mine : calls) {
        threads.emplace_back([&mine, going] {
          try {
            for (int i = 0;; ++i) {
              const auto s = remote<small>(tracked(i));
              mine.push_back(s.remote<&small::read>());
              mine.push_back(s.remote<&small::read>());
              if (i == 5) going.raise();
            }
          } catch (const troupe::error&) {
          }
        });
      }
      REQUIRE(going.wait(4));
      session.shutdown();
    }
    bool all_ended = true;
    for (const auto& mine : calls) {
      for (const auto& call : mine) all_ended &= eventually([&] { return call.ready(); });
    }
    REQUIRE(all_ended);
    calls.clear();
    REQUIRE(eventually([] { return tracked::alive() == 0; }));
  }
}

TEST_CASE("this_actor outside of an actor is a logic error; in a task, too") {
  const auto session = start();
  CHECK_FALSE(troupe::this_actor::running());
  CHECK_THROWS_AS(troupe::this_actor::id(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::name(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::handle<small>(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::restarts(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::exit(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::fail(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::send_later<&node::grow>(1ms, 1), std::logic_error);
  CHECK(fetch(remote<[] { return !troupe::this_actor::running(); }>()));
}
