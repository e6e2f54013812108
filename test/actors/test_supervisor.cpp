#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/supervisor.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using troupe::child;
using troupe::child_state;
using troupe::object_ref;
using troupe::restart;
using troupe::strategy;
using troupe::test::start;

namespace {

std::mutex mutex;
std::vector<std::string> events;  // guarded by mutex
std::atomic<bool> broken{false};

void note(const std::string& what) {
  const std::lock_guard guard(mutex);
  events.push_back(what);
}
std::vector<std::string> take_events() {
  const std::lock_guard guard(mutex);
  return std::exchange(events, {});
}

/// Says when it comes and goes.
struct service {
  explicit service(std::string label) : name(std::move(label)) {
    if (broken && name == "b") throw std::runtime_error("no disk");
    note("+" + name);
  }
  ~service() { note("-" + name); }
  std::string hello() const { return "hello from " + name; }
  void crash() { troupe::this_actor::fail("crashed on purpose"); }
  void quit() { troupe::this_actor::exit(); }
  std::string name;
};
struct other {};

using names = std::vector<std::string>;

/// The exit of an actor, to be waited for.
class exit_of {
 public:
  template <class T>
  explicit exit_of(const troupe::actor_handle<T>& actor) {
    troupe::on_exit(actor, [info = info_, over = over_](const troupe::exit_info& end) {
      *info = end;
      over.set();
    });
  }
  const troupe::exit_info& wait() const {
    troupe::get(over_.ref());
    return *info_;
  }

 private:
  std::shared_ptr<troupe::exit_info> info_ = std::make_shared<troupe::exit_info>();
  troupe::test::promise<void> over_;
};

template <auto M>
void end_child(const troupe::supervisor& top, const char* id) {
  const auto handle = top.get<service>(id);
  const exit_of over(handle);
  CHECK_THROWS_AS(troupe::get(handle.remote<M>()), troupe::actor_died_error);
  over.wait();
}

/// The child once its restarts are as many.
troupe::child_info await_restarts(const troupe::supervisor& top, std::size_t index, int restarts) {
  for (;;) {
    const auto all = top.children();
    if (all[index].restarts >= restarts) return all[index];
  }
}

troupe::supervisor three(strategy how) {
  return troupe::supervise({.strategy = how}, child<service>("a", "a"), child<service>("b", "b"),
                           child<service>("c", "c"));
}

}  // namespace

TEST_CASE("a supervisor starts its children in order and stops them in reverse") {
  const auto session = start();
  take_events();
  const auto top = three(strategy::one_for_one);
  CHECK(troupe::get(top.get<service>("b").remote<&service::hello>()) == "hello from b");
  CHECK(take_events() == names{"+a", "+b", "+c"});
  const exit_of over(top.actor());
  top.stop();
  CHECK(take_events() == names{"-c", "-b", "-a"});
  CHECK(over.wait().reason == troupe::exit_reason::exited);
  CHECK_FALSE(top.alive());
  CHECK_THROWS_AS(top.get<service>("a"), troupe::actor_died_error);
  CHECK_NOTHROW(top.stop());
}

TEST_CASE("a child that crashes is started again under its id") {
  const auto session = start();
  const auto top = three(strategy::one_for_one);
  const auto before = top.get<service>("b");
  take_events();
  end_child<&service::crash>(top, "b");
  const auto info = await_restarts(top, 1, 1);
  CHECK(info.state == child_state::running);
  CHECK(info.id == "b");
  CHECK_THAT(info.class_name, Catch::Matchers::Contains("service"));
  CHECK_THAT(info.last_exit, Catch::Matchers::Contains("crashed on purpose"));
  CHECK(take_events() == names{"-b", "+b"});
  const auto after = top.get<service>("b");
  CHECK(after != before);
  CHECK(info.actor == after.id());
  CHECK(troupe::get(after.remote<&service::hello>()) == "hello from b");
}

TEST_CASE("one_for_all starts the siblings of a crashed child again, too") {
  const auto session = start();
  const auto top = three(strategy::one_for_all);
  REQUIRE(top.children().size() == 3);
  take_events();
  end_child<&service::crash>(top, "b");
  await_restarts(top, 2, 1);
  CHECK(take_events() == names{"-b", "-c", "-a", "+a", "+b", "+c"});
}

TEST_CASE("rest_for_one starts those after a crashed child again, too") {
  const auto session = start();
  const auto top = three(strategy::rest_for_one);
  REQUIRE(top.children().size() == 3);
  take_events();
  end_child<&service::crash>(top, "b");
  await_restarts(top, 2, 1);
  CHECK(take_events() == names{"-b", "-c", "+b", "+c"});
  CHECK(top.children()[0].restarts == 0);
}

TEST_CASE("a child's restart type decides which ends count") {
  const auto session = start();
  const auto top =
      troupe::supervise({}, child<service>({.id = "transient", .restart = restart::transient}, "t"),
                        child<service>({.id = "temporary", .restart = restart::temporary}, "x"),
                        child<service>("permanent", "p"));
  end_child<&service::quit>(top, "permanent");
  CHECK(await_restarts(top, 2, 1).state == child_state::running);
  end_child<&service::crash>(top, "transient");
  await_restarts(top, 0, 1);
  end_child<&service::quit>(top, "transient");
  end_child<&service::crash>(top, "temporary");
  for (;;) {
    const auto all = top.children();
    if (all[0].state == child_state::ended && all[1].state == child_state::ended) break;
  }
  CHECK_THROWS_AS(top.get<service>("transient"), troupe::actor_died_error);
  CHECK_THROWS_AS(top.get<service>("temporary"), troupe::actor_died_error);
}

