// Bounds on an actor's calls, timeouts and cancellation of calls, resources that actors hold.
#include <atomic>
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
using troupe::async;
using troupe::object_ref;
using troupe::pending_calls_limit_error;
using troupe::remote;
using troupe::task_cancelled_error;
using troupe::task_timeout_error;
using troupe::with;

namespace {

int child(object_ref<int> gate, signal entered) {
  entered.raise();
  return troupe::get(gate);
}

struct worker {
  int work() { return ++runs; }
  int wait_for(object_ref<int> gate, signal entered) {
    entered.raise();
    return troupe::get(gate);
  }
  int spin(signal entered, signal stopped) {
    entered.raise();
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    stopped.raise();
    return 1;
  }
  int with_child(object_ref<int> gate, signal entered) {
    return troupe::get(remote<child>(gate, entered));
  }
  async<int> suspend(object_ref<int> gate) { co_return co_await gate; }
  int runs = 0;
};

double free_of(const std::string& name) { return troupe::available_resources()[name]; }

}  // namespace

// -- max_pending_calls ----------------------------------------------------------------------------

TEST_CASE("one call above max_pending_calls is an error, and the actor recovers") {
  const auto session = start();
  const auto w = with({.max_pending_calls = 3}).remote<worker>();
  const promise<int> gate;
  std::vector<object_ref<int>> calls;
  calls.push_back(w.remote<&worker::wait_for>(gate.ref(), signal()));
  calls.push_back(w.remote<&worker::work>());
  calls.push_back(w.remote<&worker::work>());
  CHECK(w.pending_calls() == 3);
  for (int i = 0; i < 3; ++i) {
    CHECK_THAT(message_of<pending_calls_limit_error>([&] { w.remote<&worker::work>(); }),
               contains("worker") && contains("max_pending_calls") && contains("3"));
  }
  CHECK(w.pending_calls() == 3);
  gate.set(0);
  fetch(calls);
  CHECK(eventually([&] { return w.pending_calls() == 0; }));
  CHECK(fetch(w.remote<&worker::work>()) == 3);
}

TEST_CASE("the session bounds the calls of an actor that has no bound of its own") {
  const auto session =
      troupe::init({.num_cpus = 2, .log_level = troupe::log_level::off, .max_pending = 2});
  const auto w = remote<worker>();
  const promise<int> gate;
  const auto a = w.remote<&worker::wait_for>(gate.ref(), signal());
  const auto b = w.remote<&worker::work>();
  CHECK_THROWS_AS(w.remote<&worker::work>(), pending_calls_limit_error);
  gate.set(0);
  CHECK(fetch(b) == 1);
}

TEST_CASE("under many callers no more calls wait than the bound, and none is lost") {
  const auto session = start();
  const auto w = with({.max_pending_calls = 5}).remote<worker>();
  std::atomic<int> accepted{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        try {
          w.remote<&worker::work>();
          ++accepted;
        } catch (const pending_calls_limit_error&) {
        }
      }
    });
  }
  threads.clear();
  CHECK(eventually([&] { return w.pending_calls() == 0; }));
  CHECK(fetch(w.remote<&worker::work>()) == accepted + 1);
}

// -- timeouts -------------------------------------------------------------------------------------

TEST_CASE("a call that does not end within its timeout fails with that and gets a stop request") {
  const auto session = start();
  const auto w = remote<worker>();
  const signal entered;
  const signal stopped;
  const auto call = w.with({.timeout = 5ms}).remote<&worker::spin>(entered, stopped);
  CHECK_THAT(message_of<task_timeout_error>([&] { fetch(call); }), contains("spin"));
  CHECK(stopped.wait());
  CHECK(fetch(w.remote<&worker::work>()) == 1);
}

TEST_CASE("a timeout counts while the call is queued, or waits for arguments, or is suspended") {
  const auto session = start();
  const auto w = remote<worker>();
  const promise<int> gate;
  const auto brief = w.with({.timeout = 5ms});
  const auto suspended = brief.remote<&worker::suspend>(gate.ref());
  CHECK_THROWS_AS(fetch(suspended), task_timeout_error);
  const auto running = w.remote<&worker::wait_for>(gate.ref(), signal());
  const auto queued = brief.remote<&worker::work>();
  CHECK_THROWS_AS(fetch(queued), task_timeout_error);
  const promise<signal> never;
  const auto waiting = brief.remote<&worker::wait_for>(gate.ref(), never.ref());
  CHECK_THROWS_AS(fetch(waiting), task_timeout_error);
  gate.set(4);
  CHECK(fetch(running) == 4);
  CHECK(fetch(w.remote<&worker::work>()) == 1);  // the queued one never ran
}

TEST_CASE("a call that ends in time is not touched by its timeout") {
  const auto session = start();
  const auto w = remote<worker>();
  CHECK(fetch(w.with({.timeout = 60s}).remote<&worker::work>()) == 1);
  CHECK(w.alive());
}

