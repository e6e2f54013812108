#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::async;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

int add(int a, int b) { return a + b; }
int fail(int) { throw std::out_of_range("no such element"); }

async<int> sum_of(object_ref<int> a, object_ref<int> b) { co_return co_await a + co_await b; }

async<int> fib(int n) {
  if (n < 2) co_return n;
  const auto a = remote<fib>(n - 1);
  const auto b = remote<fib>(n - 2);
  co_return co_await a + co_await b;
}

async<int> nested(int n) {
  if (n == 0) co_return co_await remote<add>(0, 0);
  co_return 1 + co_await nested(n - 1);
}

async<int> nested_failure(int n) {
  if (n == 0) co_return co_await remote<fail>(1);
  co_return co_await nested_failure(n - 1);
}

async<void> nothing() { co_return; }

async<int> wait_in_frame(object_ref<int> ref, at_end) { co_return co_await ref; }

}  // namespace

TEST_CASE("a coroutine task awaits refs that are ready and refs that are not") {
  const auto session = start();
  const promise<int> later;
  const auto sum = remote<sum_of>(troupe::put(1), later.ref());
  CHECK_FALSE(sum.ready());
  later.set(2);
  CHECK(fetch(sum) == 3);
}

TEST_CASE("a coroutine without a result completes a ref to void") {
  const auto session = start();
  fetch(remote<nothing>());
  fetch(remote<[]() -> async<void> { co_await remote<nothing>(); }>());
}

TEST_CASE("coroutines that await coroutine tasks recurse on one CPU without further threads") {
  const auto session = start(1);
  CHECK(fetch(remote<fib>(15)) == 610);
  CHECK(troupe::stats().peak_threads <= 3);
}

TEST_CASE("coroutines call coroutines directly and their results and exceptions come up") {
  const auto session = start();
  CHECK(fetch(remote<nested>(100)) == 100);
  const auto failed = with({.name = "top"}).remote<nested_failure>(20);
  CHECK_THROWS_AS(fetch(failed), std::out_of_range);
  REQUIRE(failed.failure()->frames.size() == 2);
  CHECK_THAT(failed.failure()->frames[0], contains("fail"));
  CHECK(failed.failure()->frames[1] == "top");
}

TEST_CASE("an exception of an awaited ref can be caught in the coroutine") {
  const auto session = start();
  constexpr auto robust = []() -> async<std::string> {
    std::string said;
    try {
      co_await remote<fail>(1);
    } catch (const std::out_of_range& e) {
      said = e.what();
    }
    co_return said + std::to_string(co_await remote<add>(1, 2));
  };
  CHECK_THAT(fetch(remote<robust>()), contains("no such element") && contains("3"));
}

TEST_CASE("after suspends without a thread or a CPU") {
  const auto session = start(1);
  constexpr auto timed = [](int n) -> async<int> {
    for (int i = 0; i < n; ++i) co_await troupe::after(1ms);
    co_return n;
  };
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 100; ++i) refs.push_back(remote<timed>(3));
  CHECK(fetch(refs) == std::vector<int>(100, 3));
  CHECK(troupe::stats().peak_threads <= 3);
}

TEST_CASE("after is a ref like others") {
  const auto session = start();
  fetch(troupe::after(0ns));
  fetch(troupe::after(1ms));
  auto [ready, rest] = troupe::wait({troupe::after(1h), troupe::after(1ms)}, {.timeout = patience});
  CHECK(ready.size() == 1);
}

