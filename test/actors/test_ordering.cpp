// The order of an actor's calls when some of them wait for their arguments.
#include <algorithm>
#include <atomic>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
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

struct journal {
  int note(int n) {
    seen.push_back(n);
    return n;
  }
  int pass_on(int n) const { return n; }
  int note_two(int a, int b) { return note(a + b); }
  std::vector<int> all() const { return seen; }
  std::vector<int> seen;
};

/// A caller of its own: the calls it makes are one caller's.
struct caller {
  explicit caller(actor_handle<journal> to) : j(std::move(to)) {}
  void send(int n) { j.remote<&journal::note>(n); }
  void send_ref(object_ref<object_ref<int>> boxed) { j.remote<&journal::note>(troupe::get(boxed)); }
  void send_many(int from, int to) {
    for (int i = from; i < to; ++i) j.remote<&journal::note>(i);
  }
  actor_handle<journal> j;
};

int pass(int n) { return n; }
void send_from_task(actor_handle<journal> j, int from, int to) {
  for (int i = from; i < to; ++i) j.remote<&journal::note>(remote<pass>(i));
}

}  // namespace

TEST_CASE("a call that waits for an argument holds back its caller's later calls") {
  const auto session = start();
  const auto j = remote<journal>();
  const promise<int> gate;
  const auto first = j.remote<&journal::note>(gate.ref());
  const auto second = j.remote<&journal::note>(2);
  const auto third = j.remote<&journal::note>(troupe::put(3));
  CHECK_FALSE(second.ready());
  gate.set(1);
  CHECK(fetch(third) == 3);
  CHECK(fetch(j.remote<&journal::all>()) == std::vector<int>{1, 2, 3});
}

TEST_CASE("a call that waits for an argument does not hold back other callers") {
  const auto session = start();
  const auto j = remote<journal>();
  const promise<int> gate;
  const auto first = j.remote<&journal::note>(gate.ref());
  const auto behind = j.remote<&journal::note>(2);
  const auto other = remote<caller>(j);
  fetch(other.remote<&caller::send>(100));
  // The other caller's own next call is behind its first.
  CHECK(eventually([&] { return j.pending_calls() == 2; }));
  CHECK_FALSE(behind.ready());
  gate.set(1);
  fetch(behind);
  CHECK(fetch(j.remote<&journal::all>()) == std::vector<int>{100, 1, 2});
}

TEST_CASE("each caller's lane is its own when several wait") {
  const auto session = start();
  const auto j = remote<journal>();
  std::vector<promise<int>> gates(4);
  std::vector<actor_handle<caller>> callers;
  for (int i = 0; i < 4; ++i) {
    callers.push_back(remote<caller>(j));
    callers[i].remote<&caller::send_ref>(troupe::put(gates[i].ref()));
    fetch(callers[i].remote<&caller::send_many>(i * 100 + 1, i * 100 + 10));
  }
  CHECK(fetch(j.remote<&journal::all>()).empty());
  for (const int i : {2, 0, 3, 1}) gates[i].set(i * 100);
  CHECK(eventually([&] { return j.pending_calls() == 0; }));
  const auto seen = fetch(j.remote<&journal::all>());
  REQUIRE(seen.size() == 40);
  std::vector<int> next{0, 0, 0, 0};
  bool in_order = true;
  for (const int n : seen) in_order &= n % 100 == next[n / 100]++;
  CHECK(in_order);
}

TEST_CASE("arguments that become ready in any order do not change the order of calls") {
  const auto session = start();
  std::minstd_rand random(7);
  for (int round = 0; round < 50; ++round) {
    const auto j = remote<journal>();
    constexpr int count = 60;
    std::vector<promise<int>> gates(count);
    for (int i = 0; i < count; ++i) {
      if (i % 3 == 0) {
        j.remote<&journal::note>(gates[i].ref());
      } else if (i % 3 == 1) {
        j.remote<&journal::note_two>(gates[i].ref(), gates[(i + 7) % count].ref());
      } else {
        j.remote<&journal::note>(i);
      }
    }
    const auto all = j.remote<&journal::all>();
    std::vector<int> order(count);
    for (int i = 0; i < count; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
          for (int i = t; i < count; i += 3) gates[order[i]].set(order[i]);
        });
      }
    }
    std::vector<int> expected;
    for (int i = 0; i < count; ++i) expected.push_back(i % 3 == 1 ? i + (i + 7) % count : i);
    REQUIRE(fetch(all) == expected);
  }
}

