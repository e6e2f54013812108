#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actor_pool.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using troupe::object_ref;
using troupe::test::start;
using gate = troupe::test::promise<int>;

namespace {

std::atomic<int> runs{0};

struct worker {
  explicit worker(int base = 0, std::string label = "") : base_(base), label_(std::move(label)) {}

  int add(int x) { return base_ + x; }
  std::uint64_t id() const { return troupe::this_actor::id().value; }
  std::string describe(std::string_view text, const std::vector<int>& many) const {
    return label_ + std::string(text) + std::to_string(many.size());
  }
  std::size_t total(std::span<const int> many) const { return many.size(); }
  int hold(object_ref<int> until) { return troupe::get(until); }
  void nothing() noexcept {}
  int refuse(int x) {
    ++runs;
    throw std::out_of_range("refused " + std::to_string(x));
  }
  int odd_only(int x) {
    if (x % 2 == 0) throw std::invalid_argument("even");
    return x;
  }
  /// Dies in its first `times` runs.
  int die(int times) {
    if (runs++ < times) troupe::this_actor::fail("died on purpose");
    return base_;
  }
  std::unique_ptr<int> pass(std::unique_ptr<int> x) { return x; }
  troupe::async<int> later(object_ref<int> x) { co_return co_await x + base_; }

 private:
  int base_;
  std::string label_;
};

struct broken {
  broken() { throw std::runtime_error("no licence"); }
  int work() { return 1; }
};

}  // namespace

TEST_CASE("a pool's calls are spread over its members") {
  const auto session = start();
  troupe::actor_pool<worker> pool(3);
  std::vector<object_ref<std::uint64_t>> ids;
  gate busy;
  std::vector<object_ref<int>> held;
  for (int i = 0; i < 2; ++i) held.push_back(pool.remote<&worker::hold>(busy.ref()));
  for (int i = 0; i < 4; ++i) ids.push_back(pool.remote<&worker::id>());
  const auto seen = troupe::get(ids);
  CHECK(std::set<std::uint64_t>(seen.begin(), seen.end()).size() == 1);
  busy.set(0);
  troupe::get(held);
  std::set<std::uint64_t> all;
  for (int i = 0; i < 9; ++i) all.insert(troupe::get(pool.remote<&worker::id>()));
  CHECK(all.size() == 3);
}

TEST_CASE("a pool passes arguments as a handle does") {
  const auto session = start();
  troupe::actor_pool<worker> pool({.size = 1}, 40, "a");
  const object_ref<int> two = troupe::put(2);
  CHECK(troupe::get(pool.remote<&worker::add>(two)) == 42);
  CHECK(troupe::get(pool.remote<&worker::add>(2.0)) == 42);
  CHECK(troupe::get(pool.remote<&worker::describe>("b", std::vector<int>(3))) == "ab3");
  CHECK(troupe::get(pool.remote<&worker::total>(troupe::put(std::vector<int>(7)))) == 7);
  CHECK(troupe::get(pool.remote<&worker::hold>(two)) == 2);
  CHECK(troupe::get(pool.remote<&worker::later>(two)) == 42);
  CHECK(*troupe::get(pool.remote<&worker::pass>(std::make_unique<int>(5))) == 5);
  CHECK_NOTHROW(troupe::get(pool.remote<&worker::nothing>()));
}

TEST_CASE("a call whose argument is not there takes no member until it is") {
  const auto session = start();
  troupe::actor_pool<worker> pool(1, 10);
  gate argument;
  const auto later = pool.remote<&worker::add>(argument.ref());
  CHECK(troupe::get(pool.remote<&worker::add>(1)) == 11);
  CHECK_FALSE(later.ready());
  SECTION("it comes") {
    argument.set(5);
    CHECK(troupe::get(later) == 15);
  }
  SECTION("it fails, and the call does not run") {
    argument.fail(std::runtime_error("the gate broke"));
    CHECK_THROWS_WITH(troupe::get(later), Catch::Matchers::StartsWith("the gate broke"));
  }
}

