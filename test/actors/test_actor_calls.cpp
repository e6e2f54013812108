#include <atomic>
#include <memory>
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
using troupe::actor_died_error;
using troupe::actor_handle;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct base {
  int inherited() { return 7; }
};

struct recorder : base {
  recorder() = default;
  explicit recorder(int first) : seen{first} {}
  int add(int value) {
    seen.push_back(value);
    return static_cast<int>(seen.size());
  }
  int over(int x) { return x; }
  std::string over(const std::string& x) { return x + "!"; }
  std::vector<int> all() const { return seen; }
  int fast() const noexcept { return 1; }
  void nothing() {}
  int bad(int) { throw std::out_of_range("no such index"); }
  std::tuple<int, std::string> both(int x) { return {x, std::to_string(x)}; }
  std::vector<int> seen;
};

struct alone {
  int enter() {
    if (inside.fetch_add(1) != 0) ++collisions;
    std::this_thread::yield();
    inside.fetch_sub(1);
    return collisions;
  }
  std::atomic<int> inside{0};
  int collisions = 0;
};

struct throws_at_birth {
  explicit throws_at_birth(int x) {
    if (x < 0) throw std::invalid_argument("negative start");
  }
  int method() { return 1; }
};

struct takes_both {
  takes_both(int value, object_ref<int> ref) : sum(value * 100 + troupe::get(ref)) {}
  int get_sum() const { return sum; }
  int sum;
};

int failing() { throw std::runtime_error("no input"); }
int five() { return 5; }

int use_handle(actor_handle<recorder> handle, int value) {
  return troupe::get(handle.remote<&recorder::add>(value));
}
actor_handle<recorder> make_recorder(int first) { return remote<recorder>(first); }

}  // namespace

TEST_CASE("calls of one caller run in the order in which they were made") {
  const auto session = start();
  const auto actor = remote<recorder>();
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 10'000; ++i) refs.push_back(actor.remote<&recorder::add>(i));
  const auto sizes = fetch(refs);
  for (int i = 0; i < 10'000; ++i) REQUIRE(sizes[static_cast<std::size_t>(i)] == i + 1);
  const auto all = fetch(actor.remote<&recorder::all>());
  for (int i = 0; i < 10'000; ++i) REQUIRE(all[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("an actor runs one call at a time, whoever calls") {
  const auto session = start(4);
  const auto actor = remote<alone>();
  std::vector<std::jthread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) actor.remote<&alone::enter>();
    });
  }
  callers.clear();
  CHECK(fetch(actor.remote<&alone::enter>()) == 0);
}

TEST_CASE("methods may be const, noexcept, void, inherited or overloaded") {
  const auto session = start();
  const auto actor = remote<recorder>();
  CHECK(fetch(actor.remote<&recorder::fast>()) == 1);
  CHECK_NOTHROW(fetch(actor.remote<&recorder::nothing>()));
  CHECK(fetch(actor.remote<&recorder::inherited>()) == 7);
  CHECK(fetch(actor.remote<static_cast<int (recorder::*)(int)>(&recorder::over)>(3)) == 3);
  constexpr auto text = static_cast<std::string (recorder::*)(const std::string&)>(&recorder::over);
  CHECK(fetch(actor.remote<text>("hi")) == "hi!");
}

TEST_CASE("each element of a method's tuple can be an object of its own") {
  const auto session = start();
  const auto actor = remote<recorder>();
  const auto [number, text] = actor.remote_each<&recorder::both>(42);
  CHECK(fetch(number) == 42);
  CHECK(fetch(text) == "42");
}

TEST_CASE("a method that throws does not kill the actor") {
  const auto session = start();
  const auto actor = remote<recorder>();
  const auto bad = actor.remote<&recorder::bad>(1);
  CHECK_THROWS_AS(fetch(bad), std::out_of_range);
  CHECK_THROWS_AS(fetch(bad), troupe::task_error);
  CHECK_THAT(message_of<troupe::task_error>([&] { fetch(bad); }), contains("recorder::bad"));
  CHECK(fetch(actor.remote<&recorder::add>(1)) == 1);
  CHECK(actor.alive());
}

TEST_CASE("the constructor's exception reaches every call as actor_died_error with its cause") {
  const auto session = start();
  const auto actor = remote<throws_at_birth>(-1);
  const auto early = actor.remote<&throws_at_birth::method>();
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(early); }), contains("negative start"));
  const auto late = actor.remote<&throws_at_birth::method>();
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(late); }), contains("negative start"));
  CHECK_THROWS_AS(fetch(actor.ready()), std::invalid_argument);
  CHECK(eventually([&] { return !actor.alive(); }));
}

TEST_CASE("constructor arguments may be values of objects or refs, as the parameter wants") {
  const auto session = start();
  const auto value = remote<five>();
  const auto actor = remote<takes_both>(value, value);
  CHECK(fetch(actor.remote<&takes_both::get_sum>()) == 505);
}

