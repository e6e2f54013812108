#include <atomic>
#include <latch>
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
using troupe::actor_handle;
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct meeting {
  /// Returns when `count` calls are inside at once.
  int meet(int count) {
    if (++inside == count) all_here.raise();
    return all_here.wait() ? inside.load() : -1;
  }
  bool knock() const { return true; }
  std::atomic<int> inside{0};
  signal all_here;
};

struct diary {
  async<int> wait_for(object_ref<int> ref) {
    lines.push_back("begin");
    const int value = co_await ref;
    lines.push_back("end");
    co_return value;
  }
  int note() {
    lines.push_back("note");
    return static_cast<int>(lines.size());
  }
  async<int> fail_after(object_ref<int> ref) {
    co_await ref;
    troupe::this_actor::fail("after the wait");
    co_return 0;
  }
  int crash() { troupe::this_actor::fail("on purpose"); }
  async<int> once(object_ref<int> ref) {
    if (troupe::this_actor::restarts() > 0) co_return 77;
    co_return co_await ref;
  }
  std::vector<std::string> all() const { return lines; }
  std::vector<std::string> lines;
};

struct ticker {
  void start(const signal& ticked, std::chrono::milliseconds period) {
    timer = troupe::this_actor::send_every<&ticker::tick>(period, ticked);
  }
  void later(const signal& ticked) { troupe::this_actor::send_later<&ticker::tick>(1ms, ticked); }
  void stop() { timer.cancel(); }
  void tick(const signal& ticked) {
    ++ticks;
    ticked.raise();
  }
  int count() const { return ticks; }
  troupe::timer timer;
  int ticks = 0;
};

struct flaky {
  int call() {
    if (++calls < 3) throw std::runtime_error("not yet");
    return calls;
  }
  int calls = 0;
};

}  // namespace

TEST_CASE("max_concurrency lets so many methods run at once") {
  const auto session = start(2);
  const auto actor = with({.max_concurrency = 8}).remote<meeting>();
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 8; ++i) refs.push_back(actor.remote<&meeting::meet>(8));
  for (const int n : fetch(refs)) CHECK(n == 8);
}

TEST_CASE("a blocked concurrency group does not block the others") {
  const auto session = start(2);
  const auto actor = with({.groups = {{.name = "io", .limit = 2}, {.name = "query", .limit = 1}}})
                         .remote<meeting>();
  const auto io = actor.with({.concurrency_group = "io"});
  const auto first = io.remote<&meeting::meet>(3);
  const auto second = io.remote<&meeting::meet>(3);
  CHECK(fetch(actor.with({.concurrency_group = "query"}).remote<&meeting::knock>()));
  CHECK(fetch(actor.remote<&meeting::knock>()));
  CHECK_FALSE(first.ready());
  CHECK(fetch(actor.remote<&meeting::meet>(3)) == 3);
  CHECK(fetch(first) == 3);
  CHECK(fetch(second) == 3);
  CHECK_THROWS_AS(actor.with({.concurrency_group = "none"}).remote<&meeting::knock>(),
                  std::invalid_argument);
}

TEST_CASE("coroutine methods interleave at co_await") {
  const auto session = start(1);
  const auto actor = remote<diary>();
  const promise<int> value;
  const auto waiting = actor.remote<&diary::wait_for>(value.ref());
  value.set(5);
  CHECK(fetch(waiting) == 5);
  const promise<int> late;
  const auto call = actor.remote<&diary::wait_for>(late.ref());
  CHECK(fetch(actor.remote<&diary::note>()) >= 3);
  CHECK_FALSE(call.ready());
  late.set(6);
  CHECK(fetch(call) == 6);
  const auto lines = fetch(actor.remote<&diary::all>());
  CHECK(lines == std::vector<std::string>{"begin", "end", "begin", "note", "end"});
}

TEST_CASE("max_concurrency 1 keeps a coroutine method from interleaving") {
  const auto session = start(1);
  const auto actor = with({.max_concurrency = 1}).remote<diary>();
  const promise<int> late;
  const auto call = actor.remote<&diary::wait_for>(late.ref());
  const auto note = actor.remote<&diary::note>();
  late.set(1);
  CHECK(fetch(call) == 1);
  CHECK(fetch(note) == 3);
}