TEST_CASE("get_next gives results in the order of submission") {
  const auto session = start();
  troupe::actor_pool<worker> pool(2, 0);
  gate first;
  CHECK_FALSE(pool.has_next());
  pool.submit<&worker::hold>(first.ref());
  pool.submit<&worker::add>(2);
  pool.submit(
      [](troupe::actor_handle<worker>& member, int x) { return member.remote<&worker::add>(x); },
      3);
  CHECK_THROWS_AS(pool.get_next<int>(1ms), troupe::get_timeout_error);
  CHECK_THROWS_AS(pool.get_next<std::string>(), std::invalid_argument);
  first.set(1);
  CHECK(pool.get_next<int>() == 1);
  CHECK(pool.get_next<int>() == 2);
  CHECK(pool.has_next());
  CHECK(pool.get_next<int>() == 3);
  CHECK_FALSE(pool.has_next());
  CHECK_THROWS_AS(pool.get_next<int>(), std::out_of_range);
}

TEST_CASE("get_next_unordered gives whichever result is there first") {
  const auto session = start();
  troupe::actor_pool<worker> pool(2, 0);
  gate slow;
  pool.submit<&worker::hold>(slow.ref());
  pool.submit<&worker::add>(2);
  CHECK(pool.get_next_unordered<int>() == 2);
  CHECK_THROWS_AS(pool.get_next_unordered<int>(1ms), troupe::get_timeout_error);
  CHECK_THROWS_AS(pool.get_next<int>(), std::logic_error);
  pool.submit<&worker::add>(3);
  CHECK_THROWS_AS(pool.get_next_unordered<std::string>(), std::invalid_argument);
  CHECK(pool.get_next_unordered<int>() == 3);
  slow.set(1);
  CHECK(pool.get_next_unordered<int>() == 1);
  CHECK_THROWS_AS(pool.get_next_unordered<int>(), std::out_of_range);
  pool.submit<&worker::add>(4);  // drained: order has a meaning again
  CHECK(pool.get_next<int>() == 4);
}

TEST_CASE("a call that throws gives its error and its member goes on") {
  const auto session = start();
  runs = 0;
  troupe::actor_pool<worker> pool(1, 1);
  pool.submit<&worker::refuse>(7);
  CHECK_THROWS_AS(pool.get_next<int>(), std::out_of_range);
  CHECK(runs == 1);  // what a method throws is not tried elsewhere
  CHECK(troupe::get(pool.remote<&worker::add>(1)) == 2);
  CHECK(pool.stats() == troupe::pool_stats{.members = 1});
}

TEST_CASE("an actor that is in the pool cannot be pushed again") {
  const auto session = start();
  auto member = troupe::remote<worker>(1);
  troupe::actor_pool<worker> pool({member});
  CHECK_THROWS_AS(pool.push(member), std::invalid_argument);
  gate busy;
  const auto held = pool.remote<&worker::hold>(busy.ref());
  CHECK_FALSE(pool.has_free());
  CHECK_FALSE(pool.pop_idle());
  CHECK_THROWS_AS(pool.push(member), std::invalid_argument);
  busy.set(0);
  troupe::get(held);
  const auto popped = pool.pop_idle();
  REQUIRE(popped);
  CHECK(*popped == member);
  CHECK_FALSE(pool.has_free());
  pool.push(member);
  CHECK(pool.has_free());
}

TEST_CASE("calls wait in a pool without members until one is pushed") {
  const auto session = start();
  troupe::actor_pool<worker> pool(std::vector<troupe::actor_handle<worker>>{});
  const auto waiting = pool.remote<&worker::add>(1);
  CHECK(pool.stats().waiting == 1);
  pool.push(troupe::remote<worker>(1));
  CHECK(troupe::get(waiting) == 2);
}

