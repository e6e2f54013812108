// Runners of concurrent actors that come, go and are killed under load.
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::actor_died_error;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct server {
  explicit server(signal s = {}) : ended(std::move(s)) {}
  int count() { return ++total; }
  at_end ended;
  std::atomic<int> total{0};
};

}  // namespace

TEST_CASE("no call of a concurrent actor is lost or run twice under many callers") {
  const auto session = start();
  for (const int limit : {2, 3, 8}) {
    const auto s = with({.max_concurrency = limit,
                         .groups = {{.name = "a", .limit = 1}, {.name = "b", .limit = 4}}})
                       .remote<server>();
    constexpr int callers = 4;
    constexpr int count = 2000;
    std::vector<std::vector<object_ref<int>>> calls(callers);
    {
      std::vector<std::jthread> threads;
      for (auto& mine : calls) {
        threads.emplace_back([&s, &mine] {
          const auto a = s.with({.concurrency_group = "a"});
          const auto b = s.with({.concurrency_group = "b"});
          for (int i = 0; i < count; i += 4) {
            mine.push_back(s.remote<&server::count>());
            mine.push_back(a.remote<&server::count>());
            mine.push_back(b.remote<&server::count>());
            mine.push_back(s.remote<&server::count>());
          }
        });
      }
    }
    std::vector<int> results;
    for (const auto& mine : calls) {
      for (const int n : fetch(mine)) results.push_back(n);
    }
    std::sort(results.begin(), results.end());
    bool each_once = true;
    for (int i = 0; i < callers * count; ++i) each_once &= results[i] == i + 1;
    REQUIRE(each_once);
  }
}

TEST_CASE("kill that races with the runners of a concurrent actor ends every call") {
  const auto session = start();
  const signal ended;
  constexpr int rounds = 200;
  for (int round = 0; round < rounds; ++round) {
    const auto s =
        with({.max_concurrency = 3, .groups = {{.name = "a", .limit = 2}}}).remote<server>(ended);
    std::vector<object_ref<int>> calls;
    {
      std::jthread killer([s] { troupe::kill(s); });
      for (int i = 0; i < 50; ++i) {
        calls.push_back(s.remote<&server::count>());
        calls.push_back(s.with({.concurrency_group = "a"}).remote<&server::count>());
      }
    }
    for (const auto& call : calls) {
      try {
        fetch(call);
      } catch (const actor_died_error&) {
      }
    }
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}
