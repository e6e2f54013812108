// Handles are values, and an actor lives as long as one does.
#include <map>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::actor_handle;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct counter {
  explicit counter(signal s = {}) : ended(std::move(s)) {}
  int add(int by) { return value += by; }
  int wait_for(object_ref<int> ref) { return troupe::get(ref); }
  actor_handle<counter> self() { return troupe::this_actor::handle<counter>(); }
  at_end ended;
  int value = 0;
};

int call_it(actor_handle<counter> c, int by) { return troupe::get(c.remote<&counter::add>(by)); }
actor_handle<counter> make_one(signal s) { return remote<counter>(s); }
std::vector<actor_handle<counter>> make_some(int n) {
  std::vector<actor_handle<counter>> some;
  for (int i = 0; i < n; ++i) some.push_back(remote<counter>());
  return some;
}
int hold(actor_handle<counter> c, object_ref<int> gate) {
  troupe::get(gate);
  return call_it(c, 1);
}

struct keeper {
  explicit keeper(actor_handle<counter> c) : mine(std::move(c)) {}
  int forward(int by) { return troupe::get(mine.remote<&counter::add>(by)); }
  actor_handle<counter> lend() { return mine; }
  void swap(actor_handle<counter> other) { mine = std::move(other); }
  void drop() { mine = {}; }
  actor_handle<counter> mine;
};

/// Keeps itself alive.
struct narcissist {
  void look() { me = troupe::this_actor::handle<narcissist>(); }
  actor_handle<narcissist> me;
};

struct peer {
  explicit peer(signal s = {}) : ended(std::move(s)) {}
  void meet(actor_handle<peer> p) { other = std::move(p); }
  void part() { other = {}; }
  at_end ended;
  actor_handle<peer> other;
};

}  // namespace

TEST_CASE("copies of a handle name the same actor, moved ones none") {
  const auto session = start();
  auto a = remote<counter>();
  auto b = a;
  CHECK(a == b);
  CHECK(a.id() == b.id());
  CHECK(std::hash<actor_handle<counter>>{}(a) == std::hash<actor_handle<counter>>{}(b));
  CHECK(a != remote<counter>());
  fetch(a.remote<&counter::add>(1));
  CHECK(fetch(b.remote<&counter::add>(1)) == 2);
  const auto c = std::move(a);
  CHECK_FALSE(a);  // NOLINT: what a moved handle is
  CHECK(c == b);
  const auto& same = b;
  b = same;
  CHECK(fetch(b.remote<&counter::add>(1)) == 3);
}

TEST_CASE("handles live in containers") {
  const auto session = start();
  std::map<std::string, actor_handle<counter>> by_name;
  std::unordered_set<actor_handle<counter>> set;
  for (const char* name : {"a", "b", "c"}) set.insert(by_name[name] = remote<counter>());
  CHECK(set.size() == 3);
  CHECK(set.count(by_name["b"]) == 1);
  CHECK(fetch(by_name["b"].remote<&counter::add>(2)) == 2);
}

TEST_CASE("handles pass to tasks, come back from tasks, and go through other actors") {
  const auto session = start();
  const auto c = fetch(remote<make_one>(signal()));
  CHECK(fetch(remote<call_it>(c, 2)) == 2);
  CHECK(fetch(remote<call_it>(remote<make_one>(signal()), 7)) == 7);
  const auto k = remote<keeper>(c);
  CHECK(fetch(k.remote<&keeper::forward>(3)) == 5);
  CHECK(fetch(k.remote<&keeper::lend>()) == c);
  k.remote<&keeper::swap>(remote<make_one>(signal()));
  CHECK(fetch(k.remote<&keeper::forward>(1)) == 1);
  const auto some = fetch(remote<make_some>(10));
  for (const auto& one : some) CHECK(fetch(one.remote<&counter::add>(4)) == 4);
}