TEST_CASE("map gives results in the order of the inputs") {
  const auto session = start();
  troupe::actor_pool<worker> pool(2, 100);
  const std::vector<int> inputs{1, 2, 3, 4};
  std::vector<int> results;
  for (const int x : pool.map<&worker::add>(inputs)) results.push_back(x);
  CHECK(results == std::vector<int>{101, 102, 103, 104});
  results.clear();
  const auto call = [](troupe::actor_handle<worker>& member, int x) {
    return member.remote<&worker::add>(x + 1);
  };
  for (const int x : pool.map(call, std::vector<int>{1, 2})) results.push_back(x);
  CHECK(results == std::vector<int>{102, 103});
  for (const int x : pool.map<&worker::add>(std::vector<int>{})) results.push_back(x);
  CHECK(results.size() == 2);
}

TEST_CASE("map_unordered gives all results") {
  const auto session = start();
  troupe::actor_pool<worker> pool(2);
  std::vector<int> inputs(200);
  for (int i = 0; i < 200; ++i) inputs[static_cast<std::size_t>(i)] = i;
  std::vector<int> results;
  for (const int x : pool.map_unordered<&worker::add>(inputs)) results.push_back(x);
  std::sort(results.begin(), results.end());
  CHECK(results == inputs);
}

TEST_CASE("map goes on after an element whose call threw") {
  const auto session = start();
  troupe::actor_pool<worker> pool(2);
  auto results = pool.map<&worker::odd_only>(std::vector<int>{1, 2, 3});
  auto at = results.begin();
  CHECK(*at == 1);
  ++at;
  CHECK_THROWS_AS(*at, std::invalid_argument);
  CHECK_THROWS_AS(*at, std::invalid_argument);
  ++at;
  CHECK(*at == 3);
  ++at;
  CHECK(at == results.end());
}

TEST_CASE("map keeps to the bound of what waits") {
  const auto session = start();
  troupe::actor_pool<worker> pool({.size = 2, .max_pending = 4});
  std::vector<std::unique_ptr<int>> inputs;
  for (int i = 0; i < 100; ++i) inputs.push_back(std::make_unique<int>(i));
  int next = 0;
  for (const auto& x : pool.map<&worker::pass>(std::move(inputs))) {
    REQUIRE(*x == next++);
    REQUIRE(pool.stats().waiting <= 6);  // two of them for members that start
  }
  CHECK(next == 100);
}

TEST_CASE("one call more than may wait is an error that says so") {
  const auto session = start();
  troupe::actor_pool<worker> pool({.size = 1, .max_pending = 1});
  gate busy;
  const auto running = pool.remote<&worker::hold>(busy.ref());
  const auto waiting = pool.remote<&worker::add>(1);
  CHECK_THROWS_AS(pool.remote<&worker::add>(2), troupe::pending_calls_limit_error);
  CHECK_THROWS_WITH(pool.remote<&worker::add>(2), Catch::Matchers::Contains("max_pending"));
  busy.set(0);
  CHECK(troupe::get(waiting) == 1);
}

TEST_CASE("the work of a member that dies is done by another one, and the member replaced") {
  const auto session = start();
  runs = 0;
  troupe::actor_pool<worker> pool({.size = 2}, 42);
  CHECK(troupe::get(pool.remote<&worker::die>(1)) == 42);
  CHECK(runs == 2);
  for (int i = 0; i < 6; ++i) CHECK(troupe::get(pool.remote<&worker::add>(i)) == 42 + i);
  const auto stats = pool.stats();
  CHECK(stats.members == 2);
  CHECK(stats.replaced == 1);
}

