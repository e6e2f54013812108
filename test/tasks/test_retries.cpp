#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

/// Fails in its first attempts, then tells how many there were.
template <class Error>
int flaky(int failures, const signal& ran) {
  ran.raise();
  const int attempt = troupe::this_task::attempt();
  if (attempt < failures) throw Error("attempt " + std::to_string(attempt));
  return attempt;
}

struct transient : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct very_transient : transient {
  using transient::transient;
};

constexpr int never_well = 1'000'000;

}  // namespace

TEST_CASE("a task that throws is not retried unless it was asked for") {
  const auto session = start();
  const signal ran;
  CHECK_THROWS_AS(fetch(remote<flaky<transient>>(1, ran)), transient);
  CHECK_THROWS_AS(fetch(with({.max_retries = 5}).remote<flaky<transient>>(1, ran)), transient);
  CHECK(ran.count() == 2);
}

TEST_CASE("a task that throws is retried until it succeeds") {
  const auto session = start();
  const signal ran;
  CHECK(
      fetch(with({.max_retries = 5, .retry_exceptions = true}).remote<flaky<transient>>(3, ran)) ==
      3);
  CHECK(ran.count() == 4);
}

TEST_CASE("a task runs once more than max_retries says and the last error is seen") {
  const auto session = start();
  const signal ran;
  const auto ref = with({.name = "flaky", .max_retries = 2, .retry_exceptions = true})
                       .remote<flaky<std::range_error>>(never_well, ran);
  CHECK_THAT(message_of<std::range_error>([&] { fetch(ref); }), contains("attempt 2"));
  CHECK(ran.count() == 3);
  CHECK(ref.failure()->frames == std::vector<std::string>{"flaky"});
}

TEST_CASE("three retries are the default and zero are none") {
  const auto session = start();
  const signal by_default;
  CHECK_THROWS_AS(
      fetch(with({.retry_exceptions = true}).remote<flaky<transient>>(never_well, by_default)),
      transient);
  CHECK(by_default.count() == 4);
  const signal none;
  CHECK_THROWS_AS(fetch(with({.max_retries = 0, .retry_exceptions = true})
                            .remote<flaky<transient>>(never_well, none)),
                  transient);
  CHECK(none.count() == 1);
}

TEST_CASE("max_retries -1 goes on until it succeeds") {
  const auto session = start();
  const signal ran;
  CHECK(fetch(with({.max_retries = -1, .retry_exceptions = true})
                  .remote<flaky<transient>>(1000, ran)) == 1000);
  CHECK(ran.count() == 1001);
}

TEST_CASE("a predicate decides which exceptions are retried") {
  const auto session = start();
  constexpr auto hopeful = [](const std::exception& e) {
    return std::string(e.what()).find("attempt 0") != std::string::npos;
  };
  const auto bound = with({.max_retries = 10, .retry_exceptions = hopeful});
  const signal ran;
  CHECK(fetch(bound.remote<flaky<transient>>(1, ran)) == 1);
  CHECK_THROWS_AS(fetch(bound.remote<flaky<transient>>(5, ran)), transient);
  CHECK(ran.count() == 4);
  constexpr auto throw_int = []() -> int { throw 3; };
  CHECK_THROWS_AS(fetch(bound.remote<throw_int>()), int);
}

TEST_CASE("a list of types decides which exceptions are retried, derived ones included") {
  const auto session = start();
  const auto bound =
      with({.retry_exceptions = troupe::exceptions<transient, std::domain_error, int>});
  const signal ran;
  CHECK(fetch(bound.remote<flaky<transient>>(2, ran)) == 2);
  CHECK(fetch(bound.remote<flaky<very_transient>>(2, ran)) == 2);
  CHECK(fetch(bound.remote<flaky<std::domain_error>>(2, ran)) == 2);
  CHECK_THROWS_AS(fetch(bound.remote<flaky<std::runtime_error>>(2, ran)), std::runtime_error);
  constexpr auto odd = [] {
    if (troupe::this_task::attempt() == 0) throw 3;
    return 1;
  };
  CHECK(fetch(bound.remote<odd>()) == 1);
}