TEST_CASE("a restart ends suspended coroutines, or runs them again when they have retries") {
  const auto session = start(1);
  const auto actor = with({.max_restarts = -1}).remote<diary>();
  const promise<int> never;
  const auto lost = actor.remote<&diary::wait_for>(never.ref());
  const auto again =
      actor.with({.max_task_retries = 1}).remote<&diary::once>(never.ref());
  CHECK_THROWS_AS(fetch(actor.remote<&diary::crash>()), troupe::actor_unavailable_error);
  CHECK_THROWS_AS(fetch(lost), troupe::actor_unavailable_error);
  CHECK(fetch(again) == 77);
  never.set(1);
}

TEST_CASE("a method's exceptions are retried when asked for") {
  const auto session = start();
  const auto actor = remote<flaky>();
  const auto call = actor.with(
      {.retry_exceptions = troupe::exceptions<std::runtime_error>, .max_task_retries = 5});
  CHECK(fetch(call.remote<&flaky::call>()) == 3);
  const auto other = remote<flaky>();
  CHECK_THROWS_AS(
      fetch(other.with({.retry_exceptions = true, .max_task_retries = 1}).remote<&flaky::call>()),
      std::runtime_error);
}

TEST_CASE("an actor sends itself calls later and every so often, until it cancels or ends") {
  const auto session = start();
  const signal ticked;
  auto actor = remote<ticker>();
  fetch(actor.remote<&ticker::later>(ticked));
  REQUIRE(ticked.wait(1));
  fetch(actor.remote<&ticker::start>(ticked, 1ms));
  REQUIRE(ticked.wait(5));
  fetch(actor.remote<&ticker::stop>());
  const int count = fetch(actor.remote<&ticker::count>());
  CHECK(count >= 5);
  CHECK(fetch(actor.remote<&ticker::count>()) <= count + 1);  // one may have been queued
  fetch(actor.remote<&ticker::start>(ticked, 1ms));
  actor = {};  // timers do not keep it alive
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("an actor that blocks in troupe leaves its thread to others") {
  const auto session = start(1);
  struct asker {
    int ask(const actor_handle<diary>& whom) { return troupe::get(whom.remote<&diary::note>()); }
  };
  std::vector<actor_handle<asker>> askers;
  std::vector<object_ref<int>> refs;
  const auto target = remote<diary>();
  for (int i = 0; i < 50; ++i) askers.push_back(remote<asker>());
  for (const auto& a : askers) refs.push_back(a.remote<&asker::ask>(target));
  int sum = 0;
  for (const int n : fetch(refs)) sum += n;
  CHECK(sum == 50 * 51 / 2);
}

TEST_CASE("an actor in foreign blocking code does not stop the others for ever") {
  const auto session = start(1);
  const auto blocked = remote<meeting>();
  const auto first = blocked.remote<&meeting::meet>(1);
  CHECK(fetch(first) == 1);
  struct sleeper {
    int wait(const signal& go) { return go.wait() ? 1 : 0; }  // a condition variable, not troupe's
  };
  const signal go;
  const auto s1 = remote<sleeper>();
  const auto held = s1.remote<&sleeper::wait>(go);
  CHECK(fetch(remote<diary>().remote<&diary::note>()) == 1);  // the monitor lends a slot
  go.raise();
  CHECK(fetch(held) == 1);
}

TEST_CASE("many threads call many actors, and every call ends once") {
  const auto session = start(4);
  std::vector<actor_handle<flaky>> actors;
  for (int i = 0; i < 16; ++i) actors.push_back(with({.max_restarts = -1}).remote<flaky>());
  std::atomic<int> ended{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        std::vector<object_ref<int>> refs;
        for (int i = 0; i < 2'000; ++i) {
          refs.push_back(actors[static_cast<std::size_t>(i) % 16].remote<&flaky::call>());
          if (i % 100 == 99)
            troupe::kill(actors[static_cast<std::size_t>(i) % 16], {.no_restart = false});
        }
        for (const auto& ref : refs) {
          try {
            fetch(ref);
          } catch (const std::exception&) {
          }
          ++ended;
        }
      });
    }
  }
  CHECK(ended == 8'000);
}