TEST_CASE("a killed member's queued work is not lost") {
  const auto session = start();
  auto a = troupe::remote<worker>(0);
  auto b = troupe::remote<worker>(0);
  troupe::actor_pool<worker> pool({a, b}, {.max_in_flight = 50});
  gate busy;
  const auto held_a = a.remote<&worker::hold>(busy.ref());
  const auto held_b = b.remote<&worker::hold>(busy.ref());
  std::vector<object_ref<int>> results;
  for (int i = 0; i < 20; ++i) results.push_back(pool.remote<&worker::add>(i));
  troupe::kill(a);
  busy.set(0);
  for (int i = 0; i < 20; ++i) {
    CHECK(troupe::get(results[static_cast<std::size_t>(i)]) == i);
  }
}

TEST_CASE("a call that kills every member it meets fails with the cause, others do not") {
  const auto session = start();
  runs = 0;
  troupe::actor_pool<worker> pool({.size = 1, .max_attempts = 2}, 5);
  const auto killer = pool.remote<&worker::die>(1000);
  const auto harmless = pool.remote<&worker::add>(1);
  CHECK_THROWS_AS(troupe::get(killer), troupe::actor_died_error);
  CHECK_THROWS_WITH(troupe::get(killer), Catch::Matchers::Contains("died on purpose"));
  CHECK(runs == 2);
  CHECK(troupe::get(harmless) == 6);
}

TEST_CASE("a call that cannot be copied is not sent twice") {
  const auto session = start();
  auto member = troupe::remote<worker>(0);
  auto other = troupe::remote<worker>(0);
  troupe::get(std::vector{member.ready(), other.ready()});
  troupe::actor_pool<worker> pool({member, other}, {.max_in_flight = 4});
  gate busy;
  const auto held = member.remote<&worker::hold>(busy.ref());
  std::vector<object_ref<std::unique_ptr<int>>> refs;
  for (int i = 0; i < 2; ++i) refs.push_back(pool.remote<&worker::pass>(std::make_unique<int>(i)));
  troupe::kill(member);
  int died = 0;
  for (auto& ref : refs) {
    try {
      troupe::get(std::move(ref));
    } catch (const troupe::actor_died_error&) {
      ++died;
    }
  }
  CHECK(died == 1);
  busy.set(0);
}

TEST_CASE("when all members are dead and none can be made, calls fail instead of waiting") {
  const auto session = start();
  auto member = troupe::remote<worker>(0);
  troupe::actor_pool<worker> pool({member});
  gate busy;
  const auto running = pool.remote<&worker::hold>(busy.ref());
  const auto waiting = pool.remote<&worker::add>(1);
  troupe::kill(member);
  CHECK_THROWS_AS(troupe::get(waiting), troupe::actor_died_error);
  CHECK_THROWS_AS(troupe::get(running), troupe::actor_died_error);
  CHECK_THROWS_AS(troupe::get(pool.remote<&worker::add>(1)), troupe::actor_died_error);
  pool.push(troupe::remote<worker>(1));
  CHECK(troupe::get(pool.remote<&worker::add>(1)) == 2);
  busy.set(0);
}

TEST_CASE("a pool whose members cannot be made gives their error") {
  const auto session = start();
  troupe::actor_pool<broken> pool(2);
  CHECK_THROWS_AS(troupe::get(pool.remote<&broken::work>()), troupe::actor_died_error);
  try {
    for (int i = 0; i < 100; ++i) troupe::get(pool.remote<&broken::work>());
  } catch (const troupe::actor_died_error& e) {
    CHECK_THAT(e.what(), Catch::Matchers::Contains("no licence"));
  }
  CHECK(pool.stats().replaced <= 3);
}

TEST_CASE("a member that restarts by itself stays in the pool") {
  const auto session = start();
  runs = 0;
  troupe::actor_pool<worker> pool({.size = 1, .actor = {.max_restarts = 1}}, 5);
  CHECK(troupe::get(pool.remote<&worker::die>(1)) == 5);
  CHECK(pool.stats() == troupe::pool_stats{.members = 1});
}

TEST_CASE("a member that waits for resources holds up no call") {
  const auto session = start();
  troupe::actor_pool<worker> pool({.size = 4, .actor = {.num_cpus = 1}}, 1);
  std::vector<int> results;
  for (const int x : pool.map<&worker::add>(std::vector<int>(50, 1))) results.push_back(x);
  CHECK(results == std::vector<int>(50, 2));
}

