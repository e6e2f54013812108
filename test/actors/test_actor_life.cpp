#include <atomic>
#include <mutex>
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
using troupe::exit_info;
using troupe::exit_reason;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct mortal {
  mortal() = default;
  explicit mortal(signal ended) : end(std::make_shared<at_end>(std::move(ended))) {}
  int count() { return ++calls; }
  int wait(const signal& begun, const signal& go) {
    begun.raise();
    go.wait();
    return ++calls;
  }
  int until_stopped(const signal& begun, std::stop_token stop) {
    begun.raise();
    while (!stop.stop_requested()) std::this_thread::yield();
    return 0;
  }
  void leave() { troupe::this_actor::exit(); }
  int crash() { troupe::this_actor::fail("disk on fire"); }
  int crash_first() {
    if (troupe::this_actor::restarts() == 0) troupe::this_actor::fail("first life");
    return 10 + troupe::this_actor::restarts();
  }
  int restarts() { return troupe::this_actor::restarts(); }
  troupe::async<int> sleep_long() {
    auto forever = troupe::after(1h);
    co_await forever;
    co_return 1;
  }
  int calls = 0;
  std::shared_ptr<at_end> end;
};

struct other {};

/// Collects exits for the test's thread.
struct exits {
  struct shared {
    std::mutex mutex;
    std::vector<exit_info> seen;
  };
  std::shared_ptr<shared> state = std::make_shared<shared>();
  signal happened;

  std::function<void(const exit_info&)> watcher() const {
    return [*this](const exit_info& info) {
      {
        const std::lock_guard guard(state->mutex);
        state->seen.push_back(info);
      }
      happened.raise();
    };
  }
  exit_info wait() const {
    if (!happened.wait()) throw std::runtime_error("nobody ended");
    const std::lock_guard guard(state->mutex);
    return state->seen.front();
  }
};

}  // namespace

TEST_CASE("when the last handle goes the actor ends after the calls already sent") {
  const auto session = start();
  const signal ended;
  const signal begun;
  const signal go;
  object_ref<int> last;
  {
    const auto actor = remote<mortal>(ended);
    actor.remote<&mortal::wait>(begun, go);
    last = actor.remote<&mortal::count>();
  }
  REQUIRE(begun.wait());
  CHECK(ended.count() == 0);
  go.raise();
  CHECK(fetch(last) == 2);
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("a detached actor outlives its handles and is found by name") {
  const auto session = start();
  const signal ended;
  with({.name = "keeper", .lifetime = troupe::lifetime::detached}).remote<mortal>(ended);
  const auto found = troupe::get_actor<mortal>("keeper");
  CHECK(fetch(found.remote<&mortal::count>()) == 1);
  CHECK(ended.count() == 0);
  troupe::kill(found);
  CHECK(ended.wait());
}

TEST_CASE("kill fails what is queued and what runs, and asks running code to stop") {
  const auto session = start();
  const signal ended;
  const signal begun;
  const auto actor = remote<mortal>(ended);
  const auto running = actor.remote<&mortal::until_stopped>(begun);
  const auto queued = actor.remote<&mortal::count>();
  REQUIRE(begun.wait());
  troupe::kill(actor);
  CHECK_THROWS_AS(fetch(running), actor_died_error);
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(queued); }), contains("killed"));
  CHECK(ended.wait());
  CHECK_THROWS_AS(fetch(actor.remote<&mortal::count>()), actor_died_error);
  CHECK_NOTHROW(troupe::kill(actor));
}

TEST_CASE("an actor whose arguments never come can be killed") {
  const auto session = start();
  const promise<int> never;
  struct needs {
    explicit needs(int) {}
    int method() { return 1; }
  };
  const auto actor = remote<needs>(never.ref());
  const auto call = actor.remote<&needs::method>();
  troupe::kill(actor);
  CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
  never.set(1);
}

TEST_CASE("an actor with a suspended coroutine method can be killed") {
  const auto session = start();
  const signal ended;
  const auto actor = remote<mortal>(ended);
  const auto call = actor.remote<&mortal::sleep_long>();
  CHECK(fetch(actor.remote<&mortal::count>()) == 1);
  troupe::kill(actor);
  CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("exit from inside ends the actor; its caller and the queued calls get the error") {
  const auto session = start();
  const exits seen;
  const auto actor = remote<mortal>();
  troupe::on_exit(actor, seen.watcher());
  const auto leaving = actor.remote<&mortal::leave>();
  const auto queued = actor.remote<&mortal::count>();
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(leaving); }), contains("exit()"));
  CHECK_THROWS_AS(fetch(queued), actor_died_error);
  CHECK(seen.wait().reason == exit_reason::exited);
}

