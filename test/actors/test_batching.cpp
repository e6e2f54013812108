// Batched methods of one actor: many callers' calls run together.
#include <algorithm>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/async.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::actor_died_error;
using troupe::actor_unavailable_error;
using troupe::batched;
using troupe::object_ref;
using troupe::outcome;
using troupe::remote;
using troupe::with;

namespace {

std::mutex mutex;
std::vector<std::vector<int>> seen;  // the batches, guarded by mutex

std::vector<std::vector<int>> take_seen() {
  const std::lock_guard guard(mutex);
  return std::exchange(seen, {});
}
void note(std::span<const int> batch) {
  const std::lock_guard guard(mutex);
  seen.emplace_back(batch.begin(), batch.end());
}

struct base {
  std::vector<int> inherited(std::span<const int> batch) { return {batch.begin(), batch.end()}; }
};

struct model : base {
  explicit model(signal s = {}) : ended(std::move(s)) { take_seen(); }

  int hold(signal inside, object_ref<int> until) {
    inside.raise();
    return troupe::get(until);
  }
  int plain(int x) {
    note(std::vector{-x});
    return x;
  }
  std::vector<int> twice(std::span<const int> batch) {
    note(batch);
    std::vector<int> results;
    for (const int x : batch) results.push_back(2 * x);
    return results;
  }
  std::vector<std::string> text(std::vector<int> batch) const {
    note(batch);
    std::vector<std::string> results;
    for (const int x : batch) results.push_back(std::to_string(x));
    return results;
  }
  void swallow(const std::vector<std::string>& batch) { swallowed += batch.size(); }
  std::vector<bool> signs(const std::vector<bool>& batch) { return batch; }
  std::vector<outcome<int>> roots(std::span<const int> batch) {
    std::vector<outcome<int>> results;
    for (const int x : batch) {
      if (x < 0) {
        results.emplace_back(std::make_exception_ptr(std::domain_error("a negative input")));
      } else {
        results.emplace_back(x / 2);
      }
    }
    return results;
  }
  std::vector<outcome<void>> check(std::span<const int> batch) {
    std::vector<outcome<void>> results(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (batch[i] < 0) results[i] = std::make_exception_ptr(std::domain_error("negative"));
    }
    return results;
  }
  std::vector<int> refuse(std::span<const int> batch) {
    note(batch);
    throw std::out_of_range("all of them");
  }
  std::vector<int> refuse_odd_batches(std::span<const int> batch) {
    note(batch);
    if (batch.size() > 1) throw std::out_of_range("only one by one");
    return {batch.begin(), batch.end()};
  }
  std::vector<int> lose_one(std::span<const int> batch) { return {batch.begin() + 1, batch.end()}; }
  std::vector<int> fail_with_13(std::span<const int> batch) {
    note(batch);
    if (std::find(batch.begin(), batch.end(), 13) != batch.end()) {
      troupe::this_actor::fail("unlucky");
    }
    return {batch.begin(), batch.end()};
  }
  std::vector<int> exit(std::span<const int>) { troupe::this_actor::exit(); }
  std::vector<int> stay(std::span<const int> batch, std::stop_token stop) {
    entered.raise();
    while (!stop.stop_requested()) std::this_thread::yield();
    return {batch.begin(), batch.end()};
  }
  troupe::async<std::vector<int>> later(std::span<const int> batch) {
    note(batch);
    const int more = co_await troupe::remote<&model::five>();
    std::vector<int> results;
    for (const int x : batch) results.push_back(x + more);
    co_return results;
  }
  troupe::async<std::vector<int>> wait_for(std::span<const object_ref<int>> batch) {
    entered.raise();
    std::vector<int> results;
    for (const object_ref<int>& one : batch) results.push_back(co_await one);
    co_return results;
  }
  static int five() { return 5; }

