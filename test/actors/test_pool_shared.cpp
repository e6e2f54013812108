#include <atomic>
#include <set>
#include <stdexcept>
#include <string>
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
std::atomic<int> alive{0};

struct cook {
  explicit cook(std::string dish = "soup") : dish_(std::move(dish)) { ++alive; }
  ~cook() { --alive; }
  std::string serve(int table) { return dish_ + " for " + std::to_string(table); }
  int hold(object_ref<int> until) { return troupe::get(until); }
  int burn() { throw std::runtime_error("burnt"); }
  int faint(int times) {
    if (runs++ < times) troupe::this_actor::fail("fainted");
    return runs;
  }
  std::vector<int> wash(std::vector<int> plates) { return plates; }

 private:
  std::string dish_;
};

struct waiter {
  std::string order(int table) {
    return troupe::get(troupe::get_pool<cook>("kitchen").remote<&cook::serve>(table));
  }
};

std::string order_in_task(troupe::shared_pool<cook> kitchen, int table) {
  return troupe::get(kitchen.remote<&cook::serve>(table));
}

}  // namespace

TEST_CASE("a pool that is an actor is used from tasks, actors and threads") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 2, .name = "kitchen"}, "stew");
  CHECK(troupe::get(kitchen.remote<&cook::serve>(1)) == "stew for 1");
  CHECK(troupe::get(troupe::remote<order_in_task>(kitchen, 2)) == "stew for 2");
  CHECK(troupe::get(troupe::remote<waiter>().remote<&waiter::order>(3)) == "stew for 3");
  CHECK(troupe::get_pool<cook>("kitchen") == kitchen);
  CHECK(troupe::get(kitchen.remote<&cook::serve>(troupe::put(4))) == "stew for 4");
}

TEST_CASE("a shared pool's name is an actor's name") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 1, .name = "kitchen"});
  CHECK_THROWS_AS(troupe::shared_pool<cook>({.size = 1, .name = "kitchen"}),
                  troupe::actor_name_error);
  CHECK_THROWS_AS(troupe::get_pool<waiter>("kitchen"), troupe::actor_name_error);
  CHECK_THROWS_AS(troupe::get_pool<cook>("cellar"), troupe::actor_name_error);
  CHECK(troupe::shared_pool<cook>({.size = 1, .name = "kitchen", .get_if_exists = true}) ==
        kitchen);
}

TEST_CASE("a detached pool outlives its handles, another one ends with its last handle") {
  const auto session = start();
  {
    const troupe::shared_pool<cook> detached(
        {.size = 1, .name = "kitchen", .lifetime = troupe::lifetime::detached});
  }
  const auto kitchen = troupe::get_pool<cook>("kitchen");
  CHECK(troupe::get(kitchen.remote<&cook::serve>(1)) == "soup for 1");

  object_ref<std::string> sent_before;
  const troupe::test::promise<void> over;
  {
    const troupe::shared_pool<cook> scoped({.size = 1});
    troupe::on_exit(scoped.actor(), [over](const troupe::exit_info&) { over.set(); });
    sent_before = scoped.remote<&cook::serve>(2);
  }
  CHECK(troupe::get(sent_before) == "soup for 2");
  CHECK_NOTHROW(troupe::get(over.ref()));
}

TEST_CASE("many callers share the members of one pool") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 3});
  std::vector<object_ref<std::string>> orders;
  for (int i = 0; i < 300; ++i) orders.push_back(troupe::remote<order_in_task>(kitchen, i));
  for (int i = 0; i < 300; ++i) {
    REQUIRE(troupe::get(orders[static_cast<std::size_t>(i)]) == "soup for " + std::to_string(i));
  }
  const troupe::pool_stats stats = troupe::get(kitchen.stats());
  CHECK(stats.members == 3);
  CHECK(stats.waiting == 0);
}

TEST_CASE("more calls can wait in a shared pool than an actor has coroutines by default") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 1});
  gate busy;
  const auto held = kitchen.remote<&cook::hold>(busy.ref());
  std::vector<object_ref<std::string>> orders;
  for (int i = 0; i < 3000; ++i) orders.push_back(kitchen.remote<&cook::serve>(i));
  CHECK(troupe::get(kitchen.stats()).members == 1);  // a plain call is not stuck behind them
  busy.set(0);
  CHECK(troupe::get(orders).back() == "soup for 2999");
}