TEST_CASE("a failed actor without restarts is dead with its cause") {
  const auto session = start();
  const exits seen;
  const auto actor = remote<mortal>();
  troupe::on_exit(actor, seen.watcher());
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(actor.remote<&mortal::crash>()); }),
             contains("disk on fire"));
  const exit_info end = seen.wait();
  CHECK(end.reason == exit_reason::failed);
  CHECK(troupe::is_abnormal(end.reason));
  CHECK_THAT(end.message, contains("disk on fire"));
}

TEST_CASE("a restarted actor begins afresh and goes on with what was queued") {
  const auto session = start();
  const auto actor = with({.max_restarts = 1}).remote<mortal>();
  CHECK(fetch(actor.remote<&mortal::count>()) == 1);
  const auto crash = actor.remote<&mortal::crash>();
  const auto queued = actor.remote<&mortal::count>();
  CHECK_THROWS_AS(fetch(crash), troupe::actor_unavailable_error);
  CHECK(fetch(queued) == 1);
  CHECK(fetch(actor.remote<&mortal::restarts>()) == 1);
  CHECK_THROWS_AS(fetch(actor.remote<&mortal::crash>()), actor_died_error);  // none is left
  CHECK_THROWS_AS(fetch(actor.remote<&mortal::count>()), actor_died_error);
}

TEST_CASE("an interrupted call with retries runs again in its place") {
  const auto session = start();
  const auto actor = with({.max_restarts = -1, .max_task_retries = 2}).remote<mortal>();
  const auto first = actor.remote<&mortal::crash_first>();
  const auto second = actor.remote<&mortal::count>();
  CHECK(fetch(first) == 11);
  CHECK(fetch(second) == 1);
}

TEST_CASE("a kill may count as a failure") {
  const auto session = start();
  const auto actor = with({.max_restarts = 1}).remote<mortal>();
  CHECK(fetch(actor.remote<&mortal::count>()) == 1);
  troupe::kill(actor, {.no_restart = false});
  CHECK(eventually([&] {
    try {
      return fetch(actor.remote<&mortal::restarts>()) == 1;
    } catch (const troupe::actor_unavailable_error&) {
      return false;
    }
  }));
}

TEST_CASE("a constructor that throws at its first life is not retried") {
  const auto session = start();
  static std::atomic<int> tries;
  tries = 0;
  struct unborn {
    unborn() {
      ++tries;
      throw std::runtime_error("no");
    }
    int method() { return 1; }
  };
  const auto actor = with({.max_restarts = 5}).remote<unborn>();
  CHECK_THROWS_AS(fetch(actor.remote<&unborn::method>()), actor_died_error);
  CHECK(tries == 1);
}

TEST_CASE("restarts need constructor arguments that can be copied") {
  const auto session = start();
  struct holder {
    explicit holder(std::unique_ptr<int> p) : value(*p) {}
    int read() const { return value; }
    int value;
  };
  CHECK(fetch(remote<holder>(std::make_unique<int>(3)).remote<&holder::read>()) == 3);
  CHECK_THROWS_AS(with({.max_restarts = 1}).remote<holder>(std::make_unique<int>(3)),
                  std::invalid_argument);
}

TEST_CASE("names: taken, found, of another class, in namespaces, free after death") {
  const auto session = start();
  auto first = with({.name = "n"}).remote<mortal>();
  CHECK_THAT(message_of<troupe::actor_name_error>([] { with({.name = "n"}).remote<mortal>(); }),
             contains("taken"));
  CHECK_THROWS_AS(troupe::get_actor<other>("n"), troupe::actor_name_error);
  CHECK_THROWS_AS(troupe::get_actor<mortal>("m"), troupe::actor_name_error);
  CHECK_THROWS_AS(troupe::get_actor<mortal>(""), std::invalid_argument);
  const auto same = with({.name = "n", .get_if_exists = true}).remote<mortal>();
  CHECK(same.id() == first.id());
  const auto elsewhere = with({.name = "n", .in_namespace = "lab"}).remote<mortal>();
  CHECK(troupe::get_actor<mortal>("n", "lab").id() == elsewhere.id());
  CHECK(troupe::get_actor<mortal>("n").id() == first.id());
  troupe::kill(first);
  CHECK(eventually([] {
    try {
      with({.name = "n"}).remote<mortal>();
      return true;
    } catch (const troupe::actor_name_error&) {
      return false;
    }
  }));
}

TEST_CASE("racing callers of get_if_exists get one actor") {
  const auto session = start(4);
  std::vector<troupe::actor_id> ids(8);
  std::vector<actor_handle<mortal>> handles(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        handles[t] = with({.name = "one", .get_if_exists = true}).remote<mortal>();
        ids[t] = handles[t].id();
      });
    }
  }
  for (const auto id : ids) CHECK(id == ids.front());
}

