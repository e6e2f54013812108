#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::task_cancelled_error;
using troupe::with;

namespace {

int add(int a, int b) { return a + b; }

void hold(const signal& began, const signal& go) {
  began.raise();
  go.wait();
}

template <class T>
void check_cancelled(const object_ref<T>& ref) {
  CHECK_THROWS_AS(fetch(ref), task_cancelled_error);
}

}  // namespace

TEST_CASE("a drain runs all tasks to their end, those that tasks start included") {
  std::vector<object_ref<int>> refs;
  object_ref<object_ref<int>> nested;
  {
    auto session = start();
    for (int i = 0; i < 1000; ++i) refs.push_back(remote<add>(i, 1));
    nested = remote<[] { return remote<[] { return troupe::get(remote<add>(40, 2)); }>(); }>();
    session.shutdown({.drain = true, .timeout = patience});
  }
  for (int i = 0; i < 1000; ++i) CHECK(troupe::get(refs[i]) == i + 1);
  CHECK(troupe::get(troupe::get(nested)) == 42);
}

TEST_CASE("a drain waits for suspended coroutines and retries") {
  const signal go;
  auto session = start();
  constexpr auto timed = []() -> async<int> {
    co_await troupe::after(2ms);
    co_return 1;
  };
  constexpr auto flaky = [] {
    if (troupe::this_task::attempt() < 3) throw std::runtime_error("again");
    return 2;
  };
  const auto a = remote<timed>();
  const auto b = with({.retry_exceptions = true, .retry_delay = 1ms}).remote<flaky>();
  session.shutdown({.drain = true, .timeout = patience});
  CHECK(troupe::get(a) == 1);
  CHECK(troupe::get(b) == 2);
}

TEST_CASE("a drain that takes too long becomes an abort") {
  const promise<int> never;
  auto session = start();
  const auto stuck = remote<add>(never.ref(), 1);
  const auto done = remote<add>(1, 1);
  fetch(done);
  session.shutdown({.drain = true, .timeout = 5ms});
  check_cancelled(stuck);
  CHECK(troupe::get(done) == 2);
}

TEST_CASE("code that does not stop is left behind at the deadline and the next runtime works") {
  const signal began;
  const signal go;
  const signal over;
  constexpr auto body = [](const signal& started, const signal& until, const signal& ended) {
    const at_end guard(ended);
    hold(started, until);
    try {
      troupe::sleep_for(1h);
    } catch (const task_cancelled_error&) {
    }
  };
  auto session = start();
  const auto stubborn = remote<body>(began, go, over);
  REQUIRE(began.wait());
  session.shutdown({.timeout = 5ms});
  CHECK_FALSE(troupe::is_initialized());
  check_cancelled(stubborn);
  session = start();
  CHECK(fetch(remote<add>(1, 2)) == 3);
  go.raise();
  CHECK(over.wait());
  CHECK(fetch(remote<add>(2, 2)) == 4);
}

TEST_CASE("code that was left behind finds no runtime for further calls") {
  const signal began;
  const signal go;
  const signal refused;
  constexpr auto body = [](const signal& started, const signal& until, const signal& thrown) {
    hold(started, until);
    try {
      troupe::get(remote<add>(1, 2));
    } catch (const troupe::connection_error&) {
      thrown.raise();
    }
  };
  auto session = start();
  const auto stubborn = remote<body>(began, go, refused);
  REQUIRE(began.wait());
  session.shutdown({.timeout = 5ms});
  go.raise();
  CHECK(refused.wait());
}
