#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
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

std::mutex mutex;
std::vector<std::vector<int>> seen;  // the batches, guarded by mutex
std::atomic<int> deaths_left{0};

std::vector<std::vector<int>> take_seen() {
  const std::lock_guard guard(mutex);
  return std::exchange(seen, {});
}

struct model {
  int hold(object_ref<int> until) { return troupe::get(until); }
  std::vector<int> twice(std::vector<int> batch) {
    {
      const std::lock_guard guard(mutex);
      seen.push_back(batch);
    }
    for (int& x : batch) x *= 2;
    return batch;
  }
  std::vector<std::string> text(std::span<const int> batch) const {
    std::vector<std::string> all;
    for (const int x : batch) all.push_back(std::to_string(x));
    return all;
  }
  void swallow(const std::vector<std::string>&) {}
  std::vector<int> refuse_negative(std::vector<int> batch) {
    for (const int x : batch) {
      if (x < 0) throw std::domain_error("negative");
    }
    return batch;
  }
  std::vector<int> lose_one(std::vector<int> batch) {
    batch.pop_back();
    return batch;
  }
  std::vector<int> die_of_13(std::vector<int> batch) {
    twice(batch);
    const bool poisoned = std::find(batch.begin(), batch.end(), 13) != batch.end();
    if (poisoned && deaths_left-- > 0) troupe::this_actor::fail("unlucky");
    return batch;
  }
  std::vector<bool> signs(const std::vector<int>& batch) {
    std::vector<bool> all;
    for (const int x : batch) all.push_back(x < 0);
    return all;
  }
};

using batches = std::vector<std::vector<int>>;

}  // namespace

TEST_CASE("inputs that come while the members are busy reach one of them as a batch") {
  const auto session = start();
  take_seen();
  troupe::actor_pool<model> pool(1);
  const auto twice = pool.batched<&model::twice>({.max_batch_size = 4});
  troupe::get(pool.remote<&model::hold>(troupe::put(0)));  // it has started
  gate busy;
  const auto held = pool.remote<&model::hold>(busy.ref());
  std::vector<object_ref<int>> results;
  for (int i = 0; i < 6; ++i) results.push_back(twice.remote(i));
  CHECK(pool.stats().waiting == 6);
  busy.set(0);
  CHECK(troupe::get(results) == std::vector<int>{0, 2, 4, 6, 8, 10});
  CHECK(take_seen() == batches{{0, 1, 2, 3}, {4, 5}});
}

TEST_CASE("an idle member takes an input at once when nothing asks to wait") {
  const auto session = start();
  take_seen();
  troupe::actor_pool<model> pool(1);
  const auto twice = pool.batched<&model::twice>({.max_batch_size = 1000});
  CHECK(troupe::get(twice.remote(1)) == 2);
  CHECK(troupe::get(twice.remote(2)) == 4);
  CHECK(take_seen() == batches{{1}, {2}});
}

TEST_CASE("max_wait gathers inputs while members are idle, until a batch is full") {
  const auto session = start();
  take_seen();
  troupe::actor_pool<model> pool(1);
  const auto twice = pool.batched<&model::twice>({.max_batch_size = 3, .max_wait = 1h});
  const auto a = twice.remote(1);
  const auto b = twice.remote(2);
  CHECK(pool.stats().waiting == 2);
  const auto c = twice.remote(3);
  CHECK(troupe::get(std::vector{a, b, c}) == std::vector<int>{2, 4, 6});
  CHECK(take_seen() == batches{{1, 2, 3}});
}

TEST_CASE("an input that waits for others goes alone when max_wait has passed") {
  const auto session = start();
  troupe::actor_pool<model> pool(1);
  CHECK(troupe::get(pool.batched<&model::twice>({.max_wait = 1ms}).remote(4)) == 8);
}

TEST_CASE("a method may take a span or give nothing for its batch") {
  const auto session = start();
  troupe::actor_pool<model> pool(2);
  CHECK(troupe::get(pool.batched<&model::text>().remote(7)) == "7");
  CHECK_NOTHROW(troupe::get(pool.batched<&model::swallow>().remote("x")));
  CHECK(troupe::get(pool.batched<&model::signs>().remote(-1)));
  CHECK(troupe::get(pool.batched<&model::text>().remote(troupe::put(8))) == "8");
}

TEST_CASE("what a batch throws is the result of each of its inputs and of no other") {
  const auto session = start();
  troupe::actor_pool<model> pool(1);
  const auto calls = pool.batched<&model::refuse_negative>({.max_batch_size = 2});
  gate busy;
  const auto held = pool.remote<&model::hold>(busy.ref());
  const auto a = calls.remote(1);
  const auto b = calls.remote(-1);
  const auto c = calls.remote(3);
  busy.set(0);
  CHECK_THROWS_AS(troupe::get(a), std::domain_error);
  CHECK_THROWS_WITH(troupe::get(b), Catch::Matchers::Contains("negative"));
  CHECK(troupe::get(c) == 3);
}