TEST_CASE("a failed argument takes its call out of the line and lets the next ones go") {
  const auto session = start();
  const auto j = remote<journal>();
  const promise<int> bad;
  const promise<int> good;
  const auto a = j.remote<&journal::note>(bad.ref());
  const auto b = j.remote<&journal::note>(good.ref());
  const auto c = j.remote<&journal::note_two>(bad.ref(), good.ref());
  const auto d = j.remote<&journal::note>(4);
  bad.fail(std::domain_error("bad"));
  CHECK_THROWS_AS(fetch(a), std::domain_error);
  CHECK_THROWS_AS(fetch(c), std::domain_error);  // without waiting for the other argument
  good.set(2);
  CHECK(fetch(d) == 4);
  CHECK(fetch(b) == 2);
  CHECK(fetch(j.remote<&journal::all>()) == std::vector<int>{2, 4});
}

TEST_CASE("a cancelled call that waits for its arguments lets the next ones go") {
  const auto session = start();
  const auto j = remote<journal>();
  const promise<int> never;
  const auto waiting = j.remote<&journal::note>(never.ref());
  const auto behind = j.remote<&journal::note>(2);
  CHECK_FALSE(behind.ready());
  CHECK(troupe::cancel(waiting));
  CHECK(fetch(behind) == 2);
  CHECK_THROWS_AS(fetch(waiting), troupe::task_cancelled_error);
  CHECK(fetch(j.remote<&journal::all>()) == std::vector<int>{2});
}

TEST_CASE("with side by side calls, or in a group, a waiting argument holds back nothing") {
  const auto session = start();
  const auto j = with({.max_concurrency = 2, .groups = {{.name = "g"}}}).remote<journal>();
  const promise<int> gate;
  const auto waiting = j.remote<&journal::pass_on>(gate.ref());
  const auto in_group = j.with({.concurrency_group = "g"}).remote<&journal::pass_on>(gate.ref());
  CHECK(fetch(j.with({.concurrency_group = "g"}).remote<&journal::pass_on>(5)) == 5);
  CHECK(fetch(j.remote<&journal::pass_on>(6)) == 6);
  gate.set(1);
  CHECK(fetch(waiting) == 1);
  CHECK(fetch(in_group) == 1);
}

TEST_CASE("an actor's own calls to itself queue behind what waits there") {
  const auto session = start();
  struct me {
    void begin() {
      const auto self = troupe::this_actor::handle<me>();
      for (int i = 0; i < 5; ++i) self.remote<&me::note>(i);
      seen.push_back(-1);
    }
    void note(int n) { seen.push_back(n); }
    std::vector<int> all() { return seen; }
    std::vector<int> seen;
  };
  const auto m = remote<me>();
  m.remote<&me::begin>();
  CHECK(eventually([&] { return fetch(m.remote<&me::all>()).size() == 6; }));
  CHECK(fetch(m.remote<&me::all>()) == std::vector<int>{-1, 0, 1, 2, 3, 4});
}

TEST_CASE("tasks whose calls wait for other tasks keep their own order among many") {
  const auto session = start();
  const auto j = remote<journal>();
  constexpr int tasks = 8;
  constexpr int count = 300;
  std::vector<object_ref<void>> sent;
  for (int t = 0; t < tasks; ++t) {
    sent.push_back(remote<send_from_task>(j, t * count, (t + 1) * count));
  }
  fetch(sent);
  CHECK(eventually([&] { return j.pending_calls() == 0; }));
  const auto seen = fetch(j.remote<&journal::all>());
  REQUIRE(seen.size() == tasks * count);
  std::vector<int> next(tasks, 0);
  bool in_order = true;
  for (const int n : seen) in_order &= n % count == next[n / count]++;
  CHECK(in_order);
}
