// Monitors: who learns of an actor's end.
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
using troupe::exit_info;
using troupe::exit_reason;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct mortal {
  int work() { return 1; }
  void leave() { troupe::this_actor::exit(); }
  void fail() { troupe::this_actor::fail("tired"); }
};
struct stillborn {
  stillborn() { throw std::runtime_error("stillborn"); }
};

/// What a watch saw, as an object.
class report {
 public:
  auto watcher() const {
    return [told = told_, calls = calls_](const exit_info& info) {
      calls.raise();
      told.set(info);
    };
  }
  exit_info wait() const { return fetch(told_.ref()); }
  std::size_t count() const { return calls_.count(); }

 private:
  promise<exit_info> told_;
  signal calls_;
};

struct watcher {
  void watch(actor_handle<mortal> m) {
    mon = troupe::on_exit(m, [this](const exit_info& info) {
      ++deaths;  // a message of this actor: no other method runs
      running = troupe::this_actor::running();
      last = info.message;
    });
  }
  void unwatch() { mon.cancel(); }
  int count() const { return deaths; }
  bool was_running() const { return running; }
  std::string what() const { return last; }
  int wait_for(object_ref<int> ref, signal entered) {
    entered.raise();
    const int before = deaths;
    const int value = troupe::get(ref);
    return deaths == before ? value : -1;
  }
  troupe::monitor mon;
  int deaths = 0;
  bool running = false;
  std::string last;
};

template <class T>
bool dies(const actor_handle<T>& actor) {
  return eventually([&] { return !actor.alive(); });
}

}  // namespace

TEST_CASE("a monitor tells which actor ended, and why") {
  const auto session = start();
  const report r;
  const auto m = with({.name = "m"}).remote<mortal>();
  troupe::on_exit(m, r.watcher());
  m.remote<&mortal::fail>();
  const exit_info end = r.wait();
  CHECK(end.id == m.id());
  CHECK(end.name == "m");
  CHECK(end.reason == exit_reason::failed);
  CHECK_THAT(end.message, contains("tired"));
}

TEST_CASE("each way to end has its reason") {
  const auto session = start();
  const report killed;
  const report left;
  const report scope;
  const report unborn;
  const auto a = remote<mortal>();
  troupe::on_exit(a, killed.watcher());
  troupe::kill(a);
  CHECK(killed.wait().reason == exit_reason::killed);
  const auto b = remote<mortal>();
  troupe::on_exit(b, left.watcher());
  b.remote<&mortal::leave>();
  CHECK(left.wait().reason == exit_reason::exited);
  troupe::on_exit(remote<mortal>(), scope.watcher());
  CHECK(scope.wait().reason == exit_reason::out_of_scope);
  troupe::on_exit(remote<stillborn>(), unborn.watcher());
  CHECK(unborn.wait().reason == exit_reason::constructor_threw);
  CHECK(troupe::is_abnormal(exit_reason::killed));
  CHECK_FALSE(troupe::is_abnormal(exit_reason::exited));
}

TEST_CASE("an actor without handles that exits or fails in its last call ends of that") {
  const auto session = start();
  for (int round = 0; round < 50; ++round) {
    const report left;
    const report failed;
    {
      const auto a = remote<mortal>();
      const auto b = remote<mortal>();
      troupe::on_exit(a, left.watcher());
      troupe::on_exit(b, failed.watcher());
      a.remote<&mortal::leave>();
      b.remote<&mortal::fail>();
    }
    REQUIRE(left.wait().reason == exit_reason::exited);
    REQUIRE(failed.wait().reason == exit_reason::failed);
  }
}

TEST_CASE("a monitor set after the death fires at once") {
  const auto session = start();
  const auto m = remote<mortal>();
  troupe::kill(m);
  CHECK(dies(m));
  const report r;
  troupe::on_exit(m, r.watcher());
  CHECK(r.wait().reason == exit_reason::killed);
}

TEST_CASE("every monitor of an actor fires, once") {
  const auto session = start();
  const auto m = remote<mortal>();
  const std::vector<report> all(50);
  for (const auto& r : all) troupe::on_exit(m, r.watcher());
  troupe::kill(m);
  for (const auto& r : all) r.wait();
  for (const auto& r : all) CHECK(r.count() == 1);
}

TEST_CASE("a cancelled monitor does not fire") {
  const auto session = start();
  const auto m = remote<mortal>();
  const report cancelled;
  const report kept;
  auto mon = troupe::on_exit(m, cancelled.watcher());
  troupe::on_exit(m, kept.watcher());
  mon.cancel();
  mon.cancel();
  troupe::kill(m);
  kept.wait();
  CHECK(cancelled.count() == 0);
  troupe::monitor().cancel();
}

TEST_CASE("a restart is no end: a monitor fires when the actor is gone for good") {
  const auto session = start();
  const report r;
  const auto m = with({.max_restarts = 2}).remote<mortal>();
  troupe::on_exit(m, r.watcher());
  m.remote<&mortal::fail>();
  m.remote<&mortal::fail>();
  CHECK(fetch(m.remote<&mortal::work>()) == 1);
  CHECK(r.count() == 0);
  m.remote<&mortal::fail>();
  CHECK(r.wait().reason == exit_reason::failed);
}

TEST_CASE("set inside an actor, a monitor's function runs as a message of that actor") {
  const auto session = start();
  const auto w = remote<watcher>();
  const auto m = remote<mortal>();
  fetch(w.remote<&watcher::watch>(m));
  const promise<int> gate;
  const signal entered;
  const auto busy = w.remote<&watcher::wait_for>(gate.ref(), entered);
  REQUIRE(entered.wait());
  troupe::kill(m);
  CHECK(dies(m));
  gate.set(7);
  CHECK(fetch(busy) == 7);
  CHECK(eventually([&] { return fetch(w.remote<&watcher::count>()) == 1; }));
  CHECK(fetch(w.remote<&watcher::was_running>()));
  CHECK_THAT(fetch(w.remote<&watcher::what>()), contains("killed"));
}

TEST_CASE("a watcher that has ended is not told, and one that cancels is not either") {
  const auto session = start();
  const auto m = remote<mortal>();
  {
    const auto gone = remote<watcher>();
    fetch(gone.remote<&watcher::watch>(m));
  }
  const auto w = remote<watcher>();
  fetch(w.remote<&watcher::watch>(m));
  fetch(w.remote<&watcher::unwatch>());
  const report r;
  troupe::on_exit(m, r.watcher());
  troupe::kill(m);
  r.wait();
  CHECK(fetch(w.remote<&watcher::count>()) == 0);
}

TEST_CASE("a function of on_exit that throws harms nobody") {
  const auto session = start();
  const auto m = remote<mortal>();
  const report r;
  troupe::on_exit(m, [](const exit_info&) { throw std::runtime_error("clumsy"); });
  troupe::on_exit(m, r.watcher());
  troupe::kill(m);
  r.wait();
}

TEST_CASE("monitors that race with the death fire exactly once each") {
  const auto session = start();
  for (int round = 0; round < 200; ++round) {
    const auto m = remote<mortal>();
    const std::vector<report> all(4);
    {
      std::jthread killer([&] { troupe::kill(m); });
      for (const auto& r : all) troupe::on_exit(m, r.watcher());
    }
    for (const auto& r : all) REQUIRE(r.wait().reason == exit_reason::killed);
    for (const auto& r : all) REQUIRE(r.count() == 1);
  }
}