TEST_CASE("a cancelled call that waits in the pool never runs") {
  const auto session = start();
  runs = 0;
  troupe::actor_pool<worker> pool(1);
  gate busy;
  const auto running = pool.remote<&worker::hold>(busy.ref());
  const auto waiting = pool.remote<&worker::refuse>(1);
  CHECK(troupe::cancel(waiting));
  CHECK_THROWS_AS(troupe::get(waiting), troupe::task_cancelled_error);
  SECTION("the one before it goes on") {
    busy.set(3);
    CHECK(troupe::get(running) == 3);
  }
  SECTION("a running one gives its member back") {
    CHECK(troupe::cancel(running));
    CHECK_THROWS_AS(troupe::get(running), troupe::task_cancelled_error);
  }
  CHECK(troupe::get(pool.remote<&worker::add>(1)) == 1);
  CHECK(runs == 0);
}

TEST_CASE("calls go on when their pool is dropped") {
  const auto session = start();
  gate busy;
  object_ref<int> running;
  object_ref<int> waiting;
  {
    troupe::actor_pool<worker> pool(1, 1);
    running = pool.remote<&worker::hold>(busy.ref());
    waiting = pool.remote<&worker::add>(1);
  }
  busy.set(7);
  CHECK(troupe::get(running) == 7);
  CHECK(troupe::get(waiting) == 2);
}

TEST_CASE("a pool can be used inside a task and its calls end with the task's cancel") {
  const auto session = start();
  const auto sum = troupe::remote<[](int n) {
    troupe::actor_pool<worker> pool(2);
    std::vector<int> inputs(static_cast<std::size_t>(n), 1);
    int total = 0;
    for (const int x : pool.map<&worker::add>(inputs)) total += x;
    return total;
  }>(50);
  CHECK(troupe::get(sum) == 50);
}

TEST_CASE("a runtime that ends lets no call of a pool wait") {
  gate busy;
  object_ref<int> running;
  object_ref<int> waiting;
  {
    const auto session = start();
    troupe::actor_pool<worker> pool(1);
    running = pool.remote<&worker::hold>(busy.ref());
    waiting = pool.remote<&worker::add>(1);
    troupe::shutdown();
    CHECK(waiting.failed());
    CHECK(running.failed());
  }
  const auto session = start();
  troupe::actor_pool<worker> pool(1);
  CHECK(troupe::get(pool.remote<&worker::add>(1)) == 1);
}

TEST_CASE("a pool can be moved with the results that it remembers") {
  const auto session = start();
  troupe::actor_pool<worker> first({.size = 1, .max_attempts = 2});
  first.submit<&worker::add>(1);
  first.submit<&worker::add>(2);
  CHECK(first.get_next_unordered<int>() > 0);
  std::vector<troupe::actor_pool<worker>> pools;
  pools.push_back(std::move(first));
  CHECK(pools[0].get_next_unordered<int>() > 0);
  CHECK_FALSE(pools[0].has_next());
}

TEST_CASE("pool options out of range are refused by name") {
  const auto session = start();
  using pool = troupe::actor_pool<worker>;
  CHECK_THROWS_AS(pool(0), std::invalid_argument);
  CHECK_THROWS_AS(pool({.size = 1, .max_attempts = 0}), std::invalid_argument);
  CHECK_THROWS_AS(pool({.size = 1, .max_replacements = -2}), std::invalid_argument);
  CHECK_THROWS_AS(pool({.size = 2, .actor = {.name = "one"}}), std::invalid_argument);
  CHECK_THROWS_AS(pool({.size = 2, .name = "pool"}), std::invalid_argument);
  CHECK_THROWS_AS(pool({.size = 2, .actor = {.max_retries = 1}}), std::invalid_argument);
}