// -- cancel ---------------------------------------------------------------------------------------

TEST_CASE("a queued call that is cancelled never runs") {
  const auto session = start();
  const auto w = remote<worker>();
  const promise<int> gate;
  const auto running = w.remote<&worker::wait_for>(gate.ref(), signal());
  const auto queued = w.remote<&worker::work>();
  CHECK(troupe::cancel(queued));
  CHECK_FALSE(troupe::cancel(queued));
  CHECK_THROWS_AS(fetch(queued), task_cancelled_error);
  gate.set(0);
  fetch(running);
  CHECK(fetch(w.remote<&worker::work>()) == 1);
}

TEST_CASE("a running call that is cancelled is asked to stop; its ref fails at once") {
  const auto session = start();
  const auto w = remote<worker>();
  const signal entered;
  const signal stopped;
  const auto spinning = w.remote<&worker::spin>(entered, stopped);
  REQUIRE(entered.wait());
  CHECK(troupe::cancel(spinning));
  CHECK_THROWS_AS(fetch(spinning), task_cancelled_error);
  CHECK(stopped.wait());
  const auto blocked = w.remote<&worker::wait_for>(promise<int>().ref(), entered);
  REQUIRE(entered.wait(2));
  CHECK(troupe::cancel(blocked));
  CHECK(fetch(w.remote<&worker::work>()) == 1);  // the wait was woken, the actor goes on
}

TEST_CASE("a call that has its result cannot be cancelled") {
  const auto session = start();
  const auto w = remote<worker>();
  const auto call = w.remote<&worker::work>();
  fetch(call);
  CHECK_FALSE(troupe::cancel(call));
  CHECK(fetch(call) == 1);
}

TEST_CASE("force is not for calls of actors") {
  const auto session = start();
  const auto w = remote<worker>();
  const promise<int> gate;
  const auto call = w.remote<&worker::wait_for>(gate.ref(), signal());
  CHECK_THAT(message_of<std::invalid_argument>([&] { troupe::cancel(call, {.force = true}); }),
             contains("kill"));
  gate.set(2);
  CHECK(fetch(call) == 2);
}

TEST_CASE("cancelling a call cancels the tasks that it started, unless told otherwise") {
  const auto session = start();
  const auto w = remote<worker>();
  const signal entered;
  const promise<int> gate;
  const auto all = w.remote<&worker::with_child>(gate.ref(), entered);
  REQUIRE(entered.wait());
  CHECK(troupe::cancel(all));
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  const auto alone = w.remote<&worker::with_child>(gate.ref(), entered);
  REQUIRE(entered.wait(2));
  CHECK(troupe::cancel(alone, {.recursive = false}));
  CHECK_THROWS_AS(fetch(alone), task_cancelled_error);
  CHECK(troupe::stats().pending_tasks == 1);
  gate.set(1);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

// -- resources ------------------------------------------------------------------------------------

TEST_CASE("an actor holds its resources for life and gives them back at its end") {
  const auto session = troupe::init({.num_cpus = 4,
                                     .num_gpus = 2,
                                     .resources = {{"license", 1}},
                                     .log_level = troupe::log_level::off});
  {
    const auto w =
        with({.num_cpus = 1.5, .num_gpus = 0.5, .resources = {{"license", 1}}}).remote<worker>();
    CHECK(fetch(w.remote<&worker::work>()) == 1);
    CHECK(free_of("CPU") == 2.5);
    CHECK(free_of("GPU") == 1.5);
    CHECK(free_of("license") == 0);
    const auto more = with({.resources = {{"license", 1}}}).remote<worker>();
    const auto waits = more.remote<&worker::work>();
    CHECK(troupe::list_actors().back().state == "pending");
    troupe::kill(w);
    CHECK(fetch(waits) == 1);
  }
  CHECK(eventually([] { return free_of("license") == 1; }));
  CHECK(free_of("CPU") == 4);
  CHECK(free_of("GPU") == 2);
}

TEST_CASE("an actor that waits for resources can be killed, and takes none") {
  const auto session =
      troupe::init({.num_cpus = 1, .num_gpus = 1, .log_level = troupe::log_level::off});
  const auto first = with({.num_gpus = 1}).remote<worker>();
  fetch(first.remote<&worker::work>());
  const auto second = with({.num_gpus = 1}).remote<worker>();
  const auto third = with({.num_gpus = 1}).remote<worker>();
  const auto call = second.remote<&worker::work>();
  troupe::kill(second);
  CHECK_THROWS_AS(fetch(call), troupe::actor_died_error);
  troupe::kill(first);
  CHECK(fetch(third.remote<&worker::work>()) == 1);
  troupe::kill(third);
  CHECK(eventually([] { return free_of("GPU") == 1; }));
}
