#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::any_ref;
using troupe::object_ref;
using troupe::remote;
using troupe::wait;
using ref_list = std::vector<object_ref<int>>;

namespace {

struct waiting {
  explicit waiting(std::size_t count) : promises(count) {
    for (const auto& p : promises) all.push_back(p.ref());
  }
  std::vector<promise<int>> promises;
  ref_list all;
};

int same(int x) { return x; }

}  // namespace

TEST_CASE("wait gives what is ready and what is not, both in input order") {
  const waiting w(5);
  w.promises[3].set(3);
  w.promises[1].set(1);
  auto [ready, rest] = wait(w.all, {.num_returns = 2});
  CHECK(ready == ref_list{w.all[1], w.all[3]});
  CHECK(rest.to_vector() == ref_list{w.all[0], w.all[2], w.all[4]});
}

TEST_CASE("wait returns at most num_returns, the first in input order") {
  const waiting w(4);
  for (const auto& p : w.promises) p.set(0);
  auto [ready, rest] = wait(w.all, {.num_returns = 3});
  CHECK(ready == ref_list{w.all[0], w.all[1], w.all[2]});
  CHECK(rest.to_vector() == ref_list{w.all[3]});
  CHECK(wait(w.all).ready == ref_list{w.all[0]});
}

TEST_CASE("a failed object counts as ready") {
  const waiting w(2);
  w.promises[1].fail(std::runtime_error("broken"));
  auto [ready, rest] = wait(w.all);
  REQUIRE(ready.size() == 1);
  CHECK(ready.front().failed());
  CHECK_THROWS_AS(fetch(ready.front()), std::runtime_error);
}

TEST_CASE("wait blocks until enough are ready") {
  const auto session = start();
  const waiting w(3);
  constexpr auto complete = [](const std::vector<promise<int>>& promises) {
    for (const auto& p : promises) p.set(1);
  };
  const auto done = remote<complete>(w.promises);
  CHECK(wait(w.all, {.num_returns = 3, .timeout = patience}).ready.size() == 3);
  fetch(done);
}

TEST_CASE("wait returns fewer at its timeout and never throws for that") {
  const waiting w(3);
  w.promises[2].set(2);
  auto [ready, rest] = wait(w.all, {.num_returns = 3, .timeout = 1ms});
  CHECK(ready == ref_list{w.all[2]});
  CHECK(rest.size() == 2);
  CHECK(wait(w.all, {.num_returns = 3, .timeout = 0ms}).ready.size() == 1);
  CHECK(wait(ref_list{w.all[0]}, {.timeout = 0ms}).ready.empty());
  CHECK(wait(ref_list{w.all[0]}, {.timeout = -1ms}).ready.empty());
}

TEST_CASE("a ref that stands twice, an empty ref and a bad num_returns are refused") {
  const waiting w(2);
  CHECK_THROWS_AS(wait(ref_list{w.all[0], w.all[0]}), std::invalid_argument);
  CHECK_THROWS_AS(wait(ref_list{w.all[0], object_ref<int>{}}), std::invalid_argument);
  CHECK_THROWS_AS(wait(w.all, {.num_returns = 0}), std::invalid_argument);
  CHECK_THAT(message_of<std::invalid_argument>([&] { wait(w.all, {.num_returns = 3}); }),
             contains("num_returns is 3 for 2 refs"));
}

TEST_CASE("wait of nothing returns nothing") {
  auto [ready, rest] = wait(ref_list{});
  CHECK(ready.empty());
  CHECK(rest.empty());
  CHECK(rest.begin() == rest.end());
}

TEST_CASE("refs of several types are waited for together") {
  const promise<int> number;
  const promise<std::string> word;
  const promise<void> event;
  word.set("word");
  auto [ready, rest] = wait({number.ref(), word.ref(), event.ref()});
  REQUIRE(ready.size() == 1);
  CHECK(ready.front().is<std::string>());
  CHECK(fetch(ready.front().as<std::string>()) == "word");
  CHECK_THROWS_AS(ready.front().as<int>(), std::invalid_argument);
  const std::vector<any_ref> left = rest;
  CHECK(left == std::vector<any_ref>{number.ref(), event.ref()});
  CHECK(left[0] == number.ref());
}

