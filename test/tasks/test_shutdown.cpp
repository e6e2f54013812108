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
using troupe::generator;
using troupe::object_ref;
using troupe::remote;
using troupe::task_cancelled_error;
using troupe::with;

namespace {

int add(int a, int b) { return a + b; }

void spin_until_stopped(const signal& began, const signal& ended) {
  const at_end guard(ended);
  began.raise();
  while (!troupe::this_task::stop_requested()) std::this_thread::yield();
}

/// Suspends for ever, on a ref that the runtime knows nothing of.
async<int> suspend(object_ref<int> never, signal began, at_end) {
  began.raise();
  co_return co_await never;
}

generator<int> endless(at_end) {
  for (int i = 0;; ++i) co_yield i;
}

template <class T>
void check_cancelled(const object_ref<T>& ref) {
  CHECK_THROWS_AS(fetch(ref), task_cancelled_error);
}

}  // namespace

TEST_CASE("shutdown asks running tasks to stop and waits for them") {
  const signal began;
  const signal ended;
  object_ref<void> ref;
  {
    const auto session = start();
    ref = remote<spin_until_stopped>(began, ended);
    REQUIRE(began.wait());
  }
  CHECK(ended.count() == 1);
  check_cancelled(ref);
}

TEST_CASE("shutdown cancels tasks that are queued, whatever they ask for") {
  const signal began;
  const signal ended;
  std::vector<object_ref<int>> refs;
  {
    const auto session = start(1);
    const auto busy = remote<spin_until_stopped>(began, ended);
    REQUIRE(began.wait());
    for (int i = 0; i < 1000; ++i) refs.push_back(remote<add>(i, 1));
    for (int i = 0; i < 100; ++i) refs.push_back(with({.num_cpus = 0.5}).remote<add>(i, 1));
  }
  for (const auto& ref : refs) CHECK(ref.failed());
  check_cancelled(refs.front());
  check_cancelled(refs.back());
}

TEST_CASE("shutdown wakes tasks that are blocked, in whatever they wait for") {
  const promise<int> never;
  const signal began;
  std::vector<object_ref<void>> refs;
  {
    const auto session = start(1);
    constexpr auto gets = [](object_ref<int> r, const signal& s) {
      s.raise();
      troupe::get(r);
    };
    constexpr auto waits = [](object_ref<int> r, const signal& s) {
      s.raise();
      troupe::wait(std::vector{r});
    };
    constexpr auto sleeps = [](const signal& s) {
      s.raise();
      troupe::sleep_for(1h);
    };
    for (int i = 0; i < 5; ++i) {
      refs.push_back(remote<gets>(never.ref(), began));
      refs.push_back(remote<waits>(never.ref(), began));
      refs.push_back(remote<sleeps>(began));
    }
    REQUIRE(began.wait(15));
  }
  for (const auto& ref : refs) check_cancelled(ref);
}

TEST_CASE("shutdown cancels tasks that wait for arguments, and what waits for those") {
  const promise<int> never;
  object_ref<int> first;
  object_ref<int> second;
  {
    const auto session = start();
    first = remote<add>(never.ref(), 1);
    second = remote<add>(first, 1);
  }
  check_cancelled(first);
  check_cancelled(second);
  never.set(1);
}

TEST_CASE("shutdown ends suspended coroutines and their frames") {
  const promise<int> never;
  const signal began;
  const signal ended;
  std::vector<object_ref<int>> refs;
  {
    const auto session = start(1);
    for (int i = 0; i < 100; ++i)
      refs.push_back(remote<suspend>(never.ref(), began, at_end(ended)));
    REQUIRE(began.wait(100));
  }
  CHECK(ended.count() == 100);
  for (const auto& ref : refs) check_cancelled(ref);
}

TEST_CASE("shutdown ends paused generators and their streams") {
  const signal ended;
  auto session = start();
  auto stream = with({.backpressure = 2}).remote<endless>(at_end(ended));
  CHECK(fetch(*stream.next(patience)) == 0);
  session.shutdown();
  CHECK(ended.count() == 1);
  bool failed = false;
  while (const auto ref = stream.next(patience)) failed = ref->failed();
  CHECK(failed);
  check_cancelled(stream.completed());
}

TEST_CASE("a stream may outlive its runtime without having been read") {
  const signal ended;
  auto session = start();
  auto stream = remote<endless>(at_end(ended));
  session.shutdown();
  CHECK(ended.count() == 1);
}

TEST_CASE("shutdown drops attempts that are still to come") {
  const signal ran;
  object_ref<void> ref;
  {
    const auto session = start();
    constexpr auto body = [](const signal& s) {
      s.raise();
      throw std::runtime_error("again");
    };
    ref = with({.retry_exceptions = true, .retry_delay = 1h, .retry_max_delay = 1h})
              .remote<body>(ran);
    REQUIRE(ran.wait());
  }
  check_cancelled(ref);
  CHECK(ran.count() == 1);
}

TEST_CASE("shutdown fails timers that are still to come") {
  object_ref<void> later;
  {
    const auto session = start();
    later = troupe::after(1h);
  }
  check_cancelled(later);
}

TEST_CASE("shutdown wakes the user's threads that wait") {
  const promise<int> never;
  auto session = start();
  const auto pending = remote<add>(never.ref(), 1);
  const signal waiting;
  std::string said;
  {
    const std::jthread waiter([&] {
      waiting.raise();
      said = message_of<task_cancelled_error>([&] { fetch(pending); });
    });
    REQUIRE(waiting.wait());
    session.shutdown();
  }
  CHECK(said.find("cancelled") != std::string::npos);
}

TEST_CASE("a task that starts others while it is shut down ends with all of them") {
  for (int round = 0; round < 20; ++round) {
    auto session = start();
    struct tree {
      static void grow(int depth) {
        if (depth == 0) return;
        std::vector<object_ref<void>> children;
        for (int i = 0; i < 3; ++i) children.push_back(remote<[](int d) { grow(d); }>(depth - 1));
        troupe::get(children);
      }
    };
    const auto root = remote<[](int d) { tree::grow(d); }>(7);
    troupe::wait(std::vector{root}, {.timeout = std::chrono::microseconds(300 * round)});
    session.shutdown();
    CHECK(root.ready());
  }
}
