#include <atomic>
#include <chrono>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::task_cancelled_error;

namespace {

/// What a wait inside a cancelled task throws, by the way it waits.
template <class Wait>
void check_wait_is_woken(Wait) {
  const auto session = start();
  constexpr auto body = [](object_ref<int> never, const signal& began, const signal& woken) {
    began.raise();
    try {
      Wait{}(never);
    } catch (const task_cancelled_error&) {
      woken.raise();
      throw;
    }
  };
  const promise<int> never;
  const signal began;
  const signal woken;
  const auto ref = remote<body>(never.ref(), began, woken);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK_THROWS_AS(fetch(ref), task_cancelled_error);
  CHECK(woken.wait());
}

}  // namespace

TEST_CASE("a stop token tells and its callbacks run once") {
  const auto session = start();
  static std::atomic<int> called{0};
  called = 0;
  constexpr auto body = [](std::stop_token token, const signal& began, const signal& ended) {
    const std::stop_callback on_stop(token, [] { ++called; });
    began.raise();
    while (!token.stop_requested()) std::this_thread::yield();
    ended.raise();
  };
  const signal began;
  const signal ended;
  const auto ref = remote<body>(began, ended);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  REQUIRE(ended.wait());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK(called == 1);
}

TEST_CASE("a token from this_task and check_stop see the stop request, too") {
  const auto session = start();
  constexpr auto body = [](const signal& began, const signal& ended) {
    const std::stop_token token = troupe::this_task::stop_token();
    troupe::this_task::check_stop();
    began.raise();
    while (!token.stop_requested()) std::this_thread::yield();
    try {
      troupe::this_task::check_stop();
    } catch (const task_cancelled_error&) {
      ended.raise();
    }
  };
  const signal began;
  const signal ended;
  const auto ref = remote<body>(began, ended);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(ended.wait());
}

TEST_CASE("outside of a task nothing is cancelled and names are refused") {
  const auto session = start();
  CHECK_FALSE(troupe::this_task::running());
  CHECK_FALSE(troupe::this_task::stop_requested());
  CHECK_FALSE(troupe::this_task::stop_token().stop_possible());
  CHECK_NOTHROW(troupe::this_task::check_stop());
  CHECK_THROWS_AS(troupe::this_task::name(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_task::id(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_task::attempt(), std::logic_error);
}

TEST_CASE("a blocked get, wait, view, sleep, stream and take of a cancelled task throw") {
  check_wait_is_woken([](object_ref<int>& r) { troupe::get(r); });
  check_wait_is_woken([](object_ref<int>& r) { troupe::get(r, 1h); });
  check_wait_is_woken([](object_ref<int>& r) { troupe::view(r); });
  check_wait_is_woken([](object_ref<int>& r) { troupe::get(std::vector{r}); });
  check_wait_is_woken([](object_ref<int>& r) { troupe::get(r, troupe::put(1)); });
  check_wait_is_woken([](object_ref<int>& r) { troupe::wait(std::vector{r}); });
  check_wait_is_woken([](object_ref<int>& r) { troupe::wait(std::vector{r}, {.timeout = 1h}); });
  check_wait_is_woken([](object_ref<int>&) { troupe::sleep_for(1h); });
  check_wait_is_woken([](object_ref<int>& r) {
    for (const auto& done : troupe::as_completed(std::vector{r})) troupe::get(done);
  });
  check_wait_is_woken([](object_ref<int>& r) { troupe::get(remote<[](int x) { return x; }>(r)); });
}

TEST_CASE("a wait that begins after the stop request throws as well") {
  const auto session = start();
  const signal began;
  const signal refused;
  constexpr auto body = [](const signal& started, const signal& thrown) {
    started.raise();
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    try {
      troupe::sleep_for(1h);
    } catch (const task_cancelled_error&) {
      thrown.raise();
    }
  };
  const auto ref = remote<body>(began, refused);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(refused.wait());
}
