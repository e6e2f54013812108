#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::remote_each;

namespace {

std::tuple<int, std::string, double> split(int x) { return {x, std::to_string(x), x / 2.0}; }
std::tuple<int, int> refuse() { throw std::domain_error("no results"); }

}  // namespace

TEST_CASE("each element of a returned tuple can be an object of its own") {
  const auto session = start();
  auto [number, word, real] = remote_each<split>(5);
  CHECK(fetch(word) == "5");
  CHECK(fetch(number) == 5);
  CHECK(fetch(real) == 2.5);
}

TEST_CASE("a returned tuple is one object when it is not asked apart") {
  const auto session = start();
  const object_ref<std::tuple<int, std::string, double>> whole = remote<split>(6);
  CHECK(fetch(whole) == std::tuple(6, std::string("6"), 3.0));
}

TEST_CASE("elements are arguments on their own, with options and before they are ready") {
  const auto session = start();
  const promise<int> later;
  auto [number, word, real] = troupe::with({.name = "split it"}).remote_each<split>(later.ref());
  constexpr auto join = [](const std::string& s, int n) { return s + "+" + std::to_string(n); };
  const auto joined = remote<join>(word, number);
  CHECK_FALSE(joined.ready());
  later.set(7);
  CHECK(fetch(joined) == "7+7");
}

TEST_CASE("a failure of the task is the failure of each element") {
  const auto session = start();
  auto [a, b] = remote_each<refuse>();
  CHECK_THROWS_AS(fetch(a), std::domain_error);
  CHECK_THROWS_AS(fetch(b), std::domain_error);
  CHECK(a.failure()->message == "no results");
}

TEST_CASE("elements that nobody holds any more are freed") {
  const auto session = start();
  {
    constexpr auto make = [] {
      return std::tuple(std::make_shared<tracked>(1), std::make_shared<tracked>(2));
    };
    auto [a, b] = remote_each<make>();
    fetch(b);
    a = {};
    CHECK(eventually([] { return tracked::alive() == 1; }));
    CHECK(fetch(b)->value() == 2);
  }
  CHECK(eventually([] { return tracked::alive() == 0; }));
}

TEST_CASE("move-only elements are moved to their objects") {
  const auto session = start();
  constexpr auto make = [] { return std::tuple(std::make_unique<int>(1), 2); };
  auto [pointer, number] = remote_each<make>();
  CHECK(fetch(number) == 2);
  CHECK(*fetch(std::move(pointer)) == 1);
}

TEST_CASE("cancelling one element cancels the task and so its siblings") {
  const auto session = start();
  constexpr auto wait_for_ever = [](const signal& began) {
    began.raise();
    troupe::sleep_for(std::chrono::hours(1));
    return std::tuple(1, 2);
  };
  const signal began;
  auto [a, b] = remote_each<wait_for_ever>(began);
  REQUIRE(began.wait());
  CHECK(troupe::cancel(a));
  CHECK_THROWS_AS(fetch(a), troupe::task_cancelled_error);
  CHECK_THROWS_AS(fetch(b), troupe::task_cancelled_error);
}

TEST_CASE("elements can be dropped before the task ends") {
  const auto session = start();
  const promise<int> later;
  {
    auto [number, word, real] = remote_each<split>(later.ref());
    word = {};
    real = {};
    later.set(3);
    CHECK(fetch(number) == 3);
  }
  auto dropped = remote_each<split>(later.ref());
  std::get<0>(dropped) = {};
}
