#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_set>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::get;
using troupe::object_ref;
using troupe::put;
using troupe::remote;

namespace {

int same(int x) { return x; }
int fail(int) { throw std::out_of_range("no such element"); }

}  // namespace

TEST_CASE("a value that was put is there at once, without a runtime") {
  const object_ref<std::string> ref = put(std::string("here"));
  CHECK(ref.ready());
  CHECK_FALSE(ref.failed());
  CHECK(get(ref) == "here");
  CHECK(get(put(5)) == 5);
}

TEST_CASE("a ref is a value: copied, compared, hashed and kept in containers") {
  const auto a = put(1);
  const auto b = a;
  const auto c = put(1);
  CHECK(a == b);
  CHECK_FALSE(a == c);
  const std::unordered_set<object_ref<int>> set{a, b, c};
  CHECK(set.size() == 2);
  CHECK_FALSE(object_ref<int>{});
  CHECK(static_cast<bool>(a));
}

TEST_CASE("a ref can be got any number of times, from copies and from many threads") {
  const auto session = start();
  const auto ref = remote<same>(7);
  const auto copy = ref;
  for (int i = 0; i < 3; ++i) CHECK(fetch(ref) == 7);
  CHECK(fetch(copy) == 7);
  std::vector<object_ref<int>> readers;
  constexpr auto read = [](object_ref<int> r) { return get(r); };
  for (int i = 0; i < 100; ++i) readers.push_back(remote<read>(ref));
  CHECK(fetch(readers) == std::vector<int>(100, 7));
}

TEST_CASE("threads of the user's own can call and get") {
  const auto session = start();
  std::vector<int> results(4, -1);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t, &results] {
        int sum = 0;
        for (int i = 0; i < 200; ++i) sum += fetch(remote<same>(t));
        results[t] = sum;
      });
    }
  }
  CHECK(results == std::vector<int>{0, 200, 400, 600});
}

TEST_CASE("get gives up at its timeout and the task goes on") {
  const auto session = start();
  const signal go;
  constexpr auto body = [](const signal& s) { return s.wait() ? 3 : 0; };
  const auto ref = troupe::with({.name = "slow one"}).remote<body>(go);
  CHECK_THAT(message_of<troupe::get_timeout_error>([&] { get(ref, 1ms); }), contains("slow one"));
  CHECK_THROWS_AS(get(ref, 0ms), troupe::get_timeout_error);
  CHECK_THROWS_AS(get(std::vector{ref}, 1ms), troupe::get_timeout_error);
  CHECK_THROWS_AS(get(std::tuple(ref, put(1)), 1ms), troupe::get_timeout_error);
  CHECK_THROWS_AS(view(ref, 1ms), troupe::get_timeout_error);
  go.raise();
  CHECK(fetch(ref) == 3);
  CHECK(get(ref, 0ms) == 3);
}

TEST_CASE("get inside a task gives up at its timeout, too") {
  const auto session = start();
  const promise<int> never;
  constexpr auto body = [](object_ref<int> ref) {
    return message_of<troupe::get_timeout_error>([&] { get(ref, 1ms); });
  };
  CHECK_THAT(fetch(remote<body>(never.ref())), contains("not ready in time"));
}

TEST_CASE("get of many gives the values in order, of refs that stand several times, too") {
  const auto session = start();
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 1000; ++i) refs.push_back(remote<same>(i));
  refs.push_back(refs.front());
  const auto values = fetch(refs);
  REQUIRE(values.size() == 1001);
  for (int i = 0; i < 1000; ++i) CHECK(values[i] == i);
  CHECK(values.back() == 0);
  CHECK(get(std::vector<object_ref<int>>{}).empty());
  get(std::vector<object_ref<void>>{remote<[] {}>()}, patience);
}

TEST_CASE("get of many throws as soon as one has failed") {
  const auto session = start();
  const promise<int> never;
  const std::vector<object_ref<int>> refs{never.ref(), remote<fail>(1)};
  CHECK_THROWS_AS(fetch(refs), std::out_of_range);
  CHECK_THROWS_AS(get(std::tuple(never.ref(), refs[1]), patience), std::out_of_range);
}

TEST_CASE("get of several refs of any types gives a tuple") {
  const auto session = start();
  const auto [a, b, c] = get(remote<same>(1), put(std::string("two")), put(3.0));
  CHECK(a == 1);
  CHECK(b == "two");
  CHECK(c == 3.0);
  CHECK(get(std::tuple(put(1), put('x')), patience) == std::tuple(1, 'x'));
}