TEST_CASE("a supervisor whose children end too often fails, and says why") {
  const auto session = start();
  const auto top = troupe::supervise({.max_restarts = 1, .period = 1h}, child<service>("a", "a"),
                                     child<service>("b", "b"));
  const exit_of over(top.actor());
  end_child<&service::crash>(top, "a");
  await_restarts(top, 0, 1);
  take_events();
  end_child<&service::crash>(top, "a");
  const auto& end = over.wait();
  CHECK(end.reason == troupe::exit_reason::failed);
  CHECK(troupe::is_abnormal(end.reason));
  CHECK_THAT(end.message, Catch::Matchers::Contains("max_restarts"));
  CHECK_THAT(end.message, Catch::Matchers::Contains("crashed on purpose"));
  CHECK(take_events() == names{"-a", "-b"});
}

TEST_CASE("a supervisor is a child like others") {
  const auto session = start();
  take_events();
  const auto top = troupe::supervise(
      {.strategy = strategy::rest_for_one},
      troupe::child_supervisor("workers", {.max_restarts = 0}, child<service>("a", "a"),
                               child<service>("b", "b")),
      child<service>("c", "c"));
  const auto workers = top.get_supervisor("workers");
  CHECK(take_events() == names{"+a", "+b", "+c"});
  SECTION("its failure is its supervisor's to handle") {
    end_child<&service::crash>(workers, "a");
    await_restarts(top, 1, 1);
    CHECK(take_events() == names{"-a", "-b", "-c", "+a", "+b", "+c"});
    CHECK(top.get_supervisor("workers") != workers);
  }
  SECTION("it stops its children before it ends") {
    top.stop();
    CHECK(take_events() == names{"-c", "-b", "-a"});
  }
}

TEST_CASE("when a child does not start, those before it are stopped and the error is told") {
  const auto session = start();
  take_events();
  broken = true;
  const auto top = three(strategy::one_for_one);
  CHECK_THROWS_WITH(troupe::get(top.ready()), Catch::Matchers::Contains("no disk"));
  CHECK_THROWS_WITH(top.get<service>("a"),
                    Catch::Matchers::Contains("child 'b'") && Catch::Matchers::Contains("no disk"));
  CHECK(take_events() == names{"+a", "-a"});
  broken = false;
}

TEST_CASE("a child that cannot start again uses up the restarts") {
  const auto session = start();
  const auto top = three(strategy::one_for_one);
  const exit_of over(top.actor());
  const auto b = top.get<service>("b");
  broken = true;
  CHECK_THROWS_AS(troupe::get(b.remote<&service::crash>()), troupe::actor_died_error);
  CHECK_THAT(over.wait().message, Catch::Matchers::Contains("no disk"));
  broken = false;
}

TEST_CASE("supervised actors and supervisors are found by name") {
  const auto session = start();
  const auto top =
      troupe::supervise({.name = "top"}, child<service>({.id = "a", .actor = {.name = "db"}}, "a"));
  troupe::get(top.ready());
  CHECK(troupe::get_actor<service>("db") == top.get<service>("a"));
  CHECK(troupe::get_supervisor("top") == top);
  end_child<&service::crash>(top, "a");
  await_restarts(top, 0, 1);
  CHECK(troupe::get(troupe::get_actor<service>("db").remote<&service::hello>()) == "hello from a");
}

TEST_CASE("children end with the last handle of their supervisor") {
  const auto session = start();
  take_events();
  troupe::actor_handle<service> kept;
  {
    const auto top = three(strategy::one_for_one);
    kept = top.get<service>("a");
  }
  const exit_of over(kept);
  CHECK(over.wait().reason == troupe::exit_reason::killed);
}

TEST_CASE("a killed supervisor takes its children along") {
  const auto session = start();
  const auto top = three(strategy::one_for_one);
  const exit_of over(top.get<service>("c"));
  troupe::kill(top.actor());
  CHECK(over.wait().reason == troupe::exit_reason::killed);
}

TEST_CASE("a supervisor is asked for children that it has") {
  const auto session = start();
  const auto top = three(strategy::one_for_one);
  CHECK_THROWS_WITH(top.get<service>("d"), Catch::Matchers::Contains("'d'"));
  CHECK_THROWS_AS(top.get<service>("d"), std::invalid_argument);
  CHECK_THROWS_AS(top.get<other>("a"), std::invalid_argument);
  CHECK_THROWS_AS(troupe::supervisor().children(), std::invalid_argument);
}

TEST_CASE("supervisor options out of range are refused") {
  const auto session = start();
  CHECK_THROWS_AS(troupe::supervise({.max_restarts = -1}), std::invalid_argument);
  CHECK_THROWS_AS(troupe::supervise({.period = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(troupe::supervise({}, child<service>("a", "a"), child<service>("a", "b")),
                  std::invalid_argument);
  CHECK_THROWS_AS(troupe::supervise({}, child<service>("", "a")), std::invalid_argument);
}

TEST_CASE("a supervision tree ends with the runtime") {
  take_events();
  {
    const auto session = start();
    const auto top = troupe::supervise(
        {.name = "top", .lifetime = troupe::lifetime::detached},
        troupe::child_supervisor("inner", {}, child<service>("a", "a")), child<service>("b", "b"));
    troupe::get(top.ready());
  }
  auto all = take_events();
  std::sort(all.begin(), all.end());
  CHECK(all == names{"+a", "+b", "-a", "-b"});
}
