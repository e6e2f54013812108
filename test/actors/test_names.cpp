// Names, namespaces, detached lives and the list of actors.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::actor_handle;
using troupe::actor_name_error;
using troupe::get_actor;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

std::atomic<int> made{0};

struct chef {
  explicit chef(int start = 0) : value(start) { ++made; }
  int cook() { return ++value; }
  std::string name() const { return troupe::this_actor::name(); }
  int wait_for(object_ref<int> ref) { return troupe::get(ref); }
  void leave() { troupe::this_actor::exit(); }
  int value;
};
struct waiter {
  int serve() { return 1; }
};
struct stillborn {
  stillborn() { throw std::runtime_error("stillborn"); }
  int work() { return 1; }
};

int cook_by_name(std::string name) {
  return troupe::get(get_actor<chef>(name).remote<&chef::cook>());
}

bool free_again(const std::string& name) {
  return eventually([&] {
    try {
      get_actor<chef>(name);
      return false;
    } catch (const actor_name_error&) {
      return true;
    }
  });
}

}  // namespace

TEST_CASE("a named actor is found by its name, from anywhere") {
  const auto session = start();
  const auto c = with({.name = "chef"}).remote<chef>(10);
  const auto same = get_actor<chef>("chef");
  CHECK(same == c);
  CHECK(c.name() == "chef");
  CHECK(fetch(c.remote<&chef::name>()) == "chef");
  CHECK(fetch(same.remote<&chef::cook>()) == 11);
  CHECK(fetch(remote<cook_by_name>("chef")) == 12);
}

TEST_CASE("an actor without a name has that of its class") {
  const auto session = start();
  CHECK_THAT(remote<chef>().name(), contains("chef"));
}

TEST_CASE("a name that nobody has is an error that says so") {
  const auto session = start();
  CHECK_THAT(message_of<actor_name_error>([] { get_actor<chef>("nobody"); }), contains("nobody"));
  CHECK_THROWS_AS(get_actor<chef>(""), std::invalid_argument);
}

TEST_CASE("a taken name is an error and starts no actor") {
  const auto session = start();
  made = 0;
  const auto c = with({.name = "chef"}).remote<chef>();
  CHECK_THAT(message_of<actor_name_error>([] { with({.name = "chef"}).remote<chef>(); }),
             contains("'chef'") && contains("taken"));
  CHECK_THROWS_AS(with({.name = "chef"}).remote<waiter>(), actor_name_error);
  CHECK(fetch(c.remote<&chef::cook>()) == 1);
  CHECK(made == 1);
  CHECK(troupe::stats().live_actors == 1);
}

TEST_CASE("get_if_exists gives the one that has the name, or starts it") {
  const auto session = start();
  const auto shared = with({.name = "chef", .get_if_exists = true});
  const auto a = shared.remote<chef>(5);
  const auto b = shared.remote<chef>(100);
  CHECK(a == b);
  CHECK(fetch(b.remote<&chef::cook>()) == 6);
}

TEST_CASE("an actor of another class under the name is an error") {
  const auto session = start();
  const auto c = with({.name = "chef"}).remote<chef>();
  CHECK_THAT(message_of<actor_name_error>([] { get_actor<waiter>("chef"); }),
             contains("chef") && contains("waiter"));
  CHECK_THROWS_AS(with({.name = "chef", .get_if_exists = true}).remote<waiter>(), actor_name_error);
  CHECK(fetch(c.remote<&chef::cook>()) == 1);
}

TEST_CASE("a name is free again when its actor has died, however it did") {
  const auto session = start();
  for (int round = 0; round < 5; ++round) {
    {
      const auto c = with({.name = "chef"}).remote<chef>();
      fetch(c.remote<&chef::cook>());
    }
    REQUIRE(free_again("chef"));
    const auto killed = with({.name = "chef"}).remote<chef>();
    troupe::kill(killed);
    REQUIRE(free_again("chef"));
    const auto left = with({.name = "chef"}).remote<chef>();
    left.remote<&chef::leave>();
    REQUIRE(free_again("chef"));
    const auto never = with({.name = "chef"}).remote<stillborn>();
    CHECK_THROWS_AS(fetch(never.remote<&stillborn::work>()), troupe::actor_died_error);
    REQUIRE(free_again("chef"));
  }
}

TEST_CASE("a dead actor does not keep its name, though a handle to it lives") {
  const auto session = start();
  const auto old = with({.name = "chef"}).remote<chef>();
  fetch(old.remote<&chef::cook>());
  troupe::kill(old);
  CHECK(free_again("chef"));
  const auto fresh = with({.name = "chef"}).remote<chef>(50);
  CHECK(get_actor<chef>("chef") == fresh);
  CHECK_THROWS_AS(fetch(old.remote<&chef::cook>()), troupe::actor_died_error);
  CHECK(fetch(fresh.remote<&chef::cook>()) == 51);
}