TEST_CASE("get of a vector whose refs are the last ones moves the values") {
  std::vector<object_ref<std::unique_ptr<int>>> refs;
  for (int i = 0; i < 3; ++i) refs.push_back(put(std::make_unique<int>(i)));
  const auto values = get(std::move(refs));
  CHECK(*values[2] == 2);
}

TEST_CASE("get copies for a ref that stays and moves for one that goes") {
  const auto kept = put(tracked(5));
  const int copies = tracked::copies();
  CHECK(get(kept).value() == 5);
  CHECK(tracked::copies() == copies + 1);
  CHECK(get(put(tracked(6))).value() == 6);
  CHECK(tracked::copies() == copies + 1);
  auto gone = put(tracked(7));
  const auto other = gone;
  CHECK(get(std::move(gone)).value() == 7);
  CHECK(tracked::copies() == copies + 2);
  CHECK(get(other).value() == 7);
}

TEST_CASE("a view reads in place and keeps the object") {
  auto ref = put(tracked(1));
  const int copies = tracked::copies();
  {
    const auto seen = view(ref);
    ref = {};
    CHECK(seen->value() == 1);
    CHECK((*seen).value() == 1);
  }
  CHECK(tracked::copies() == copies);
  CHECK(tracked::alive() == 0);
}

TEST_CASE("an empty or moved-from ref is refused wherever it is used") {
  const object_ref<int> empty;
  CHECK_THROWS_AS(get(empty), std::invalid_argument);
  CHECK_THROWS_AS(empty.ready(), std::invalid_argument);
  CHECK_THROWS_AS(view(empty), std::invalid_argument);
  CHECK_THROWS_AS(troupe::cancel(empty), std::invalid_argument);
  CHECK_THROWS_AS(troupe::any_ref(empty), std::invalid_argument);
  CHECK_THROWS_AS(get(std::vector<object_ref<int>>(1)), std::invalid_argument);
  auto moved = put(1);
  const auto taken = std::move(moved);
  CHECK_THROWS_AS(get(moved), std::invalid_argument);  // NOLINT: that is the case
  CHECK(get(taken) == 1);
}

TEST_CASE("then runs on the value when it is there") {
  const auto session = start();
  const promise<int> later;
  const int factor = 3;
  const auto tripled = later.ref().then([factor](int x) { return x * factor; });
  const auto text = tripled.then([](const int& x) { return std::to_string(x); });
  CHECK_FALSE(text.ready());
  later.set(4);
  CHECK(fetch(text) == "12");
  const signal ran;
  fetch(remote<[] {}>().then([ran] { ran.raise(); }));
  CHECK(ran.count() == 1);
}

TEST_CASE("then passes a failure on without running, and its own upward") {
  const auto session = start();
  const signal ran;
  const auto skipped = remote<fail>(1).then([ran](int) { ran.raise(); });
  CHECK_THROWS_AS(fetch(skipped), std::out_of_range);
  CHECK(ran.count() == 0);
  const auto thrown = put(1).then([](int) -> int { throw std::domain_error("here"); });
  CHECK_THROWS_AS(fetch(thrown), std::domain_error);
}

TEST_CASE("then needs no CPU and may be moved in with what it holds") {
  const auto session = start(1);
  const signal go;
  constexpr auto busy = [](const signal& s) { return s.wait(); };
  const auto held = remote<busy>(go);
  auto pointer = std::make_unique<int>(40);
  const auto sum = put(2).then([p = std::move(pointer)](int x) { return *p + x; });
  CHECK(fetch(sum) == 42);
  go.raise();
  CHECK(fetch(held));
}

TEST_CASE("many continuations of one ref all run") {
  const auto session = start();
  const promise<int> later;
  std::vector<object_ref<int>> results;
  for (int i = 0; i < 1000; ++i) {
    results.push_back(later.ref().then([i](int x) { return x + i; }));
  }
  later.set(1);
  long sum = 0;
  for (const int x : fetch(results)) sum += x;
  CHECK(sum == 500'500);
}

TEST_CASE("an object of 10,000 refs is got with its refs") {
  const auto session = start();
  constexpr auto make = [](int n) {
    std::vector<object_ref<int>> refs;
    for (int i = 0; i < n; ++i) refs.push_back(remote<same>(i));
    return refs;
  };
  const auto refs = fetch(remote<make>(10'000));
  CHECK(fetch(refs).back() == 9999);
}