TEST_CASE("a batch with too few results fails with a message that counts them") {
  const auto session = start();
  troupe::actor_pool<model> pool(1);
  const auto result = pool.batched<&model::lose_one>().remote(1);
  CHECK_THROWS_WITH(troupe::get(result),
                    Catch::Matchers::Contains("gave 0 results for a batch of 1 inputs"));
  CHECK_THROWS_WITH(troupe::get(result), Catch::Matchers::Contains("lose_one"));
}

TEST_CASE("a cancelled input is left out of its batch") {
  const auto session = start();
  take_seen();
  troupe::actor_pool<model> pool(1);
  const auto twice = pool.batched<&model::twice>();
  gate busy;
  const auto held = pool.remote<&model::hold>(busy.ref());
  const auto a = twice.remote(1);
  const auto b = twice.remote(2);
  const auto c = twice.remote(3);
  CHECK(troupe::cancel(b));
  busy.set(0);
  CHECK(troupe::get(c) == 6);
  CHECK(troupe::get(a) == 2);
  CHECK_THROWS_AS(troupe::get(b), troupe::task_cancelled_error);
  CHECK(take_seen() == batches{{1, 3}});
}

TEST_CASE("the inputs of a batch whose member died are sent again one by one") {
  const auto session = start();
  take_seen();
  troupe::actor_pool<model> pool({.size = 1, .max_attempts = 3});
  const auto calls = pool.batched<&model::die_of_13>();
  deaths_left = 2;
  gate busy;
  const auto held = pool.remote<&model::hold>(busy.ref());
  std::vector<object_ref<int>> results;
  for (const int x : {12, 13, 14}) results.push_back(calls.remote(x));
  busy.set(0);
  CHECK(troupe::get(results) == std::vector<int>{12, 13, 14});
  batches all = take_seen();  // 14 may overtake 13, whose death is heard of in two ways
  std::sort(all.begin(), all.end());
  CHECK(all == batches{{12}, {12, 13, 14}, {13}, {13}, {14}});
}

TEST_CASE("an input that kills each member fails, its neighbours do not") {
  const auto session = start();
  troupe::actor_pool<model> pool({.size = 2, .max_attempts = 2});
  const auto calls = pool.batched<&model::die_of_13>({.max_batch_size = 3, .max_wait = 1h});
  deaths_left = 1000;
  std::vector<object_ref<int>> results;
  for (const int x : {12, 13, 14}) results.push_back(calls.remote(x));
  CHECK(troupe::get(results[0]) == 12);
  CHECK(troupe::get(results[2]) == 14);
  CHECK_THROWS_AS(troupe::get(results[1]), troupe::actor_died_error);
}

TEST_CASE("a range of inputs can be mapped in batches") {
  const auto session = start();
  take_seen();
  troupe::actor_pool<model> pool(2);
  std::vector<int> inputs(500);
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<int>(i);
  int next = 0;
  for (const int x : pool.batched<&model::twice>({.max_batch_size = 64}).map(inputs)) {
    REQUIRE(x == 2 * next++);
  }
  CHECK(next == 500);
  int count = 0;
  for ([[maybe_unused]] const int x : pool.batched<&model::twice>().map_unordered(inputs)) ++count;
  CHECK(count == 500);
}

TEST_CASE("inputs that wait when the runtime ends fail") {
  object_ref<int> waiting;
  {
    const auto session = start();
    troupe::actor_pool<model> pool(1);
    waiting = pool.batched<&model::twice>({.max_wait = 1h}).remote(1);
    SECTION("with their pool") {}
    SECTION("before their pool") { troupe::shutdown(); }
  }
  CHECK(waiting.failed());
}

TEST_CASE("inputs of a pool that was dropped are worked off") {
  const auto session = start();
  object_ref<int> result;
  { result = troupe::actor_pool<model>(1).batched<&model::twice>().remote(21); }
  CHECK(troupe::get(result) == 42);
}

TEST_CASE("inputs that no member can ever get fail with their pool") {
  const auto session = start();
  object_ref<int> result;
  {
    troupe::actor_pool<model> empty(std::vector<troupe::actor_handle<model>>{});
    result = empty.batched<&model::twice>().remote(21);
  }
  CHECK(result.failed());
}

TEST_CASE("batch options out of range are refused") {
  const auto session = start();
  troupe::actor_pool<model> pool(1);
  CHECK_THROWS_AS(pool.batched<&model::twice>({.max_batch_size = 0}), std::invalid_argument);
  CHECK_THROWS_AS(pool.batched<&model::twice>({.max_wait = -1ms}), std::invalid_argument);
}