TEST_CASE("list_actors tells who lives") {
  const auto session = start();
  const auto a = with({.name = "listed", .in_namespace = "lab"}).remote<mortal>();
  const auto b = remote<other>();
  fetch(a.ready());
  fetch(b.ready());
  const auto all = troupe::list_actors();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "listed");
  CHECK(all[0].in_namespace == "lab");
  CHECK(all[0].state == "alive");
  CHECK_THAT(all[0].class_name, contains("mortal"));
  CHECK(all[1].name.empty());
}

TEST_CASE("on_exit of a dead actor fires at once, and a cancelled monitor never") {
  const auto session = start();
  const auto actor = remote<mortal>();
  const exits cancelled;
  troupe::on_exit(actor, cancelled.watcher()).cancel();
  troupe::kill(actor);
  CHECK(eventually([&] { return !actor.alive(); }));
  const exits late;
  troupe::on_exit(actor, late.watcher());
  CHECK(late.wait().reason == exit_reason::killed);
  CHECK(cancelled.happened.count() == 0);
}

TEST_CASE("inside an actor the end of another comes as a message") {
  const auto session = start();
  struct watcher {
    void watch(const actor_handle<mortal>& who, const signal& told) {
      troupe::on_exit(who, [this, told](const exit_info& info) {
        if (troupe::this_actor::running()) ended.push_back(info.id.value);
        told.raise();
      });
    }
    std::size_t count() { return ended.size(); }
    std::vector<std::uint64_t> ended;
  };
  const auto w = remote<watcher>();
  const auto actor = remote<mortal>();
  const signal told;
  fetch(w.remote<&watcher::watch>(actor, told));
  troupe::kill(actor);
  REQUIRE(told.wait());
  CHECK(fetch(w.remote<&watcher::count>()) == 1);
}

TEST_CASE("links spread an abnormal end along a chain, and a normal one not") {
  const auto session = start();
  std::vector<actor_handle<mortal>> chain(20);
  for (auto& a : chain) a = remote<mortal>();
  for (std::size_t i = 1; i < chain.size(); ++i) troupe::link(chain[i - 1], chain[i]);
  const auto free = remote<mortal>();
  troupe::link(free, chain[5]);
  troupe::unlink(free, chain[5]);
  const exits last;
  troupe::on_exit(chain.back(), last.watcher());
  troupe::kill(chain.front());
  CHECK(last.wait().reason == exit_reason::linked);
  CHECK(fetch(free.remote<&mortal::count>()) == 1);

  const auto a = remote<mortal>();
  const auto b = remote<mortal>();
  troupe::link(a, b);
  CHECK_THROWS_AS(fetch(a.remote<&mortal::leave>()), actor_died_error);
  CHECK(fetch(b.remote<&mortal::count>()) == 1);
}

TEST_CASE("an actor holds its resources for life") {
  const auto session =
      troupe::init({.num_cpus = 2, .num_gpus = 1, .log_level = troupe::log_level::off});
  auto first = with({.num_gpus = 1}).remote<mortal>();
  fetch(first.ready());
  CHECK(troupe::available_resources()["GPU"] == 0);
  const auto second = with({.num_gpus = 1}).remote<mortal>();
  CHECK_FALSE(second.ready().ready());
  first = {};
  fetch(second.ready());
  CHECK_THROWS_AS(with({.num_gpus = 2}).remote<mortal>(), troupe::placement_error);
  troupe::kill(second);
  CHECK(eventually([] { return troupe::available_resources()["GPU"] == 1; }));
}

TEST_CASE("many actors come and go, down to zero") {
  const auto session = start();
  {
    std::vector<actor_handle<mortal>> actors;
    for (int i = 0; i < 50'000; ++i) actors.push_back(remote<mortal>());
    std::vector<object_ref<int>> refs;
    for (const auto& a : actors) refs.push_back(a.remote<&mortal::count>());
    for (const int n : fetch(refs)) REQUIRE(n == 1);
    CHECK(troupe::stats().live_actors == 50'000);
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("shutdown ends busy actors and runs their destructors") {
  const signal ended;
  const signal begun;
  object_ref<int> running;
  object_ref<int> queued;
  object_ref<int> asleep;
  {
    const auto session = start();
    const auto actor = remote<mortal>(ended);
    asleep = actor.remote<&mortal::sleep_long>();
    running = actor.remote<&mortal::until_stopped>(begun);
    queued = actor.remote<&mortal::count>();
    REQUIRE(begun.wait());
  }
  CHECK(ended.count() == 1);
  CHECK_THROWS_AS(troupe::get(running), actor_died_error);
  CHECK_THROWS_AS(troupe::get(queued), actor_died_error);
  CHECK_THROWS_AS(troupe::get(asleep), actor_died_error);
}