TEST_CASE("a constructor argument that failed is the cause of death") {
  const auto session = start();
  const auto actor = remote<recorder>(remote<failing>());
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(actor.remote<&recorder::fast>()); }),
             contains("no input"));
}

TEST_CASE("a call with a failed argument does not run and fails alike") {
  const auto session = start();
  const auto actor = remote<recorder>();
  CHECK_THROWS_AS(fetch(actor.remote<&recorder::add>(remote<failing>())), std::runtime_error);
  CHECK(fetch(actor.remote<&recorder::add>(1)) == 1);
}

TEST_CASE("a call that waits for its argument holds back its caller's later calls only") {
  const auto session = start();
  const auto actor = remote<recorder>();
  fetch(actor.ready());
  const promise<int> argument;
  const auto held = actor.remote<&recorder::add>(argument.ref());
  const auto behind = actor.remote<&recorder::add>(2);
  CHECK(fetch(remote<use_handle>(actor, 100)) == 1);  // another caller passes
  CHECK_FALSE(held.ready());
  CHECK_FALSE(behind.ready());
  argument.set(1);
  CHECK(fetch(held) == 2);
  CHECK(fetch(behind) == 3);
  CHECK(fetch(actor.remote<&recorder::all>()) == std::vector<int>{100, 1, 2});
}

TEST_CASE("handles are passed to tasks, returned by them and kept in containers") {
  const auto session = start();
  const auto made = fetch(remote<make_recorder>(1));
  std::vector<actor_handle<recorder>> handles(3, made);
  CHECK(fetch(remote<use_handle>(handles[2], 2)) == 2);
  CHECK(handles[0] == made);
  CHECK(fetch(handles[1].remote<&recorder::all>()) == std::vector<int>{1, 2});
}

TEST_CASE("an empty handle is refused with a clear error") {
  const auto session = start();
  const actor_handle<recorder> none;
  CHECK_THROWS_AS(none.remote<&recorder::fast>(), std::invalid_argument);
  CHECK_THROWS_AS(troupe::kill(none), std::invalid_argument);
  CHECK_FALSE(none);
}

TEST_CASE("one call more than max_pending_calls is refused, and accepted later") {
  const auto session = start();
  struct slow {
    int wait(const signal& go) { return go.wait() ? 1 : 0; }
  };
  const auto actor = with({.max_pending_calls = 3}).remote<slow>();
  const signal go;
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 3; ++i) refs.push_back(actor.remote<&slow::wait>(go));
  CHECK_THAT(message_of<troupe::pending_calls_limit_error>([&] { actor.remote<&slow::wait>(go); }),
             contains("max_pending_calls"));
  go.raise();
  fetch(refs);
  CHECK(eventually([&] { return actor.pending_calls() == 0; }));
  CHECK(fetch(actor.remote<&slow::wait>(go)) == 1);
}

TEST_CASE("a call is cancelled while it waits, and a running one is asked to stop") {
  const auto session = start();
  struct worker {
    int run(const signal& begun, std::stop_token stop) {
      begun.raise();
      while (!stop.stop_requested()) std::this_thread::yield();
      return 1;
    }
  };
  const auto actor = remote<worker>();
  const signal begun;
  const auto running = actor.remote<&worker::run>(begun);
  const auto queued = actor.remote<&worker::run>(begun);
  REQUIRE(begun.wait());
  CHECK(troupe::cancel(queued));
  CHECK_THROWS_AS(fetch(queued), troupe::task_cancelled_error);
  CHECK_THROWS_AS(troupe::cancel(running, {.force = true}), std::invalid_argument);
  CHECK(troupe::cancel(running));
  CHECK_THROWS_AS(fetch(running), troupe::task_cancelled_error);
  CHECK(eventually([&] { return actor.pending_calls() == 0; }));
  CHECK(begun.count() == 1);
}

TEST_CASE("a call's timeout ends it with task_timeout_error and a stop request") {
  const auto session = start();
  struct worker {
    int run(std::stop_token stop) {
      while (!stop.stop_requested()) std::this_thread::yield();
      return 1;
    }
    int quick() { return 2; }
  };
  const auto actor = remote<worker>();
  const auto late = actor.with({.timeout = 20ms}).remote<&worker::run>();
  CHECK_THROWS_AS(fetch(late), troupe::task_timeout_error);
  CHECK(fetch(actor.remote<&worker::quick>()) == 2);
}

TEST_CASE("this_actor throws outside of an actor") {
  const auto session = start();
  CHECK_FALSE(troupe::this_actor::running());
  CHECK_THROWS_AS(troupe::this_actor::id(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::exit(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::fail(), std::logic_error);
  CHECK_THROWS_AS(troupe::this_actor::handle<recorder>(), std::logic_error);
}