TEST_CASE("a shared pool's bound fails the call that is too many") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 1, .max_pending = 2});
  gate busy;
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(kitchen.remote<&cook::hold>(busy.ref()));
  int refused = 0;
  for (auto& ready : troupe::wait(calls, {.num_returns = 2}).ready) {
    CHECK_THROWS_AS(troupe::get(ready), troupe::pending_calls_limit_error);
    ++refused;
  }
  CHECK(refused == 2);
  busy.set(0);
}

TEST_CASE("a shared pool replaces its dead and sends their work again") {
  const auto session = start();
  runs = 0;
  const troupe::shared_pool<cook> kitchen({.size = 2});
  CHECK(troupe::get(kitchen.remote<&cook::faint>(2)) == 3);
  CHECK(troupe::get(kitchen.stats()).replaced == 2);
  CHECK_THROWS_WITH(troupe::get(kitchen.remote<&cook::burn>()),
                    Catch::Matchers::StartsWith("burnt"));
}

TEST_CASE("members can be pushed to a shared pool and taken out") {
  const auto session = start();
  const auto extra = troupe::remote<cook>("cake");
  const troupe::shared_pool<cook> kitchen({extra});
  CHECK_THROWS_AS(troupe::get(kitchen.push(extra)), std::invalid_argument);
  CHECK(troupe::get(kitchen.pop_idle()) == extra);
  CHECK(troupe::get(kitchen.pop_idle()) == std::nullopt);
  troupe::get(kitchen.push(extra));
  CHECK(troupe::get(kitchen.remote<&cook::serve>(1)) == "cake for 1");
}

TEST_CASE("calls of a shared pool take call options") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 1});
  gate busy;
  const auto late = kitchen.with({.timeout = 1ms}).remote<&cook::hold>(busy.ref());
  CHECK_THROWS_AS(troupe::get(late), troupe::task_timeout_error);
  CHECK(troupe::get(kitchen.remote<&cook::serve>(1)) == "soup for 1");
  busy.set(0);
}

TEST_CASE("the cancel of one caller does not touch the batch of the others") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 1});
  const auto wash = kitchen.batched<&cook::wash>({.max_batch_size = 3, .max_wait = 1h});
  const auto a = wash.remote(1);
  while (troupe::get(kitchen.stats()).waiting != 1) {
  }
  CHECK(troupe::cancel(a));
  const auto b = wash.remote(2);
  const auto c = wash.remote(3);
  CHECK(troupe::get(b) == 2);
  CHECK(troupe::get(c) == 3);
  CHECK_THROWS_AS(troupe::get(a), troupe::task_cancelled_error);
  CHECK(troupe::get(kitchen.batched<&cook::wash>().remote(troupe::put(4))) == 4);
}

TEST_CASE("a killed pool fails its calls and ends its members") {
  const auto session = start();
  const troupe::shared_pool<cook> kitchen({.size = 1});
  gate busy;
  const auto running = kitchen.remote<&cook::hold>(busy.ref());
  const auto waiting = kitchen.remote<&cook::serve>(1);
  troupe::kill(kitchen);
  CHECK_THROWS_AS(troupe::get(waiting), troupe::actor_died_error);
  CHECK_THROWS_AS(troupe::get(running), troupe::actor_died_error);
  CHECK_THROWS_AS(troupe::get(kitchen.remote<&cook::serve>(1)), troupe::actor_died_error);
  busy.set(0);
}

TEST_CASE("no member of a pool is left when the runtime has ended") {
  alive = 0;
  {
    const auto session = start();
    const troupe::shared_pool<cook> kitchen({.size = 4});
    troupe::get(kitchen.remote<&cook::serve>(1));
    troupe::actor_pool<cook> pool(4);
    troupe::get(pool.remote<&cook::serve>(1));
    CHECK(alive > 0);
  }
  CHECK(alive == 0);
}