TEST_CASE("10,000 suspended coroutines share one CPU and one thread") {
  const auto session = start(1);
  const promise<int> later;
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 10'000; ++i) refs.push_back(remote<sum_of>(later.ref(), troupe::put(i)));
  CHECK(eventually([] { return troupe::available_resources().at("CPU") == 1.0; }));
  CHECK(troupe::stats().blocked_threads == 0);
  later.set(1);
  const auto sums = fetch(refs);
  CHECK(sums.front() == 1);
  CHECK(sums.back() == 10'000);
  CHECK(troupe::stats().peak_threads <= 3);
}

TEST_CASE("parameters live as long as the coroutine") {
  const auto session = start();
  const promise<int> later;
  constexpr auto keep = [](std::string text, const std::string& in_place,
                           object_ref<int> ref) -> async<std::string> {
    const int n = co_await ref;
    co_return text + in_place + std::to_string(n);
  };
  const auto result = remote<keep>(std::string(100, 'a'), std::string(100, 'b'), later.ref());
  later.set(5);
  CHECK(fetch(result) == std::string(100, 'a') + std::string(100, 'b') + "5");
}

TEST_CASE("a coroutine's frame ends before its result is seen") {
  const auto session = start();
  const promise<int> later;
  const signal ended;
  const auto ref = remote<wait_in_frame>(later.ref(), at_end(ended));
  later.set(3);
  CHECK(fetch(ref) == 3);
  CHECK(ended.count() == 1);
}

TEST_CASE("a call with options can be awaited in one expression") {
  const auto session = start();
  constexpr auto caller = []() -> async<std::string> {
    constexpr auto name = [] { return troupe::this_task::name(); };
    const std::string own = std::string("a long name ") + "that lives for the expression";
    co_return co_await with({.num_cpus = 1, .resources = {}, .name = own}).remote<name>();
  };
  CHECK(fetch(remote<caller>()) == "a long name that lives for the expression");
}

TEST_CASE("the last ref of a move-only object is moved out by co_await") {
  const auto session = start();
  constexpr auto unwrap = []() -> async<int> {
    auto pointer = co_await remote<[] { return std::make_unique<int>(9); }>();
    co_return *pointer;
  };
  CHECK(fetch(remote<unwrap>()) == 9);
}

TEST_CASE("get of a ref that was awaited by many gives all of them the value") {
  const auto session = start();
  constexpr auto read = [](object_ref<std::string> ref) -> async<std::size_t> {
    co_return (co_await ref).size();
  };
  const promise<std::string> later;
  std::vector<object_ref<std::size_t>> sizes;
  for (int i = 0; i < 50; ++i) sizes.push_back(remote<read>(later.ref()));
  later.set("four");
  CHECK(fetch(sizes) == std::vector<std::size_t>(50, 4));
}

TEST_CASE("a cancelled coroutine is resumed with the error and its frame ends") {
  const auto session = start();
  const promise<int> never;
  const signal ended;
  const auto ref = remote<wait_in_frame>(never.ref(), at_end(ended));
  CHECK(eventually([] { return troupe::available_resources().at("CPU") == 2.0; }));
  CHECK(troupe::cancel(ref));
  CHECK_THROWS_AS(fetch(ref), troupe::task_cancelled_error);
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("a cancelled coroutine can clean up, but every further wait throws again") {
  const auto session = start();
  const signal began;
  const signal refused;
  constexpr auto stubborn = [](signal started, signal twice) -> async<void> {
    const auto never = troupe::after(1h);
    started.raise();
    for (int i = 0; i < 2; ++i) {
      try {
        co_await never;
      } catch (const troupe::task_cancelled_error&) {
        twice.raise();
      }
    }
  };
  const auto ref = remote<stubborn>(began, refused);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(refused.wait(2));
}

TEST_CASE("tasks that a coroutine started after it was resumed are its children") {
  const auto session = start();
  const signal child_ended;
  const signal child_began;
  constexpr auto child = [](const signal& started, const signal& ended) {
    const at_end guard(ended);
    started.raise();
    troupe::sleep_for(1h);
  };
  constexpr auto parent = [child](object_ref<int> first, signal started,
                                  signal ended) -> async<void> {
    co_await first;
    co_await remote<child>(started, ended);
  };
  const promise<int> later;
  const auto ref = remote<parent>(later.ref(), child_began, child_ended);
  later.set(1);
  REQUIRE(child_began.wait());
  CHECK(troupe::cancel(ref));
  CHECK(child_ended.wait());
}

TEST_CASE("a coroutine is known by its name after it was resumed, and gets a stop token") {
  const auto session = start();
  constexpr auto body = [](std::stop_token token) -> async<std::string> {
    co_await troupe::after(1ms);
    co_return troupe::this_task::name() + (token.stop_possible() ? "!" : "?");
  };
  CHECK(fetch(with({.name = "same"}).remote<body>()) == "same!");
}

TEST_CASE("a coroutine that throws is retried from its start") {
  const auto session = start();
  constexpr auto flaky = [](object_ref<int> ref) -> async<int> {
    const int x = co_await ref;
    if (troupe::this_task::attempt() < 2) throw std::runtime_error("again");
    co_return x + troupe::this_task::attempt();
  };
  CHECK(fetch(with({.retry_exceptions = true}).remote<flaky>(remote<add>(10, 0))) == 12);
}

TEST_CASE("a coroutine can block in get, too") {
  const auto session = start(1);
  constexpr auto body = []() -> async<int> {
    const int a = co_await remote<add>(1, 2);
    co_return a + troupe::get(remote<add>(3, 4));
  };
  CHECK(fetch(remote<body>()) == 10);
}

TEST_CASE("a coroutine that is called and not awaited does nothing") {
  const auto session = start();
  const signal ran;
  constexpr auto body = [](signal s) -> async<void> {
    s.raise();
    co_return;
  };
  { auto unused = body(ran); }
  CHECK(ran.count() == 0);
}
