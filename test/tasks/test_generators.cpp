#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::generator;
using troupe::get;
using troupe::object_ref;
using troupe::object_stream;
using troupe::remote;
using troupe::with;

namespace {

generator<int> count_to(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
}

std::atomic<int> made{0};
generator<int> counted_for_ever(at_end) {
  for (int i = 0;; ++i) {
    made = i + 1;
    co_yield i;
  }
}

generator<int> gated(signal go) {
  co_yield 1;
  go.wait();
  co_yield 2;
}

template <class T>
std::vector<T> values(object_stream<T> stream) {
  std::vector<T> all;
  while (auto ref = stream.next(patience)) all.push_back(fetch(*ref));
  return all;
}

}  // namespace

TEST_CASE("a generator gives its results in order and then ends") {
  const auto session = start();
  int expected = 0;
  for (const object_ref<int>& ref : remote<count_to>(10'000)) CHECK(fetch(ref) == expected++);
  CHECK(expected == 10'000);
}

TEST_CASE("a generator without results ends at once") {
  const auto session = start();
  auto stream = remote<count_to>(0);
  CHECK_FALSE(stream.next(patience));
  CHECK_FALSE(stream.next(patience));
  fetch(stream.completed());
}

TEST_CASE("results arrive while the generator runs") {
  const auto session = start();
  const signal go;
  auto stream = remote<gated>(go);
  auto first = stream.next(patience);
  REQUIRE(first);
  CHECK(fetch(*first) == 1);
  CHECK_FALSE(stream.completed().ready());
  go.raise();
  auto second = stream.next(patience);
  REQUIRE(second);
  CHECK(fetch(*second) == 2);
  CHECK_FALSE(stream.next(patience));
  fetch(stream.completed());
}

TEST_CASE("next gives up at its timeout and the stream goes on") {
  const auto session = start();
  const signal go;
  auto stream = remote<gated>(go);
  fetch(*stream.next(patience));
  CHECK_THROWS_AS(stream.next(1ms), troupe::get_timeout_error);
  go.raise();
  CHECK(fetch(*stream.next(patience)) == 2);
}

TEST_CASE("a generator is never further ahead than its bound") {
  const auto session = start();
  made = 0;
  const signal ended;
  auto stream = with({.backpressure = 4}).remote<counted_for_ever>(at_end(ended));
  CHECK(eventually([] { return made == 4; }));
  for (int consumed = 1; consumed <= 100; ++consumed) {
    CHECK(fetch(*stream.next(patience)) == consumed - 1);
    CHECK(made <= consumed + 4);
  }
  CHECK(eventually([] { return made >= 102; }));
}

TEST_CASE("the session's bound holds for generators that are given none") {
  const auto session = troupe::init(
      {.num_cpus = 1, .log_level = troupe::log_level::off, .generator_backpressure = 7});
  made = 0;
  const signal ended;
  auto stream = remote<counted_for_ever>(at_end(ended));
  CHECK(eventually([] { return made == 7; }));
  fetch(*stream.next(patience));
  CHECK(made <= 8);
}

TEST_CASE("a paused generator holds neither CPU nor thread") {
  const auto session = start(1);
  made = 0;
  const signal ended;
  auto stream = with({.backpressure = 1}).remote<counted_for_ever>(at_end(ended));
  fetch(*stream.next(patience));
  CHECK(eventually([] { return troupe::available_resources().at("CPU") == 1.0; }));
  CHECK(troupe::stats().blocked_threads == 0);
  CHECK(fetch(remote<[] { return 5; }>()) == 5);
}

TEST_CASE("available is a ref to wait for with others") {
  const auto session = start();
  const signal go;
  auto stream = remote<gated>(go);
  fetch(*stream.next(patience));
  const promise<int> other;
  const object_ref<void> more = stream.available();
  other.set(1);
  auto [ready, rest] = troupe::wait({more, other.ref()}, {.timeout = patience});
  REQUIRE(ready.size() == 1);
  CHECK(ready.front() == troupe::any_ref(other.ref()));
  go.raise();
  fetch(more);
  CHECK(fetch(*stream.next()) == 2);
  fetch(stream.available());
  CHECK_FALSE(stream.next());
}

TEST_CASE("a coroutine consumes a stream without a thread") {
  const auto session = start(1);
  constexpr auto consumer = [](int n) -> troupe::async<int> {
    auto stream = remote<count_to>(n);
    int sum = 0;
    for (;;) {
      co_await stream.available();
      const auto ref = stream.next();
      if (!ref) co_return sum;
      sum += co_await *ref;
    }
  };
  CHECK(fetch(remote<consumer>(1000)) == 499'500);
}

TEST_CASE("a generator awaits refs between its results") {
  const auto session = start(1);
  constexpr auto squares = [](std::vector<object_ref<int>> inputs) -> generator<int> {
    for (const auto& input : inputs) {
      const int x = co_await input;
      co_yield x* x;
    }
  };
  std::vector<promise<int>> inputs(3);
  std::vector<object_ref<int>> refs;
  for (const auto& input : inputs) refs.push_back(input.ref());
  auto stream = remote<squares>(refs);
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(stream.available().ready());
    inputs[i].set(i + 2);
    CHECK(fetch(*stream.next(patience)) == (i + 2) * (i + 2));
  }
  CHECK_FALSE(stream.next(patience));
}

TEST_CASE("a generator blocks in get between its results") {
  const auto session = start(1);
  constexpr auto body = [](int n) -> generator<int> {
    for (int i = 0; i < n; ++i) co_yield get(remote<[](int x) { return x + 100; }>(i));
  };
  CHECK(values(remote<body>(3)) == std::vector<int>{100, 101, 102});
}

TEST_CASE("a task consumes a stream in a blocking loop on one CPU") {
  const auto session = start(1);
  constexpr auto total = [](int n) {
    int sum = 0;
    for (const auto& ref : remote<count_to>(n)) sum += get(ref);
    return sum;
  };
  CHECK(fetch(remote<total>(500)) == 124'750);
}

TEST_CASE("results are arguments of tasks as they come") {
  const auto session = start();
  constexpr auto doubled = [](int x) { return 2 * x; };
  std::vector<object_ref<int>> results;
  for (const auto& ref : remote<count_to>(100)) results.push_back(remote<doubled>(ref));
  int sum = 0;
  for (const int x : fetch(results)) sum += x;
  CHECK(sum == 9900);
}

TEST_CASE("move-only results are moved out of the last ref") {
  const auto session = start();
  constexpr auto body = []() -> generator<std::unique_ptr<int>> {
    co_yield std::make_unique<int>(7);
  };
  auto stream = remote<body>();
  auto ref = stream.next(patience);
  CHECK(*fetch(std::move(*ref)) == 7);
}

TEST_CASE("many generators share one CPU") {
  const auto session = start(1);
  std::vector<object_stream<int>> streams;
  for (int i = 0; i < 200; ++i) {
    streams.push_back(with({.backpressure = 1}).remote<count_to>(20));
  }
  int sum = 0;
  for (int i = 0; i < 20; ++i) {
    for (auto& stream : streams) sum += fetch(*stream.next(patience));
  }
  CHECK(sum == 200 * 190);
  for (auto& stream : streams) CHECK_FALSE(stream.next(patience));
}