  static inline signal entered{};
  at_end ended;
  std::size_t swallowed = 0;
};

using batches = std::vector<std::vector<int>>;

/// Keeps an actor busy until it is let go.
struct busy {
  explicit busy(const troupe::actor_handle<model>& actor) {
    call = actor.remote<&model::hold>(entered, gate.ref());
    REQUIRE(entered.wait());
  }
  ~busy() { release(); }
  void release() {
    if (!std::exchange(released, true)) gate.set(0);
  }
  signal entered;
  promise<int> gate;
  object_ref<int> call;
  bool released = false;
};

template <auto M>
std::vector<object_ref<int>> ask(const troupe::actor_handle<model>& actor,
                                 std::vector<int> inputs) {
  std::vector<object_ref<int>> refs;
  for (const int x : inputs) refs.push_back(actor.remote<batched<M>>(x));
  return refs;
}

}  // namespace

TEST_CASE("calls that come while an actor is busy reach it as one batch") {
  const auto session = start();
  const auto m = with({.max_batch_size = 4}).remote<model>();
  busy held(m);
  const auto results = ask<&model::twice>(m, {1, 2, 3, 4, 5, 6});
  held.release();
  CHECK(fetch(results) == std::vector<int>{2, 4, 6, 8, 10, 12});
  CHECK(take_seen() == batches{{1, 2, 3, 4}, {5, 6}});
}

TEST_CASE("an idle actor takes a batched call at once when nothing asks to wait") {
  const auto session = start();
  const auto m = remote<model>();
  CHECK(fetch(m.remote<batched<&model::twice>>(1)) == 2);
  CHECK(fetch(m.remote<batched<&model::twice>>(2)) == 4);
  CHECK(take_seen() == batches{{1}, {2}});
}

TEST_CASE("an idle actor waits for a batch until it is full") {
  const auto session = start();
  const auto m = with({.max_batch_size = 3, .max_wait = 1h}).remote<model>();
  CHECK(fetch(ask<&model::twice>(m, {1, 2, 3})) == std::vector<int>{2, 4, 6});
  CHECK(take_seen() == batches{{1, 2, 3}});
}

TEST_CASE("a batch that is not full goes when max_wait has passed") {
  const auto session = start();
  const auto m = with({.max_batch_size = 100, .max_wait = 5ms}).remote<model>();
  for (int round = 0; round < 3; ++round) {
    CHECK(fetch(ask<&model::twice>(m, {1, 2})) == std::vector<int>{2, 4});
  }
}

TEST_CASE("a batched method may take a vector, be const, inherited, or give nothing") {
  const auto session = start();
  const auto m = remote<model>();
  CHECK(fetch(m.remote<batched<&model::text>>(7)) == "7");
  CHECK(fetch(m.remote<batched<&model::inherited>>(3)) == 3);
  fetch(m.remote<batched<&model::swallow>>("text"));
  CHECK(fetch(m.remote<batched<&model::signs>>(true)));
}

TEST_CASE("a batched method can be called with a whole batch, too") {
  const auto session = start();
  const auto m = remote<model>();
  CHECK(fetch(m.remote<&model::twice>(std::vector{1, 2})) == std::vector<int>{2, 4});
}

TEST_CASE("a call of a batch may wait for its argument, and holds up only its caller") {
  const auto session = start();
  const auto m = remote<model>();
  const promise<int> input;
  const auto late = m.remote<batched<&model::twice>>(input.ref());
  const auto after = m.remote<batched<&model::twice>>(1);
  input.set(4);
  CHECK(fetch(late) == 8);
  CHECK(fetch(after) == 2);
}

TEST_CASE("calls of one caller keep their order between batched and plain methods") {
  const auto session = start();
  const auto m = with({.max_batch_size = 8, .max_wait = 1h}).remote<model>();
  const auto first = ask<&model::twice>(m, {1, 2});
  const auto plain = m.remote<&model::plain>(3);
  const auto other = m.remote<batched<&model::text>>(4);
  const auto last = m.remote<&model::plain>(5);
  CHECK(fetch(last) == 5);
  CHECK(take_seen() == batches{{1, 2}, {-3}, {4}, {-5}});
  CHECK(fetch(first) == std::vector<int>{2, 4});
}

