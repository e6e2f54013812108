#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::connection_error;
using troupe::log_level;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

int add(int a, int b) { return a + b; }
int fail() { throw std::out_of_range("no such element"); }

struct counter {
  int next() { return ++value; }
  int value = 0;
};

}  // namespace

TEST_CASE("a second init is refused and the first runtime goes on") {
  const auto session = start();
  CHECK_THAT(message_of<std::logic_error>([] { const auto second = start(); }),
             contains("runs already"));
  CHECK(troupe::is_initialized());
  CHECK(fetch(remote<add>(1, 2)) == 3);
}

TEST_CASE("a second init that asks to be ignored shares the runtime and does not end it") {
  const auto session = start(3);
  {
    const auto second =
        troupe::init({.num_cpus = 1, .log_level = log_level::off, .ignore_reinit = true});
    CHECK(fetch(remote<add>(1, 2)) == 3);
  }
  CHECK(troupe::is_initialized());
  CHECK(troupe::cluster_resources().at("CPU") == 3);
}

TEST_CASE("the end of the session ends the runtime, wherever the session was moved") {
  CHECK_FALSE(troupe::is_initialized());
  {
    auto first = start();
    const auto second = std::move(first);
    CHECK(troupe::is_initialized());
  }
  CHECK_FALSE(troupe::is_initialized());
  auto session = start();
  session.shutdown();
  CHECK_FALSE(troupe::is_initialized());
  session.shutdown();
  session = start();
  CHECK(fetch(remote<add>(1, 2)) == 3);
}

TEST_CASE("a session that ended does not end a later runtime") {
  auto first = start();
  first.shutdown();
  const auto second = start();
  first.shutdown();
  CHECK(troupe::is_initialized());
}

TEST_CASE("shutdown without a runtime does nothing") {
  troupe::shutdown();
  troupe::shutdown({.drain = true, .timeout = 1ms});
  CHECK_FALSE(troupe::is_initialized());
}

TEST_CASE("without a runtime calls say what is missing") {
  { const auto session = start(); }
  const std::string why = message_of<connection_error>([] { remote<add>(1, 2); });
  CHECK_THAT(why, contains("remote") && contains("troupe::init"));
  CHECK_THROWS_AS(with({.num_cpus = 1}).remote<add>(1, 2), connection_error);
  CHECK_THROWS_AS(remote<counter>(), connection_error);
  CHECK_THROWS_AS(troupe::after(1ms), connection_error);
  CHECK_THROWS_AS(troupe::stats(), connection_error);
  CHECK_THROWS_AS(troupe::cluster_resources(), connection_error);
  CHECK_THROWS_AS(troupe::available_resources(), connection_error);
  CHECK_THROWS_AS(troupe::put(1).then([](int x) { return x; }), connection_error);
}

TEST_CASE("values and failures stay readable after the end") {
  object_ref<std::string> value;
  object_ref<int> failure;
  {
    const auto session = start();
    value = remote<[](int n) { return std::string(n, 'x'); }>(1000);
    failure = remote<fail>();
    fetch(value);
    CHECK_THROWS_AS(fetch(failure), std::out_of_range);
  }
  CHECK(troupe::get(value).size() == 1000);
  CHECK_THROWS_AS(troupe::get(failure), std::out_of_range);
  CHECK(troupe::view(value)->front() == 'x');
  CHECK(troupe::wait({value, failure}, {.num_returns = 2}).ready.size() == 2);
  CHECK(troupe::get(troupe::put(3)) == 3);
}

TEST_CASE("init and shutdown can take turns 50 times and leave no thread behind") {
  const auto bound = with({.num_cpus = 0.5, .name = "again"});
  std::size_t threads = 0;
  for (int round = 0; round < 50; ++round) {
    auto session = start();
    std::vector<object_ref<int>> refs;
    for (int i = 0; i < 20; ++i) refs.push_back(bound.remote<add>(round, i));
    const auto actor = remote<counter>();
    CHECK(fetch(actor.remote<&counter::next>()) == 1);
    CHECK(fetch(refs).back() == round + 19);
    fetch(troupe::after(0ms));
    session.shutdown();
    if (round == 0) threads = thread_count();
  }
  CHECK(eventually([&] { return thread_count() <= threads; }));
}

TEST_CASE("an invalid configuration starts nothing") {
  CHECK_THROWS_AS(troupe::init({.resources = {{"CPU", 1}}}), std::invalid_argument);
  CHECK_THROWS_AS(troupe::init({.num_cpus = -1}), std::invalid_argument);
  CHECK_THROWS_AS(troupe::init({.address = "10.0.0.1:6379"}), connection_error);
  CHECK_FALSE(troupe::is_initialized());
  const auto session = start();
  CHECK(fetch(remote<add>(1, 1)) == 2);
}

TEST_CASE("the command line goes before what the program sets") {
  const char* const argv[] = {"program", "--troupe-num-cpus=3", "--verbose", "input.txt"};
  const auto session = troupe::init(4, argv, {.num_cpus = 1, .log_level = log_level::off});
  CHECK(troupe::cluster_resources().at("CPU") == 3);
}

TEST_CASE("shutdown inside a task is refused") {
  const auto session = start();
  constexpr auto body = [] { troupe::shutdown(); };
  CHECK_THROWS_AS(fetch(remote<body>()), std::logic_error);
  CHECK(troupe::is_initialized());
}

TEST_CASE("several threads may shut down at once") {
  for (int round = 0; round < 10; ++round) {
    const auto session = start();
    remote<add>(1, 2);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([] { troupe::shutdown(); });
  }
  CHECK_FALSE(troupe::is_initialized());
}

TEST_CASE("a call that races with shutdown is refused or gets a result or an error") {
  for (int round = 0; round < 50; ++round) {
    auto session = start();
    std::vector<std::vector<object_ref<int>>> refs(2);
    const signal begun;
    {
      std::vector<std::jthread> callers;
      for (auto& own : refs) {
        callers.emplace_back([&own, begun] {
          begun.raise();
          try {
            for (int i = 0; i < 100'000; ++i) own.push_back(remote<add>(i, 1));
          } catch (const connection_error&) {
          }
        });
      }
      begun.wait(2);
      session.shutdown();
    }
    for (const auto& own : refs) {
      for (const auto& ref : own) {
        try {
          fetch(ref);
        } catch (const troupe::task_cancelled_error&) {
        }
      }
    }
  }
}