TEST_CASE("when the last handle goes, the actor ends after the calls that were sent") {
  const auto session = start();
  const signal ended;
  const promise<int> gate;
  object_ref<int> held;
  std::vector<object_ref<int>> calls;
  {
    const auto c = remote<counter>(ended);
    held = c.remote<&counter::wait_for>(gate.ref());
    for (int i = 0; i < 100; ++i) calls.push_back(c.remote<&counter::add>(1));
  }
  CHECK(ended.count() == 0);
  gate.set(1);
  CHECK(fetch(held) == 1);
  CHECK(fetch(calls).back() == 100);
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("a call made on a temporary handle runs") {
  const auto session = start();
  const signal ended;
  CHECK(fetch(remote<counter>(ended).remote<&counter::add>(3)) == 3);
  CHECK(ended.wait());
}

TEST_CASE("an actor whose handle goes before its constructor has run is made and ended") {
  const auto session = start();
  const signal ended;
  { remote<counter>(ended); }
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("a handle among the arguments of a task that waits keeps the actor") {
  const auto session = start();
  const signal ended;
  const promise<int> gate;
  auto result = remote<hold>(remote<counter>(ended), gate.ref());
  const promise<int> second;
  auto waiting = remote<call_it>(remote<counter>(ended), second.ref());
  gate.set(0);
  CHECK(fetch(result) == 1);
  second.set(9);
  CHECK(fetch(waiting) == 9);
  CHECK(ended.wait(2));
}

TEST_CASE("a handle in an object keeps the actor until the object goes") {
  const auto session = start();
  const signal ended;
  auto made = remote<make_one>(ended);
  fetch(made);
  CHECK(fetch(remote<call_it>(made, 1)) == 1);
  CHECK(ended.count() == 0);
  made = {};
  CHECK(ended.wait());
}

TEST_CASE("a handle in another actor keeps the actor until that one drops it") {
  const auto session = start();
  const signal ended;
  const auto k = remote<keeper>(remote<counter>(ended));
  CHECK(fetch(k.remote<&keeper::forward>(1)) == 1);
  CHECK(ended.count() == 0);
  k.remote<&keeper::drop>();
  CHECK(ended.wait());
}

TEST_CASE("a chain of actors that hold each other ends when its head goes") {
  const auto session = start();
  const signal ended;
  {
    auto head = remote<peer>(ended);
    for (int i = 0; i < 99; ++i) {
      auto next = remote<peer>(ended);
      next.remote<&peer::meet>(head);
      head = next;
    }
  }
  CHECK(ended.wait(100));
}

TEST_CASE("actors that hold each other live until they part or are killed") {
  const auto session = start();
  const signal ended;
  {
    const auto a = remote<peer>(ended);
    const auto b = remote<peer>(ended);
    fetch(a.remote<&peer::meet>(b));
    fetch(b.remote<&peer::meet>(a));
    a.remote<&peer::part>();
  }
  CHECK(ended.wait(2));
}

TEST_CASE("an actor that keeps a handle to itself never goes out of scope") {
  const auto session = start();
  { fetch(remote<narcissist>().remote<&narcissist::look>()); }
  CHECK(troupe::stats().live_actors == 1);
}

TEST_CASE("an actor gives out a handle to itself") {
  const auto session = start();
  const auto c = remote<counter>();
  CHECK(fetch(c.remote<&counter::self>()) == c);
  const signal ended;
  {
    actor_handle<counter> only;
    { only = fetch(remote<counter>(ended).remote<&counter::self>()); }
    CHECK(fetch(only.remote<&counter::add>(1)) == 1);
    CHECK(ended.count() == 0);
  }
  CHECK(ended.wait());
}

TEST_CASE("handles copied and dropped by many threads end the actor exactly once") {
  const auto session = start();
  for (int round = 0; round < 50; ++round) {
    const signal ended;
    {
      const auto c = remote<counter>(ended);
      std::vector<std::jthread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([c] {
          for (int i = 0; i < 50; ++i) {
            auto copy = c;
            copy.remote<&counter::add>(1);
            auto other = std::move(copy);
          }
        });
      }
    }
    REQUIRE(ended.wait());
    REQUIRE(ended.count() == 1);
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}