TEST_CASE("names of different namespaces do not meet") {
  const auto session =
      troupe::init({.num_cpus = 2, .job_namespace = "home", .log_level = troupe::log_level::off});
  const auto here = with({.name = "chef"}).remote<chef>(1);
  const auto away = with({.name = "chef", .in_namespace = "away"}).remote<chef>(2);
  CHECK(here != away);
  CHECK(get_actor<chef>("chef") == here);
  CHECK(get_actor<chef>("chef", "home") == here);
  CHECK(get_actor<chef>("chef", "away") == away);
  CHECK_THROWS_AS(get_actor<chef>("chef", "elsewhere"), actor_name_error);
  CHECK_THROWS_AS(with({.name = "chef", .in_namespace = "home"}).remote<chef>(), actor_name_error);
}

TEST_CASE("a detached actor lives without handles until it is killed or exits") {
  const auto session = start();
  {
    const auto c = with({.name = "chef", .lifetime = troupe::lifetime::detached}).remote<chef>(20);
    fetch(c.remote<&chef::cook>());
  }
  CHECK(troupe::stats().live_actors == 1);
  CHECK(fetch(get_actor<chef>("chef").remote<&chef::cook>()) == 22);
  troupe::kill(get_actor<chef>("chef"));
  CHECK(free_again("chef"));
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
  with({.name = "chef", .lifetime = troupe::lifetime::detached}).remote<chef>();
  get_actor<chef>("chef").remote<&chef::leave>();
  CHECK(free_again("chef"));
}

TEST_CASE("a named actor that is not detached ends with its last handle") {
  const auto session = start();
  const promise<int> gate;
  object_ref<int> call;
  {
    const auto c = with({.name = "chef"}).remote<chef>();
    call = c.remote<&chef::wait_for>(gate.ref());
  }
  // It still works off what was sent, so it can be found, and lives on for the one who found it.
  {
    const auto found = get_actor<chef>("chef");
    gate.set(3);
    CHECK(fetch(call) == 3);
    CHECK(fetch(found.remote<&chef::cook>()) == 1);
  }
  CHECK(free_again("chef"));
}

TEST_CASE("eight threads that start one actor by get_if_exists all get the same one") {
  const auto session = start();
  for (int round = 0; round < 100; ++round) {
    made = 0;
    constexpr int count = 8;
    std::vector<actor_handle<chef>> handles(count);
    std::barrier together(count);
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < count; ++t) {
        threads.emplace_back([&, t] {
          together.arrive_and_wait();
          handles[t] = with({.name = "one", .get_if_exists = true}).remote<chef>();
          handles[t].remote<&chef::cook>();
        });
      }
    }
    REQUIRE(fetch(handles[0].remote<&chef::cook>()) == count + 1);
    const std::set<std::uint64_t> ids = [&] {
      std::set<std::uint64_t> all;
      for (const auto& handle : handles) all.insert(handle.id().value);
      return all;
    }();
    REQUIRE(ids.size() == 1);
    REQUIRE(made == 1);
    handles.clear();
    REQUIRE(free_again("one"));
  }
}

TEST_CASE("get_if_exists that races with the end of the actor gives one that works") {
  const auto session = start();
  std::vector<std::jthread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const auto c = with({.name = "brief", .get_if_exists = true}).remote<chef>();
        try {
          fetch(c.remote<&chef::cook>());
        } catch (const troupe::error&) {
          ++failures;
        }
      }
    });
  }
  threads.clear();
  CHECK(failures == 0);
}

TEST_CASE("of eight threads that want one name, one gets it") {
  const auto session = start();
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> won{0};
    std::atomic<int> lost{0};
    const signal all_tried;
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
          try {
            const auto c = with({.name = "only"}).remote<chef>();
            ++won;
            all_tried.raise();
            all_tried.wait(8);
          } catch (const actor_name_error&) {
            ++lost;
            all_tried.raise();
          }
        });
      }
    }
    REQUIRE(won == 1);
    REQUIRE(lost == 7);
    REQUIRE(free_again("only"));
  }
}

TEST_CASE("list_actors tells of every living actor, in the order of their ids") {
  const auto session = start();
  CHECK(troupe::list_actors().empty());
  const promise<int> gate;
  const auto a = with({.name = "a", .in_namespace = "n"}).remote<chef>();
  const auto b = remote<waiter>();
  const auto c = remote<chef>(gate.ref());
  fetch(a.ready());
  fetch(b.ready());
  const auto held = a.remote<&chef::wait_for>(gate.ref());
  const auto all = troupe::list_actors();
  REQUIRE(all.size() == 3);
  CHECK(all[0].id == a.id());
  CHECK(all[0].name == "a");
  CHECK(all[0].in_namespace == "n");
  CHECK(all[0].state == "alive");
  CHECK(all[0].pending_calls == 1);
  CHECK_THAT(all[1].class_name, contains("waiter"));
  CHECK(all[1].name.empty());
  CHECK(all[2].id == c.id());
  CHECK(all[2].state == "pending");
  gate.set(1);
  fetch(held);
  fetch(c.ready());
  troupe::kill(b);
  CHECK(eventually([] { return troupe::list_actors().size() == 2; }));
}
