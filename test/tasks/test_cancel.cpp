#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::task_cancelled_error;
using troupe::with;

namespace {

int one() { return 1; }

void mark(const signal& ran) { ran.raise(); }

/// Holds its CPU until it is told to go on, or asked to stop.
void hold(const signal& began, const signal& go) {
  began.raise();
  go.wait();
}

void spin_until_stopped(const signal& began, const signal& ended) {
  const at_end guard(ended);
  began.raise();
  while (!troupe::this_task::stop_requested()) std::this_thread::yield();
}

void sleep_long(const signal& began, const signal& ended) {
  const at_end guard(ended);
  began.raise();
  troupe::sleep_for(1h);
}

}  // namespace

TEST_CASE("a cancelled task that waits for a CPU never runs") {
  const auto session = start(1);
  const signal began;
  const signal go;
  const signal ran;
  const auto busy = remote<hold>(began, go);
  REQUIRE(began.wait());
  const auto pending = with({.name = "unlucky"}).remote<mark>(ran);
  CHECK(troupe::cancel(pending));
  CHECK(pending.failed());
  CHECK_THAT(message_of<task_cancelled_error>([&] { fetch(pending); }), contains("unlucky"));
  go.raise();
  fetch(busy);
  fetch(remote<one>());
  CHECK(ran.count() == 0);
}

TEST_CASE("a cancelled task that waits for its arguments never runs and frees them") {
  const auto session = start();
  const promise<int> later;
  const signal ran;
  constexpr auto body = [](int, const tracked&, const signal& s) { s.raise(); };
  const auto pending = remote<body>(later.ref(), tracked(1), ran);
  CHECK(troupe::cancel(pending));
  CHECK_THROWS_AS(fetch(pending), task_cancelled_error);
  CHECK(eventually([] { return tracked::alive() == 0; }));
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  later.set(1);
  fetch(remote<one>());
  CHECK(ran.count() == 0);
}

TEST_CASE("a running task sees its stop request and get returns before its code ends") {
  const auto session = start();
  const signal began;
  const signal go;
  const auto ref = remote<hold>(began, go);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK_THROWS_AS(fetch(ref), task_cancelled_error);
  CHECK(troupe::stats().pending_tasks == 1);
  go.raise();
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));

  const signal ended;
  const auto polite = remote<spin_until_stopped>(began, ended);
  REQUIRE(began.wait(2));
  CHECK(troupe::cancel(polite));
  CHECK(ended.wait());
}

TEST_CASE("what a cancelled task returns or throws later is not seen") {
  const auto session = start();
  const signal began;
  const signal go;
  constexpr auto returns = [](const signal& started, const signal& until) {
    started.raise();
    until.wait();
    return tracked(3);
  };
  constexpr auto throws = [](const signal& started, const signal& until) -> int {
    started.raise();
    until.wait();
    throw std::out_of_range("too late");
  };
  const auto a = remote<returns>(began, go);
  const auto b = remote<throws>(began, go);
  REQUIRE(began.wait(2));
  CHECK(troupe::cancel(a));
  CHECK(troupe::cancel(b));
  go.raise();
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK_THROWS_AS(fetch(a), task_cancelled_error);
  CHECK_THROWS_AS(fetch(b), task_cancelled_error);
  CHECK(tracked::alive() == 0);
}

TEST_CASE("recursive cancellation reaches children and grandchildren, pending and running") {
  const auto session = start(1);
  constexpr auto child = [](const signal& began, const signal& ended) {
    const auto grandchild = remote<sleep_long>(began, ended);
    troupe::get(grandchild, 1h);
  };
  constexpr auto parent = [child](const signal& began, const signal& ended, const signal& ran,
                                  object_ref<int> never) {
    const auto running = remote<child>(began, ended);
    const auto pending = remote<[](int, const signal& s) { s.raise(); }>(never, ran);
    troupe::get(running, 1h);
  };
  const signal began;
  const signal ended;
  const signal ran;
  const promise<int> never;
  const auto ref = remote<parent>(began, ended, ran, never.ref());
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  never.set(1);
  fetch(remote<one>());
  CHECK(ran.count() == 0);
}

TEST_CASE("children go on when cancellation is not recursive") {
  const auto session = start();
  constexpr auto child = [](object_ref<int> until, const signal& s) {
    troupe::get(until, 1h);
    s.raise();
  };
  constexpr auto parent = [child](const promise<int>& until, const signal& began,
                                  const signal& finished) {
    const auto running = remote<child>(until.ref(), finished);
    began.raise();
    troupe::get(running, 1h);
  };
  const promise<int> later;
  const signal began;
  const signal finished;
  const auto ref = remote<parent>(later, began, finished);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref, {.recursive = false}));
  CHECK_THROWS_AS(fetch(ref), task_cancelled_error);
  later.set(1);
  CHECK(finished.wait());
}

TEST_CASE("a child that a cancelled task starts is cancelled as its siblings were") {
  const auto session = start();
  const signal began;
  const signal ran;
  const signal ended;
  constexpr auto parent = [](const signal& started, const signal& child_ran, const signal& over) {
    started.raise();
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    const auto child = remote<mark>(child_ran);
    if (child.failed()) over.raise();
  };
  const auto ref = remote<parent>(began, ran, ended);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK(ran.count() == 0);
}

TEST_CASE("force gives the resources of a task back while its code goes on") {
  const auto session = start(1);
  const signal began;
  const signal go;
  const auto stubborn = remote<hold>(began, go);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(stubborn, {.force = true}));
  CHECK(fetch(remote<one>()) == 1);
  CHECK(troupe::stats().pending_tasks >= 1);
  go.raise();
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK(eventually([] { return troupe::available_resources()["CPU"] == 1.0; }));
}

TEST_CASE("cancelling twice, or what has ended, or what is no task, says so") {
  const auto session = start();
  const promise<int> never;
  const auto pending = remote<[](int x) { return x; }>(never.ref());
  CHECK(troupe::cancel(pending));
  CHECK_FALSE(troupe::cancel(pending));
  const auto done = remote<one>();
  CHECK(fetch(done) == 1);
  CHECK_FALSE(troupe::cancel(done));
  CHECK(fetch(done) == 1);
  CHECK_FALSE(troupe::cancel(troupe::put(1)));
  CHECK_FALSE(troupe::cancel(never.ref()));
}

TEST_CASE("the failure of a cancelled task passes on to those that need its result") {
  const auto session = start();
  const promise<int> never;
  const auto first = remote<[](int x) { return x; }>(never.ref());
  const auto second = remote<[](int x) { return x; }>(first);
  CHECK(troupe::cancel(troupe::any_ref(first)));
  CHECK_THROWS_AS(fetch(second), task_cancelled_error);
}

TEST_CASE("cancel races with the end of a task and one of them wins") {
  const auto session = start();
  for (int i = 0; i < 2000; ++i) {
    const auto ref = remote<one>();
    if (troupe::cancel(ref)) {
      CHECK_THROWS_AS(fetch(ref), task_cancelled_error);
    } else {
      CHECK(fetch(ref) == 1);
    }
  }
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}
