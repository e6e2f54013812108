// The making of an actor's instance: arguments, resources of its own, and failures.
#include <cstdint>
#include <memory>
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
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct greeter {
  explicit greeter(std::string whom, int count = 1) : name(std::move(whom)), times(count) {}
  std::string greet() const { return name + " " + std::to_string(times); }
  std::string name;
  int times;
};

struct thread_of_birth {
  explicit thread_of_birth(std::uint64_t asker) : elsewhere(this_thread() != asker) {}
  static std::uint64_t this_thread() {
    return std::hash<std::thread::id>{}(std::this_thread::get_id());
  }
  bool born_elsewhere() const { return elsewhere; }
  bool elsewhere;
};

struct refusing {
  explicit refusing(int n) { throw std::domain_error("no actor for " + std::to_string(n)); }
  int work() { return 1; }
};

struct slow_start {
  slow_start(signal entered, signal go, signal over) : ended(std::move(over)) {
    entered.raise();
    go.wait();
  }
  int work() { return 1; }
  at_end ended;
};

struct borrower {
  explicit borrower(object_ref<int> r) : ref(std::move(r)) {}
  bool ready() const { return ref.ready(); }
  object_ref<int> ref;
};

struct owner {
  explicit owner(std::unique_ptr<int> p) : pointer(std::move(p)) {}
  int read() const { return *pointer; }
  std::unique_ptr<int> pointer;
};

struct held {
  explicit held(tracked given) : value(std::move(given)) {}
  int read() const { return value.value(); }
  tracked value;
};

struct alignas(64) aligned {
  bool fits() const { return reinterpret_cast<std::uintptr_t>(this) % 64 == 0; }
  char bytes[100] = {};
};

std::string slow_name(object_ref<int> gate) { return "named " + std::to_string(troupe::get(gate)); }
int broken() { throw std::range_error("broken"); }

}  // namespace

TEST_CASE("an actor's constructor takes values, texts and refs") {
  const auto session = start();
  CHECK(fetch(remote<greeter>("a").remote<&greeter::greet>()) == "a 1");
  CHECK(fetch(remote<greeter>(std::string("b"), 2).remote<&greeter::greet>()) == "b 2");
  const auto name = troupe::put(std::string("c"));
  CHECK(fetch(remote<greeter>(name, troupe::put(3)).remote<&greeter::greet>()) == "c 3");
  CHECK(fetch(remote<owner>(std::make_unique<int>(4)).remote<&owner::read>()) == 4);
}

TEST_CASE("the constructor runs in the actor, not where it is asked for") {
  const auto session = start();
  const auto t = remote<thread_of_birth>(thread_of_birth::this_thread());
  CHECK(fetch(t.remote<&thread_of_birth::born_elsewhere>()));
}

TEST_CASE("an instance has the alignment of its class") {
  const auto session = start();
  for (int i = 0; i < 10; ++i) CHECK(fetch(remote<aligned>().remote<&aligned::fits>()));
}

TEST_CASE("a constructor waits for its refs, and calls wait for the constructor") {
  const auto session = start();
  const promise<int> gate;
  const auto g = remote<greeter>(remote<slow_name>(gate.ref()), gate.ref());
  const auto greeting = g.remote<&greeter::greet>();
  CHECK_FALSE(greeting.ready());
  CHECK_FALSE(g.ready().ready());
  gate.set(5);
  CHECK(fetch(greeting) == "named 5 5");
  fetch(g.ready());
}

TEST_CASE("a constructor parameter of ref type gets the ref and does not wait") {
  const auto session = start();
  const promise<int> never;
  const auto b = remote<borrower>(never.ref());
  CHECK_FALSE(fetch(b.remote<&borrower::ready>()));
}

TEST_CASE("what a constructor throws reaches every later call as the cause of its actor's death") {
  const auto session = start();
  const auto r = remote<refusing>(3);
  const auto queued = r.remote<&refusing::work>();
  CHECK_THROWS_AS(fetch(queued), actor_died_error);
  for (int i = 0; i < 3; ++i) {
    const std::string text =
        message_of<actor_died_error>([&] { fetch(r.remote<&refusing::work>()); });
    CHECK_THAT(text, contains("no actor for 3") && contains("refusing"));
  }
  CHECK_THROWS_AS(fetch(r.ready()), std::domain_error);
  CHECK(eventually([&] { return !r.alive(); }));
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("a constructor whose value argument fails is never run: its actor dies of that") {
  const auto session = start();
  const auto g = remote<greeter>("x", remote<broken>());
  const auto greeting = g.remote<&greeter::greet>();
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(greeting); }), contains("broken"));
  CHECK_THAT(message_of<actor_died_error>([&] { fetch(g.remote<&greeter::greet>()); }),
             contains("broken"));
}

TEST_CASE("a constructor whose ref argument fails later dies of that, with its queued calls") {
  const auto session = start();
  const promise<int> bad;
  const auto g = remote<greeter>("x", bad.ref());
  std::vector<object_ref<std::string>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(g.remote<&greeter::greet>());
  bad.fail(std::domain_error("no number"));
  for (const auto& call : calls) CHECK_THROWS_AS(fetch(call), actor_died_error);
  CHECK(eventually([&] { return !g.alive(); }));
}

TEST_CASE("a constructor that got a failed ref as a ref runs") {
  const auto session = start();
  const auto b = remote<borrower>(remote<broken>());
  CHECK(eventually([&] { return fetch(b.remote<&borrower::ready>()); }));
}

TEST_CASE("a constructor's arguments go with it, and those of one that never ran, too") {
  {
    const auto session = start();
    const auto h = remote<held>(tracked(5));
    CHECK(fetch(h.remote<&held::read>()) == 5);
    CHECK(tracked::alive() == 1);
    const promise<tracked> never;
    const auto pending = remote<held>(never.ref());
    troupe::kill(pending);
    CHECK_THROWS_AS(fetch(pending.remote<&held::read>()), actor_died_error);
  }
  CHECK(tracked::alive() == 0);
}

TEST_CASE("what ready() gives cannot be cancelled") {
  const auto session = start();
  const signal entered;
  const signal go;
  const signal ended;
  {
    const auto s = remote<slow_start>(entered, go, ended);
    REQUIRE(entered.wait());
    CHECK_FALSE(troupe::cancel(s.ready()));
    go.raise();
    CHECK(fetch(s.remote<&slow_start::work>()) == 1);
  }
  CHECK(ended.wait());
}

TEST_CASE("an actor that asks for more than there is cannot be started") {
  const auto session = start();
  CHECK_THROWS_AS(with({.num_cpus = 64}).remote<greeter>("x"), troupe::placement_error);
  CHECK_THROWS_AS(with({.num_gpus = 1}).remote<greeter>("x"), troupe::placement_error);
  CHECK(troupe::stats().live_actors == 0);
}

TEST_CASE("an actor cannot be started without a runtime") {
  CHECK_THROWS_AS(remote<greeter>("x"), troupe::connection_error);
}

TEST_CASE("max_restarts needs constructor arguments that can be copied") {
  const auto session = start();
  CHECK_THROWS_AS(with({.max_restarts = 1}).remote<owner>(std::make_unique<int>(1)),
                  std::invalid_argument);
}