TEST_CASE("an error in one place of the results is that call's alone") {
  const auto session = start();
  const auto m = with({.max_batch_size = 3, .max_wait = 1h}).remote<model>();
  const auto refs = ask<&model::roots>(m, {4, -1, 6});
  CHECK(fetch(refs[0]) == 2);
  CHECK(message_of<std::domain_error>([&] { fetch(refs[1]); }) ==
        "a negative input [in {anonymous}::model::roots]");
  CHECK(fetch(refs[2]) == 3);
  const auto good = m.remote<batched<&model::check>>(1);
  const auto bad = m.remote<batched<&model::check>>(-1);
  m.remote<batched<&model::check>>(2);
  CHECK_NOTHROW(fetch(good));
  CHECK_THROWS_AS(fetch(bad), std::domain_error);
}

TEST_CASE("a batched method that throws fails each call of its batch") {
  const auto session = start();
  const auto m = with({.max_batch_size = 2, .max_wait = 1h}).remote<model>();
  for (const auto& ref : ask<&model::refuse>(m, {1, 2})) {
    CHECK_THROWS_AS(fetch(ref), std::out_of_range);
  }
  CHECK(fetch(ask<&model::twice>(m, {1, 2})) == std::vector<int>{2, 4});
}

TEST_CASE("a wrong number of results is an error that counts them") {
  const auto session = start();
  const auto m = with({.max_batch_size = 3, .max_wait = 1h}).remote<model>();
  for (const auto& ref : ask<&model::lose_one>(m, {1, 2, 3})) {
    CHECK_THAT(message_of<std::runtime_error>([&] { fetch(ref); }),
               contains("gave 2 results for a batch of 3 inputs"));
  }
}

TEST_CASE("what a batch threw is tried again call by call") {
  const auto session = start();
  const auto m = with({.max_batch_size = 3, .max_wait = 1h}).remote<model>();
  std::vector<object_ref<int>> refs;
  for (const int x : {1, 2, 3}) {
    refs.push_back(m.with({.retry_exceptions = true, .max_task_retries = 1})
                       .remote<batched<&model::refuse_odd_batches>>(x));
  }
  CHECK(fetch(refs) == std::vector<int>{1, 2, 3});
  CHECK(take_seen() == batches{{1, 2, 3}, {1}, {2}, {3}});
}

TEST_CASE("a call that is cancelled while it waits is left out of its batch") {
  const auto session = start();
  const auto m = remote<model>();
  busy held(m);
  const auto refs = ask<&model::twice>(m, {1, 2, 3});
  CHECK(troupe::cancel(refs[1]));
  CHECK_THROWS_AS(fetch(refs[1]), troupe::task_cancelled_error);
  held.release();
  CHECK(fetch(refs[0]) == 2);
  CHECK(fetch(refs[2]) == 6);
  CHECK(take_seen() == batches{{1, 3}});
}

TEST_CASE("a batch whose calls were all cancelled never runs") {
  const auto session = start();
  const auto m = remote<model>();
  busy held(m);
  for (const auto& ref : ask<&model::twice>(m, {1, 2})) CHECK(troupe::cancel(ref));
  held.release();
  fetch(m.remote<&model::plain>(0));
  CHECK(take_seen() == batches{{0}});
  CHECK(eventually([&] { return m.pending_calls() == 0; }));
}

TEST_CASE("a call's timeout ends it in its batch, and the others go on") {
  const auto session = start();
  const auto m = remote<model>();
  busy held(m);
  const auto late = m.with({.timeout = 1ms}).remote<batched<&model::twice>>(1);
  const auto good = m.remote<batched<&model::twice>>(2);
  CHECK_THROWS_AS(fetch(late), troupe::task_timeout_error);
  held.release();
  CHECK(fetch(good) == 4);
}

TEST_CASE("max_pending_calls bounds the calls that wait for a batch") {
  const auto session = start();
  const auto m =
      with({.max_pending_calls = 3, .max_batch_size = 8, .max_wait = 1h}).remote<model>();
  const auto refs = ask<&model::twice>(m, {1, 2, 3});
  CHECK_THROWS_AS(m.remote<batched<&model::twice>>(4), troupe::pending_calls_limit_error);
  CHECK(m.pending_calls() == 3);
  troupe::kill(m);
}