TEST_CASE("the rest of a wait is passed on to the next one until it is empty") {
  waiting w(10);
  auto rest = troupe::ref_set(w.all);
  for (int i = 9; i >= 0; --i) {
    w.promises[i].set(i);
    auto result = wait(std::move(rest), {.timeout = patience});
    REQUIRE(result.ready.size() == 1);
    CHECK(fetch(result.ready.front()) == i);
    rest = std::move(result.rest);
    CHECK(rest.size() == static_cast<std::size_t>(i));
  }
  CHECK(rest.empty());
  CHECK(wait(std::move(rest)).ready.empty());
}

TEST_CASE("100,000 refs are drained one by one as they complete") {
  const auto session = start();
  constexpr int count = 100'000;
  ref_list all;
  for (int i = 0; i < count; ++i) all.push_back(remote<same>(i));
  auto rest = troupe::ref_set(std::move(all));
  long sum = 0;
  while (!rest.empty()) {
    auto result = wait(std::move(rest), {.timeout = patience});
    REQUIRE(result.ready.size() == 1);
    sum += fetch(result.ready.front());
    rest = std::move(result.rest);
  }
  CHECK(sum == 4'999'950'000);
}

TEST_CASE("as_completed gives refs in the order of their completion") {
  waiting w(3);
  w.promises[2].set(2);
  std::vector<int> order;
  for (const object_ref<int>& ref : troupe::as_completed(w.all)) {
    order.push_back(fetch(ref));
    if (order.size() == 1) w.promises[0].set(0);
    if (order.size() == 2) w.promises[1].set(1);
  }
  CHECK(order == std::vector<int>{2, 0, 1});
}

TEST_CASE("as_completed gives failed refs, too, and ends after the last") {
  waiting w(3);
  w.promises[1].fail(std::range_error("failed"));
  w.promises[0].set(1);
  w.promises[2].set(1);
  int seen = 0;
  int failed = 0;
  for (const object_ref<int>& ref : troupe::as_completed(w.all)) {
    ++seen;
    if (ref.failed()) ++failed;
  }
  CHECK(seen == 3);
  CHECK(failed == 1);
  for (const auto& ref : troupe::as_completed(ref_list{})) fetch(ref);
}

TEST_CASE("as_completed over running tasks gives all of them") {
  const auto session = start();
  ref_list all;
  for (int i = 0; i < 1000; ++i) all.push_back(remote<same>(i));
  std::vector<int> seen;
  for (const auto& ref : troupe::as_completed(all)) seen.push_back(fetch(ref));
  std::sort(seen.begin(), seen.end());
  CHECK(seen.size() == 1000);
  CHECK(seen.back() == 999);
}

TEST_CASE("many threads wait for the same refs") {
  const auto session = start();
  const waiting w(100);
  constexpr auto waiter = [](const ref_list& all) {
    return wait(all, {.num_returns = all.size(), .timeout = patience}).ready.size();
  };
  std::vector<object_ref<std::size_t>> counts;
  for (int i = 0; i < 20; ++i) counts.push_back(remote<waiter>(w.all));
  for (const auto& p : w.promises) p.set(1);
  CHECK(fetch(counts) == std::vector<std::size_t>(20, 100));
}

TEST_CASE("a wait that is given up leaves nothing behind") {
  waiting w(50);
  for (int round = 0; round < 20; ++round) {
    CHECK(wait(w.all, {.num_returns = 50, .timeout = 0ms}).ready.empty());
  }
  for (const auto& p : w.promises) p.set(1);
  CHECK(wait(w.all, {.num_returns = 50}).ready.size() == 50);
}
