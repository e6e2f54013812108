#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "actors/batch_queue_state.hpp"
#include "test/support/catch.hpp"

using namespace std::chrono_literals;
using troupe::actors::batch_queue_state;

namespace {

using turn = batch_queue_state::turn;
using ids = std::vector<batch_queue_state::call_id>;
constexpr auto plain = batch_queue_state::no_method;

batch_queue_state::time_point at(std::chrono::milliseconds time) {
  return batch_queue_state::time_point(time);
}

/// All that may run at a time.
std::vector<ids> turns(batch_queue_state& queue, std::chrono::milliseconds now) {
  std::vector<ids> all;
  while (auto one = queue.next(at(now))) all.push_back(one->calls);
  return all;
}

}  // namespace

TEST_CASE("calls that wait while something runs go as one batch, as many as fit") {
  batch_queue_state queue({.max_batch_size = 3});
  for (std::uintptr_t call = 1; call <= 7; ++call) queue.arrive(call, 0, 0, at(0ms));
  CHECK(turns(queue, 0ms) == std::vector<ids>{{1, 2, 3}, {4, 5, 6}, {7}});
  CHECK(queue.empty());
}

TEST_CASE("a batch waits for its time, counted from its first call") {
  batch_queue_state queue({.max_batch_size = 3, .max_wait = 10ms});
  queue.arrive(1, 0, 0, at(5ms));
  queue.arrive(2, 0, 0, at(12ms));
  CHECK(turns(queue, 14ms).empty());
  CHECK(queue.due() == at(15ms));
  CHECK(turns(queue, 15ms) == std::vector<ids>{{1, 2}});
  CHECK(!queue.due());
}

TEST_CASE("a full batch does not wait, and the next call begins another one") {
  batch_queue_state queue({.max_batch_size = 2, .max_wait = 1h});
  queue.arrive(1, 0, 0, at(0ms));
  queue.arrive(2, 0, 0, at(0ms));
  queue.arrive(3, 0, 0, at(1ms));
  CHECK(turns(queue, 1ms) == std::vector<ids>{{1, 2}});
  CHECK(queue.due() == at(1ms) + 1h);
}

TEST_CASE("a batch whose time has come takes further calls until it runs") {
  batch_queue_state queue({.max_batch_size = 4, .max_wait = 1ms});
  queue.arrive(1, 0, 0, at(0ms));
  queue.arrive(2, 0, 0, at(100ms));
  CHECK(turns(queue, 100ms) == std::vector<ids>{{1, 2}});
}

TEST_CASE("with batches of one nothing waits") {
  batch_queue_state queue({.max_batch_size = 1, .max_wait = 1h});
  queue.arrive(1, 0, 0, at(0ms));
  queue.arrive(2, 0, 0, at(0ms));
  CHECK(turns(queue, 0ms) == std::vector<ids>{{1}, {2}});
}

TEST_CASE("a plain call of another caller passes a batch that waits") {
  batch_queue_state queue({.max_batch_size = 8, .max_wait = 10ms});
  queue.arrive(1, 100, 0, at(0ms));
  queue.arrive(2, 200);
  CHECK(queue.next(at(0ms)) == turn{plain, {2}});
  CHECK(!queue.next(at(0ms)));
  CHECK(queue.next(at(10ms)) == turn{0, {1}});
}

TEST_CASE("a plain call of the same caller sends the batch before itself, at once") {
  batch_queue_state queue({.max_batch_size = 8, .max_wait = 1h});
  queue.arrive(1, 100, 0, at(0ms));
  queue.arrive(2, 200, 0, at(0ms));
  queue.arrive(3, 100);
  queue.arrive(4, 100, 0, at(0ms));
  CHECK(turns(queue, 0ms) == std::vector<ids>{{1, 2}, {3}});
  CHECK(queue.due() == at(0ms) + 1h);
}

TEST_CASE("each method has batches of its own") {
  batch_queue_state queue({.max_batch_size = 2, .max_wait = 1h});
  queue.arrive(1, 100, 0, at(0ms));
  queue.arrive(2, 200, 1, at(0ms));
  queue.arrive(3, 300, 0, at(0ms));
  queue.arrive(4, 400, 1, at(0ms));
  CHECK(queue.next(at(0ms)) == turn{0, {1, 3}});
  CHECK(queue.next(at(0ms)) == turn{1, {2, 4}});
}

TEST_CASE("without an order a caller's calls of two methods do not cut each other short") {
  batch_queue_state queue({.max_batch_size = 2, .max_wait = 1h, .ordered = false});
  for (std::uintptr_t call = 1; call <= 4; ++call) queue.arrive(call, 0, call % 2, at(0ms));
  CHECK(turns(queue, 0ms) == std::vector<ids>{{1, 3}, {2, 4}});
}

TEST_CASE("a call that is tried again goes alone and does not wait") {
  batch_queue_state queue({.max_batch_size = 8, .max_wait = 1h});
  queue.arrive_again(1, 100, 0);
  queue.arrive_again(2, 100, 0);
  CHECK(turns(queue, 0ms) == std::vector<ids>{{1}, {2}});
}

TEST_CASE("all that waits can be taken at once, in the order of its arrival") {
  batch_queue_state queue({.max_batch_size = 2, .max_wait = 1h});
  queue.arrive(1, 100, 0, at(0ms));
  queue.arrive(2, 200);
  CHECK(queue.take_any() == turn{0, {1}});
  CHECK(queue.take_any() == turn{plain, {2}});
  CHECK(!queue.take_any());
}

TEST_CASE("whatever arrives, every call runs once, batches keep their bound, callers their order") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    const std::size_t bound = 1 + below(5);
    batch_queue_state queue(
        {.max_batch_size = bound, .max_wait = std::chrono::milliseconds(below(20))});
    std::map<std::uintptr_t, std::uint64_t> caller_of;
    std::map<std::uint64_t, std::uintptr_t> last_of;
    std::size_t ran = 0;
    auto now = 0ms;
    const auto check = [&](const turn& one) {
      CHECK(one.calls.size() <= bound);
      for (const std::uintptr_t call : one.calls) {
        std::uintptr_t& last = last_of[caller_of.at(call)];
        CHECK(last < call);
        last = call;
        ++ran;
      }
    };
    std::uintptr_t call = 0;
    for (int step = 0; step < 200; ++step) {
      if (below(3) == 0) {
        now += std::chrono::milliseconds(below(10));
        if (const auto one = queue.next(at(now))) check(*one);
        continue;
      }
      const std::uint64_t caller = below(4);
      caller_of[++call] = caller;
      if (below(4) == 0) {
        queue.arrive(call, caller);
      } else if (below(10) == 0) {
        queue.arrive_again(call, caller, below(3));
      } else {
        queue.arrive(call, caller, below(3), at(now));
      }
    }
    while (const auto one = queue.next(at(now + 20ms))) check(*one);
    CHECK(queue.empty());
    CHECK(ran == call);
  }
}