TEST_CASE("kill fails the calls that wait for a batch at once, and those in one that runs") {
  const auto session = start();
  const signal ended;
  const auto m = with({.max_batch_size = 2, .max_wait = 1h}).remote<model>(ended);
  const std::size_t before = model::entered.count();
  const auto running = ask<&model::stay>(m, {1, 2});
  REQUIRE(model::entered.wait(before + 1));
  const auto waiting = ask<&model::twice>(m, {3});
  troupe::kill(m);
  for (const auto& ref : running) CHECK_THROWS_AS(fetch(ref), actor_died_error);
  CHECK_THROWS_AS(fetch(waiting[0]), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("kill fails the calls of a batch that is suspended") {
  const auto session = start();
  const signal ended;
  const auto m = with({.max_batch_size = 2, .max_wait = 1h}).remote<model>(ended);
  const std::size_t before = model::entered.count();
  const promise<int> never;
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 2; ++i) refs.push_back(m.remote<batched<&model::wait_for>>(never.ref()));
  REQUIRE(model::entered.wait(before + 1));
  troupe::kill(m);
  for (const auto& ref : refs) CHECK_THROWS_AS(fetch(ref), actor_died_error);
  CHECK(ended.wait());
}

TEST_CASE("a batch that ends its actor fails with it, and so does what waits") {
  const auto session = start();
  const auto m = remote<model>();
  busy held(m);
  const auto leaving = ask<&model::exit>(m, {1, 2});
  const auto waiting = m.remote<&model::plain>(1);
  held.release();
  for (const auto& ref : leaving) CHECK_THROWS_AS(fetch(ref), actor_died_error);
  CHECK_THROWS_AS(fetch(waiting), actor_died_error);
}

TEST_CASE("a failure of the actor interrupts the calls of the batch that runs; others stay") {
  const auto session = start();
  const auto m = with({.max_restarts = 1, .max_batch_size = 2, .max_wait = 1h}).remote<model>();
  busy held(m);
  const auto unlucky = ask<&model::fail_with_13>(m, {13, 1});
  const auto waiting = ask<&model::fail_with_13>(m, {2, 3});
  held.release();
  for (const auto& ref : unlucky) CHECK_THROWS_AS(fetch(ref), actor_unavailable_error);
  CHECK(fetch(waiting) == std::vector<int>{2, 3});
}

TEST_CASE("after a failure a batch is tried again call by call: only the bad one fails") {
  const auto session = start();
  const auto m =
      with({.max_restarts = -1, .max_task_retries = 1, .max_batch_size = 3, .max_wait = 1h})
          .remote<model>();
  const auto refs = ask<&model::fail_with_13>(m, {1, 13, 2});
  CHECK(fetch(refs[0]) == 1);
  CHECK_THROWS_AS(fetch(refs[1]), actor_unavailable_error);
  CHECK(fetch(refs[2]) == 2);
}

TEST_CASE("calls that wait for their time outlive a restart of the actor") {
  const auto session = start();
  const auto m = with({.max_restarts = 1, .max_batch_size = 3, .max_wait = 20ms}).remote<model>();
  busy held(m);
  const auto refs = ask<&model::twice>(m, {1, 2});
  troupe::kill(m, {.no_restart = false});
  CHECK_THROWS_AS(fetch(held.call), actor_unavailable_error);
  held.release();
  CHECK(fetch(refs) == std::vector<int>{2, 4});
}

TEST_CASE("an actor without handles ends after the batch that was sent") {
  const auto session = start();
  const signal ended;
  auto m = with({.max_batch_size = 8, .max_wait = 5ms}).remote<model>(ended);
  const auto refs = ask<&model::twice>(m, {1, 2});
  m = {};
  CHECK(fetch(refs) == std::vector<int>{2, 4});
  CHECK(ended.wait());
}

TEST_CASE("a shutdown that drains lets batches go that wait") {
  auto session = start();
  const auto m = with({.max_batch_size = 8, .max_wait = 5ms}).remote<model>();
  const auto refs = ask<&model::twice>(m, {1, 2});
  session.shutdown({.drain = true, .timeout = patience});
  CHECK(fetch(refs) == std::vector<int>{2, 4});
}

TEST_CASE("a shutdown fails the calls that wait for a batch") {
  auto session = start();
  const auto m = with({.max_batch_size = 8, .max_wait = 1h}).remote<model>();
  const auto refs = ask<&model::twice>(m, {1, 2});
  session.shutdown();
  for (const auto& ref : refs) CHECK_THROWS_AS(fetch(ref), actor_died_error);
}

TEST_CASE("a coroutine runs batches that wait without the thread") {
  const auto session = start(1);
  const auto m = with({.max_batch_size = 2, .max_wait = 1h}).remote<model>();
  CHECK(fetch(ask<&model::later>(m, {1, 2, 3, 4})) == std::vector<int>{6, 7, 8, 9});
  CHECK(take_seen() == batches{{1, 2}, {3, 4}});
}

TEST_CASE("with max_concurrency batches run side by side") {
  const auto session = start();
  const auto m = with({.max_concurrency = 2, .max_batch_size = 2, .max_wait = 1h}).remote<model>();
  const std::size_t before = model::entered.count();
  const auto refs = ask<&model::stay>(m, {1, 2, 3, 4});
  CHECK(model::entered.wait(before + 2));
  troupe::kill(m);
  for (const auto& ref : refs) CHECK_THROWS_AS(fetch(ref), actor_died_error);
}

TEST_CASE("an actor tells of its batches: how large, how long they waited and took") {
  const auto session = start();
  const auto m = with({.max_batch_size = 3, .max_wait = 1h}).remote<model>();
  CHECK(fetch(m.batches()).empty());
  fetch(ask<&model::twice>(m, {1, 2, 3, 4, 5, 6}));
  const auto all = fetch(m.batches());
  REQUIRE(all.size() == 1);
  CHECK_THAT(all[0].method, contains("model::twice"));
  CHECK(all[0].calls == 6);
  CHECK(all[0].batches == 2);
  CHECK(all[0].sizes.buckets() == std::vector<troupe::histogram::bucket>{{3, 3, 2}});
  CHECK(all[0].waits.count() == 6);
  CHECK(all[0].latencies.quantile(1) >= all[0].waits.quantile(0.5));
}

TEST_CASE("a batched method that is exported is the one that others call") {
  namespace detail = troupe::detail;
  using target = detail::method_target<batched<&model::twice>, model>;
  detail::actor_call* const call = detail::make_call<detail::actor_call, target>(1);
  const auto own = detail::object_ptr::adopt(call);
  const auto exported = detail::registration<detail::call_reader<detail::actor_call, target>>::key;
  CHECK(call->remote_key() == exported);
  call->unpin();
}

TEST_CASE("options of batches are refused where they mean nothing") {
  const auto session = start();
  const auto m = remote<model>();
  CHECK_THROWS_AS(with({.max_wait = -1ms}).remote<model>(), std::invalid_argument);
  CHECK_THROWS_AS(with({.max_batch_size = 1, .max_wait = 1ms}).remote<model>(),
                  std::invalid_argument);
  CHECK_THROWS_AS(m.with({.max_batch_size = 2}), std::invalid_argument);
  CHECK_THROWS_AS(with({.max_wait = 1ms}).remote<&model::five>(), std::invalid_argument);
}

TEST_CASE("many threads call and cancel batched methods of one actor, and every call ends") {
  const auto session = start();
  const auto m = with({.max_batch_size = 7, .max_wait = 100us}).remote<model>();
  std::vector<std::jthread> threads;
  std::atomic<int> good{0};
  std::atomic<int> cancelled{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<object_ref<int>> refs;
      for (int i = 0; i < 500; ++i) {
        refs.push_back(i % 5 == 0 ? m.remote<&model::plain>(i)
                                  : m.remote<batched<&model::twice>>(i));
        if (i % 3 == 0) troupe::cancel(refs.back());
      }
      for (int i = 0; i < 500; ++i) {
        try {
          const int result = fetch(refs[i]);
          if (result == (i % 5 == 0 ? i : 2 * i)) ++good;
        } catch (const troupe::task_cancelled_error&) {
          ++cancelled;
        }
      }
    });
  }
  threads.clear();
  CHECK(good + cancelled == 2000);
  CHECK(eventually([&] { return m.pending_calls() == 0; }));
}