TEST_CASE("an error that came by get from another task is matched by its type, too") {
  const auto session = start();
  constexpr auto source = [](int attempt) {
    if (attempt < 2) throw std::range_error("source");
    return attempt;
  };
  constexpr auto asks = [source] {
    return troupe::get(remote<source>(troupe::this_task::attempt()));
  };
  CHECK(fetch(with({.retry_exceptions = troupe::exceptions<std::range_error>}).remote<asks>()) ==
        2);
}

TEST_CASE("a failed argument is no reason for another attempt") {
  const auto session = start();
  const signal ran;
  constexpr auto body = [](int, const signal& s) { s.raise(); };
  const promise<int> broken;
  broken.fail(transient("broken"));
  CHECK_THROWS_AS(fetch(with({.retry_exceptions = true}).remote<body>(broken.ref(), ran)),
                  transient);
  CHECK(ran.count() == 0);
}

TEST_CASE("each attempt gets the arguments that were given") {
  const auto session = start();
  constexpr auto consume = [](std::vector<int> numbers, std::string text, std::vector<int> object) {
    numbers.push_back(1);
    const std::vector<int> taken = std::move(object);
    if (troupe::this_task::attempt() < 2) throw transient("again");
    return numbers.size() + text.size() + taken.size();
  };
  CHECK(fetch(with({.retry_exceptions = true})
                  .remote<consume>(std::vector<int>(10), "0123456789",
                                   troupe::put(std::vector<int>(10)))) == 31);
}

TEST_CASE("retries with arguments that cannot be copied are refused at the call") {
  const auto session = start();
  constexpr auto take = [](std::unique_ptr<int> p) { return *p; };
  CHECK_THAT(message_of<std::invalid_argument>(
                 [&] { with({.retry_exceptions = true}).remote<take>(std::make_unique<int>(1)); }),
             contains("retry_exceptions") && contains("copied"));
  CHECK(fetch(with({.max_retries = 2}).remote<take>(std::make_unique<int>(1))) == 1);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("attempts with a delay and jitter come as others do") {
  const auto session = start();
  const signal ran;
  const auto bound = with({.max_retries = 10,
                           .retry_exceptions = true,
                           .retry_delay = 1ms,
                           .retry_max_delay = 3ms,
                           .retry_jitter = 1});
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(bound.remote<flaky<transient>>(5, ran));
  CHECK(fetch(refs) == std::vector<int>(20, 5));
  CHECK(ran.count() == 120);
}

TEST_CASE("a task that waits for its next attempt holds no CPU and is not ready") {
  const auto session = start(1);
  const signal ran;
  const auto ref = with({.retry_exceptions = true, .retry_delay = 1h, .retry_max_delay = 1h})
                       .remote<flaky<transient>>(1, ran);
  REQUIRE(ran.wait());
  CHECK(fetch(remote<[] { return 1; }>()) == 1);
  CHECK_FALSE(ref.ready());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 1; }));
  CHECK(troupe::cancel(ref));
  CHECK_THROWS_AS(fetch(ref), troupe::task_cancelled_error);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK(ran.count() == 1);
}

TEST_CASE("a timeout counts all attempts together") {
  const auto session = start();
  const signal ran;
  CHECK_THROWS_AS(
      fetch(with({.max_retries = -1, .retry_exceptions = true, .retry_delay = 1ms, .timeout = 20ms})
                .remote<flaky<transient>>(never_well, ran)),
      troupe::task_timeout_error);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("a cancelled task that throws is not tried again") {
  const auto session = start();
  const signal began;
  constexpr auto body = [](const signal& s) {
    s.raise();
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    throw transient("stopped");
  };
  const auto ref = with({.max_retries = -1, .retry_exceptions = true}).remote<body>(began);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK(began.count() == 1);
}
