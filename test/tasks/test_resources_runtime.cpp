#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::with;
using amounts = std::map<std::string, double>;

namespace {

troupe::session start_with_resources() {
  return troupe::init({.num_cpus = 2,
                       .num_gpus = 1,
                       .resources = {{"disk", 1.5}, {"lock", 1}},
                       .memory = 1000,
                       .log_level = troupe::log_level::off});
}

bool all_free() {
  return eventually([] { return troupe::available_resources() == troupe::cluster_resources(); });
}

std::atomic<int> inside{0};
std::atomic<int> most_inside{0};

void enter() {
  const int now = ++inside;
  int seen = most_inside;
  while (seen < now && !most_inside.compare_exchange_weak(seen, now)) {
  }
  for (int i = 0; i < 20; ++i) std::this_thread::yield();
  --inside;
}

/// The largest number of tasks with these options that ran at once.
int most_at_once(const troupe::options& options, int count) {
  inside = 0;
  most_inside = 0;
  const auto bound = with(options);
  std::vector<object_ref<void>> refs;
  for (int i = 0; i < count; ++i) refs.push_back(bound.remote<enter>());
  fetch(refs);
  return most_inside;
}

}  // namespace

TEST_CASE("the runtime tells what it has and what of it is free") {
  const auto session = start_with_resources();
  CHECK(troupe::cluster_resources() ==
        amounts{{"CPU", 2}, {"GPU", 1}, {"disk", 1.5}, {"lock", 1}, {"memory", 1000}});
  CHECK(troupe::available_resources() == troupe::cluster_resources());
}

TEST_CASE("a running task holds what it asked for and gives it back at its end") {
  const auto session = start_with_resources();
  const signal began;
  const signal go;
  constexpr auto body = [](const signal& started, const signal& until) {
    started.raise();
    until.wait();
  };
  const auto ref = with({.num_cpus = 0.5,
                         .num_gpus = 0.25,
                         .memory = 600,
                         .resources = {{"disk", 0.7}, {"lock", 1}}})
                       .remote<body>(began, go);
  REQUIRE(began.wait());
  CHECK(troupe::available_resources() ==
        amounts{{"CPU", 1.5}, {"GPU", 0.75}, {"disk", 0.8}, {"lock", 0}, {"memory", 400}});
  go.raise();
  fetch(ref);
  CHECK(all_free());
}

TEST_CASE("an actor holds what it asked for as long as it lives") {
  const auto session = start_with_resources();
  struct worker {
    void ready() {}
  };
  {
    const auto actor = with({.num_cpus = 1, .resources = {{"disk", 1}}}).remote<worker>();
    fetch(actor.remote<&worker::ready>());
    CHECK(troupe::available_resources()["CPU"] == 1);
    CHECK(troupe::available_resources()["disk"] == 0.5);
  }
  CHECK(all_free());
}

TEST_CASE("ten tenths of a CPU are one CPU, exactly") {
  const auto session = start(1);
  constexpr auto meet = [](const signal& arrived) {
    arrived.raise();
    return arrived.wait(10);
  };
  const signal arrived;
  std::vector<object_ref<bool>> refs;
  const auto bound = with({.num_cpus = 0.1});
  for (int i = 0; i < 10; ++i) refs.push_back(bound.remote<meet>(arrived));
  for (const bool met : fetch(refs)) CHECK(met);
  CHECK(all_free());
}

TEST_CASE("no more than fit run at once, for every kind of resource") {
  const auto session = start_with_resources();
  CHECK(most_at_once({.resources = {{"lock", 1}}}, 200) == 1);
  CHECK(most_at_once({.num_cpus = 0, .num_gpus = 0.5}, 200) <= 2);
  CHECK(most_at_once({.num_cpus = 0, .num_gpus = 0.6}, 200) == 1);
  CHECK(most_at_once({.num_cpus = 0.1, .memory = 501}, 200) == 1);
  CHECK(most_at_once({.num_cpus = 0, .resources = {{"disk", 0.5}}}, 200) <= 3);
  CHECK(most_at_once({.num_cpus = 1}, 200) <= 2);
  CHECK(most_at_once({.num_cpus = 2}, 200) == 1);
  CHECK(most_at_once({.num_cpus = 1.5}, 200) == 1);
  CHECK(all_free());
}

TEST_CASE("a big request is not starved by an endless stream of small ones") {
  const auto session = start(2);
  static std::atomic<bool> big_ran{false};
  big_ran = false;
  struct stream {
    static void small() {
      if (!big_ran) remote<[] { small(); }>();
    }
  };
  for (int i = 0; i < 10; ++i) remote<[] { stream::small(); }>();
  fetch(with({.num_cpus = 2}).remote<[] { big_ran = true; }>());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("big requests of several resources come to run among small ones of each") {
  const auto session = start_with_resources();
  std::vector<object_ref<int>> refs;
  constexpr auto one = [] { return 1; };
  for (int i = 0; i < 300; ++i) {
    refs.push_back(with({.num_cpus = 0.5}).remote<one>());
    refs.push_back(with({.num_cpus = 0, .resources = {{"disk", 0.5}}}).remote<one>());
    if (i % 10 == 0) {
      refs.push_back(
          with({.num_cpus = 2, .num_gpus = 1, .resources = {{"disk", 1.5}}}).remote<one>());
    }
  }
  CHECK(fetch(refs) == std::vector<int>(630, 1));
  CHECK(all_free());
}

TEST_CASE("tasks of one shape begin in the order of their submission") {
  const auto session = start(1);
  static std::vector<int> order;
  order.clear();
  const signal go;
  const auto first = remote<[](const signal& s) { s.wait(); }>(go);
  std::vector<object_ref<void>> refs;
  for (int i = 0; i < 100; ++i) refs.push_back(remote<[](int x) { order.push_back(x); }>(i));
  go.raise();
  fetch(first);
  fetch(refs);
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
}

TEST_CASE("everything is free again after failures, cancellations, blocking and retries") {
  const auto session = start_with_resources();
  constexpr auto body = [](int i, object_ref<int> never) {
    if (i % 4 == 0) throw std::runtime_error("refused");
    if (i % 4 == 1) troupe::get(never);
    if (i % 4 == 2) troupe::get(remote<[] { return 1; }>());
    return i;
  };
  const promise<int> never;
  std::vector<object_ref<int>> refs;
  const auto bound = with({.num_cpus = 0.5,
                           .resources = {{"disk", 0.25}},
                           .max_retries = 1,
                           .retry_exceptions = troupe::exceptions<std::runtime_error>});
  for (int i = 0; i < 6; ++i) refs.push_back(bound.remote<body>(i, never.ref()));
  troupe::wait(refs, {.num_returns = 3, .timeout = patience});
  for (const auto& ref : refs) troupe::cancel(ref, {.force = true});
  CHECK(all_free());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}
