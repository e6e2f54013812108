// Killing actors and leaving from inside.
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
using troupe::actor_died_error;
using troupe::actor_handle;
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct worker {
  explicit worker(signal s = {}) : ended(std::move(s)) {}

  int work() { return ++runs; }
  int wait_for(object_ref<int> ref, signal entered) {
    entered.raise();
    return troupe::get(ref);
  }
  /// Code that knows nothing of troupe: sees the stop request, ends when it is told.
  int spin(signal entered, signal stopped, signal release) {
    entered.raise();
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    stopped.raise();
    release.wait();
    return 1;
  }
  int deaf(signal entered, signal release) {
    entered.raise();
    release.wait();
    return 1;
  }
  async<int> suspend(object_ref<int> ref, signal entered, at_end) {
    entered.raise();
    co_return co_await ref;
  }
  int leave() { troupe::this_actor::exit(); }
  int kill_itself() {
    troupe::kill(troupe::this_actor::handle<worker>());
    return 5;
  }
  int deep(int n, signal left) {
    const at_end frame(left);
    if (n > 0) return deep(n - 1, left) + 1;
    if (runs > 0) leave();
    return 0;
  }
  int leave_through_catch() {
    try {
      leave();
    } catch (const std::exception&) {
      return 1;
    }
    return 2;
  }

  at_end ended;
  int runs = 0;
};

struct from_number {
  explicit from_number(int n) : value(n) {}
  int read() const { return value; }
  int value;
};

struct leaves_at_birth {
  leaves_at_birth() { troupe::this_actor::exit(); }
  int work() { return 1; }
};

struct killer {
  void strike(actor_handle<worker> victim) { troupe::kill(victim); }
};

bool all_gone() {
  return eventually([] { return troupe::stats().live_actors == 0; });
}

}  // namespace

TEST_CASE("a killed actor is dead: its destructor runs and every further call fails") {
  const auto session = start();
  const signal ended;
  const auto w = remote<worker>(ended);
  CHECK(fetch(w.remote<&worker::work>()) == 1);
  troupe::kill(w);
  CHECK(ended.wait());
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(w.remote<&worker::work>()); }),
             contains("worker") && contains("killed"));
  CHECK(eventually([&] { return !w.alive(); }));
  CHECK(all_gone());
}

TEST_CASE("what is queued behind a killed call fails, and so does the call, at once") {
  const auto session = start();
  const signal entered;
  const signal stopped;
  const signal release;
  const auto w = remote<worker>();
  const auto running = w.remote<&worker::spin>(entered, stopped, release);
  std::vector<object_ref<int>> queued;
  for (int i = 0; i < 100; ++i) queued.push_back(w.remote<&worker::work>());
  REQUIRE(entered.wait());
  troupe::kill(w);
  CHECK_THROWS_AS(fetch(running), actor_died_error);  // while its code still runs
  CHECK(stopped.wait());
  release.raise();
  for (const auto& call : queued) CHECK_THROWS_AS(fetch(call), actor_died_error);
}

TEST_CASE("what waits in any way fails at once, though a deaf method goes on") {
  const auto session = start();
  const signal entered;
  const signal release;
  const auto w = remote<worker>();
  const promise<int> never;
  const auto suspended = w.remote<&worker::suspend>(never.ref(), entered, at_end(signal()));
  const auto running = w.remote<&worker::deaf>(entered, release);
  const auto queued = w.remote<&worker::work>();
  const auto held = w.remote<&worker::wait_for>(never.ref(), promise<signal>().ref());
  const auto behind = w.remote<&worker::work>();
  REQUIRE(entered.wait(2));
  troupe::kill(w);
  const auto late = w.remote<&worker::work>();
  for (const auto& call : {running, queued, held, behind, late, suspended}) {
    CHECK_THROWS_AS(fetch(call), actor_died_error);
  }
  release.raise();
  CHECK(all_gone());
}

