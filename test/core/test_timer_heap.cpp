#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "core/timer_heap.hpp"
#include "test/support/catch.hpp"

using troupe::core::timer_heap;
using namespace std::chrono_literals;

namespace {

using time_point = timer_heap<int>::time_point;

time_point at(std::chrono::milliseconds since_start) { return time_point{} + since_start; }

std::vector<int> drain(timer_heap<int>& timers, time_point now) {
  std::vector<int> popped;
  int value = 0;
  while (timers.pop_due(now, value)) popped.push_back(value);
  return popped;
}

}  // namespace

TEST_CASE("timers come out by due time and only when they are due") {
  timer_heap<int> timers;
  REQUIRE_FALSE(timers.next());
  timers.add(at(30ms), 3);
  timers.add(at(10ms), 1);
  timers.add(at(20ms), 2);
  REQUIRE(timers.next() == at(10ms));
  REQUIRE(drain(timers, at(9ms)).empty());
  REQUIRE(drain(timers, at(20ms)) == std::vector{1, 2});
  REQUIRE(timers.size() == 1);
  REQUIRE(drain(timers, at(1s)) == std::vector{3});
  REQUIRE(timers.empty());
}

TEST_CASE("timers of the same time come out in the order they were added") {
  timer_heap<int> timers;
  std::vector<int> expected;
  for (int i = 0; i < 100; ++i) {
    timers.add(at(5ms), i);
    expected.push_back(i);
  }
  REQUIRE(drain(timers, at(5ms)) == expected);
}

TEST_CASE("a cancelled timer never comes out and cannot be cancelled again") {
  timer_heap<int> timers;
  const auto first = timers.add(at(1ms), 1);
  const auto second = timers.add(at(2ms), 2);
  REQUIRE(first != 0);
  REQUIRE(timers.cancel(first));
  REQUIRE_FALSE(timers.cancel(first));
  REQUIRE(timers.next() == at(2ms));
  REQUIRE(drain(timers, at(5ms)) == std::vector{2});
  REQUIRE_FALSE(timers.cancel(second));
  REQUIRE_FALSE(timers.cancel(0));
  REQUIRE_FALSE(timers.cancel(12345));
}

TEST_CASE("an old id does not cancel the timer that took its place") {
  timer_heap<int> timers;
  const auto old = timers.add(at(1ms), 1);
  REQUIRE(timers.cancel(old));
  const auto fresh = timers.add(at(1ms), 2);
  REQUIRE(fresh != old);
  REQUIRE_FALSE(timers.cancel(old));
  REQUIRE(timers.size() == 1);
}

TEST_CASE("cancelling destroys the payload at once and payloads may be move-only") {
  timer_heap<std::unique_ptr<std::shared_ptr<int>>> timers;
  const auto watched = std::make_shared<int>(7);
  const auto gone = timers.add(at(1ms), std::make_unique<std::shared_ptr<int>>(watched));
  timers.add(at(2ms), std::make_unique<std::shared_ptr<int>>(watched));
  REQUIRE(watched.use_count() == 3);
  REQUIRE(timers.cancel(gone));
  REQUIRE(watched.use_count() == 2);
  std::unique_ptr<std::shared_ptr<int>> popped;
  REQUIRE(timers.pop_due(at(2ms), popped));
  REQUIRE(**popped == 7);
}

TEST_CASE("a payload that is destroyed may use the heap") {
  struct adds_when_destroyed {
    explicit adds_when_destroyed(timer_heap<std::shared_ptr<void>>& t) : timers(&t) {}
    timer_heap<std::shared_ptr<void>>* timers;
    ~adds_when_destroyed() {
      for (int i = 0; i < 100; ++i) timers->add(at(3ms), nullptr);
    }
  };
  timer_heap<std::shared_ptr<void>> timers;
  const auto id = timers.add(at(1ms), std::make_shared<adds_when_destroyed>(timers));
  timers.add(at(2ms), nullptr);
  REQUIRE(timers.cancel(id));
  REQUIRE(timers.size() == 101);
}

TEST_CASE("timers behave as a sorted multimap under random use") {
  std::mt19937 random(20240611);
  timer_heap<int> timers;
  std::multimap<time_point, std::pair<timer_heap<int>::id, int>> model;
  int next_value = 0;
  time_point now = at(0ms);
  for (int step = 0; step < 20'000; ++step) {
    const auto choice = random() % 10;
    if (choice < 5) {
      const time_point due = now + std::chrono::milliseconds(random() % 50);
      model.emplace(due, std::pair{timers.add(due, next_value), next_value});
      ++next_value;
    } else if (choice < 8 && !model.empty()) {
      const auto victim =
          std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
      REQUIRE(timers.cancel(victim->second.first));
      model.erase(victim);
    } else {
      now += std::chrono::milliseconds(random() % 10);
      std::vector<int> expected;
      while (!model.empty() && model.begin()->first <= now) {
        expected.push_back(model.begin()->second.second);
        model.erase(model.begin());
      }
      REQUIRE(drain(timers, now) == expected);
    }
    REQUIRE(timers.size() == model.size());
    REQUIRE(timers.next().has_value() == !model.empty());
    if (!model.empty()) REQUIRE(*timers.next() == model.begin()->first);
  }
}
