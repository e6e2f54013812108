#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::generator;
using troupe::object_ref;
using troupe::object_stream;
using troupe::remote;
using troupe::with;

namespace {

generator<int> count_to(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
}

generator<int> count_for_ever(at_end) {
  for (int i = 0;; ++i) co_yield i;
}

generator<std::string> break_after(int n) {
  for (int i = 0; i < n; ++i) co_yield std::to_string(i);
  throw std::out_of_range("the well is dry");
}

template <class T>
std::vector<T> values(object_stream<T> stream) {
  std::vector<T> all;
  while (auto ref = stream.next(patience)) all.push_back(fetch(*ref));
  return all;
}

}  // namespace

TEST_CASE("dropping the stream stops a paused generator") {
  const auto session = start();
  const signal ended;
  {
    auto stream = with({.backpressure = 2}).remote<count_for_ever>(at_end(ended));
    fetch(*stream.next(patience));
  }
  CHECK(ended.wait());
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("dropping the stream stops a running generator at its next result") {
  const auto session = start();
  const signal go;
  const signal ended;
  constexpr auto body = [](signal until, at_end) -> generator<int> {
    co_yield 1;
    until.wait();
    for (;;) co_yield 2;
  };
  {
    auto stream = remote<body>(go, at_end(ended));
    fetch(*stream.next(patience));
  }
  CHECK(ended.count() == 0);
  go.raise();
  CHECK(ended.wait());
}

TEST_CASE("a stream that is dropped before its generator began stops it, too") {
  const auto session = start();
  const promise<int> never;
  { auto stream = remote<count_to>(never.ref()); }
  never.set(3);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("an exception is the last ref of the stream, at its place") {
  const auto session = start();
  auto stream = with({.name = "well"}).remote<break_after>(3);
  for (int i = 0; i < 3; ++i) CHECK(fetch(*stream.next(patience)) == std::to_string(i));
  const auto last = stream.next(patience);
  REQUIRE(last);
  CHECK_THROWS_AS(fetch(*last), std::out_of_range);
  CHECK(last->failure()->frames == std::vector<std::string>{"well"});
  CHECK_FALSE(stream.next(patience));
  CHECK_THROWS_AS(fetch(stream.completed()), std::out_of_range);
}

TEST_CASE("a failed argument is the only ref of the stream") {
  const auto session = start();
  const promise<int> broken;
  auto stream = remote<count_to>(broken.ref());
  broken.fail(std::length_error("too long"));
  const auto only = stream.next(patience);
  REQUIRE(only);
  CHECK_THROWS_AS(fetch(*only), std::length_error);
  CHECK_FALSE(stream.next(patience));
}

TEST_CASE("results live as long as their refs, not as the stream") {
  const auto session = start();
  constexpr auto body = [](int n) -> generator<tracked> {
    for (int i = 0; i < n; ++i) co_yield tracked(i);
  };
  {
    std::optional<object_ref<tracked>> kept;
    {
      auto stream = remote<body>(10);
      stream.next(patience);
      kept = stream.next(patience);
      fetch(stream.completed());
    }
    CHECK(fetch(*kept).value() == 1);
    CHECK(eventually([] { return tracked::alive() == 1; }));
  }
  CHECK(eventually([] { return tracked::alive() == 0; }));
}

TEST_CASE("a cancelled generator ends its stream with the error") {
  const auto session = start();
  const signal ended;
  auto stream = with({.backpressure = 2}).remote<count_for_ever>(at_end(ended));
  fetch(*stream.next(patience));
  CHECK(stream.cancel());
  CHECK(ended.wait());
  bool cancelled = false;
  while (const auto ref = stream.next(patience)) {
    if (!ref->failed()) continue;
    CHECK_THROWS_AS(fetch(*ref), troupe::task_cancelled_error);
    cancelled = true;
  }
  CHECK(cancelled);
  CHECK_THROWS_AS(fetch(stream.completed()), troupe::task_cancelled_error);
  CHECK_FALSE(stream.cancel());
}

TEST_CASE("a retried generator does not repeat what it gave") {
  const auto session = start();
  constexpr auto body = [](int n) -> generator<int> {
    for (int i = 0; i < n; ++i) {
      if (i == 3 && troupe::this_task::attempt() < 2) throw std::runtime_error("again");
      co_yield i;
    }
  };
  CHECK(values(with({.max_retries = 5, .retry_exceptions = true}).remote<body>(6)) ==
        std::vector<int>{0, 1, 2, 3, 4, 5});
}