TEST_CASE("a killed method that waits in troupe is woken") {
  const auto session = start();
  const signal entered;
  const signal ended;
  const promise<int> never;
  const auto w = remote<worker>(ended);
  const auto running = w.remote<&worker::wait_for>(never.ref(), entered);
  REQUIRE(entered.wait());
  troupe::kill(w);
  CHECK_THROWS_AS(fetch(running), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("a suspended coroutine method of a killed actor fails and its frame goes") {
  const auto session = start();
  const signal entered;
  const signal ended;
  const signal frame;
  const promise<int> never;
  const auto w = remote<worker>(ended);
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(w.remote<&worker::suspend>(never.ref(), entered, at_end(frame)));
  }
  REQUIRE(entered.wait(20));
  troupe::kill(w);
  for (const auto& call : calls) CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK(frame.wait(20));
  CHECK(ended.wait());
  never.set(1);  // wakes nobody
  CHECK(all_gone());
}

TEST_CASE("an actor that waits for its constructor arguments can be killed") {
  const auto session = start();
  const promise<int> never;
  const auto p = remote<from_number>(never.ref());
  const auto call = p.remote<&from_number::read>();
  troupe::kill(p);
  CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK_THROWS_AS(fetch(p.ready()), actor_died_error);
  CHECK_THROWS_AS(fetch(p.remote<&from_number::read>()), actor_died_error);
  CHECK(all_gone());
}

TEST_CASE("a call whose arguments never come fails with its killed actor") {
  const auto session = start();
  const promise<int> never;
  const auto w = remote<worker>();
  const auto blocked = w.remote<&worker::wait_for>(never.ref(), signal());
  const auto held = remote<from_number>(1).remote<&from_number::read>();
  CHECK(fetch(held) == 1);
  troupe::kill(w);
  CHECK_THROWS_AS(fetch(blocked), actor_died_error);
}

TEST_CASE("killing twice, or a dead actor, does nothing more") {
  const auto session = start();
  const signal ended;
  const auto w = remote<worker>(ended);
  fetch(w.remote<&worker::work>());
  troupe::kill(w);
  troupe::kill(w);
  CHECK(ended.wait());
  CHECK(all_gone());
  troupe::kill(w);
  CHECK_THROWS_AS(fetch(w.remote<&worker::work>()), actor_died_error);
  CHECK(ended.count() == 1);
}

TEST_CASE("an actor can kill itself: its own call fails, too") {
  const auto session = start();
  const signal ended;
  const auto w = remote<worker>(ended);
  CHECK_THROWS_AS(fetch(w.remote<&worker::kill_itself>()), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("an actor can kill another") {
  const auto session = start();
  const signal ended;
  const auto w = remote<worker>(ended);
  fetch(remote<killer>().remote<&killer::strike>(w));
  CHECK_THROWS_AS(fetch(w.remote<&worker::work>()), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("exit from inside ends the actor: its caller and what is queued fail with that") {
  const auto session = start();
  const signal ended;
  const auto w = remote<worker>(ended);
  const auto before = w.remote<&worker::work>();
  const signal left;
  const auto leaving = w.remote<&worker::deep>(10, left);
  const auto behind = w.remote<&worker::work>();
  CHECK(fetch(before) == 1);
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(leaving); }), contains("exit()"));
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(behind); }), contains("exit()"));
  CHECK(left.count() == 11);
  CHECK(ended.wait());
  CHECK(all_gone());
}

TEST_CASE("exit unwinds the method's frames and is no exception that it could catch") {
  const auto session = start();
  const auto w = remote<worker>();
  CHECK_THROWS_AS(fetch(w.remote<&worker::leave_through_catch>()), actor_died_error);
}

TEST_CASE("an actor that exits in its constructor is dead") {
  const auto session = start();
  const auto l = remote<leaves_at_birth>();
  CHECK_THROWS_AS(fetch(l.remote<&leaves_at_birth::work>()), actor_died_error);
  CHECK_THROWS_AS(fetch(l.ready()), actor_died_error);
  CHECK(all_gone());
}
