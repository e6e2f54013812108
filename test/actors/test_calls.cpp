// Calls of an actor's methods: what can be called, in what order, with what results.
#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct named_thing {
  std::string inherited(int n) const { return "inherited " + std::to_string(n); }
  virtual std::string who() const { return "base"; }
  virtual ~named_thing() = default;
};

struct counter : named_thing {
  explicit counter(int start = 0) : value(start) {}

  int add(int by) { return value += by; }
  int add(int by, int times) { return value += by * times; }
  std::string add(const std::string& text) { return text + std::to_string(value); }
  int read() const { return value; }
  int read_surely() const noexcept { return value; }
  void reset() noexcept { value = 0; }
  void ref_qualified() & { value = -1; }
  const int& by_reference() const { return value; }
  std::string who() const override { return "derived"; }
  std::tuple<int, std::string> both() const { return {value, "text"}; }
  std::unique_ptr<int> box(std::unique_ptr<int> x) { return std::make_unique<int>(*x + value); }
  std::size_t length(std::string_view text) const { return text.size(); }
  bool token_fits(int one, std::stop_token token) const {
    return one == 1 && token.stop_possible() && !token.stop_requested();
  }
  bool is_ready(object_ref<int> ref) const { return ref.ready(); }
  void refuse(int n) { throw std::out_of_range("refused " + std::to_string(n)); }
  void throw_number() { throw 7; }
  int wait_for(object_ref<int> ref) { return troupe::get(ref); }

  int value;
};

struct recorder {
  void note(int n) { seen.push_back(n); }
  std::vector<int> all() const { return seen; }
  std::vector<int> seen;
};

std::atomic<int> inside{0};
std::atomic<int> most{0};

struct exclusive {
  void enter() {
    const int now = ++inside;
    int known = most.load();
    while (now > known && !most.compare_exchange_weak(known, now)) {
    }
    std::this_thread::yield();
    --inside;
  }
};

int add(int a, int b) { return a + b; }

}  // namespace

TEST_CASE("a method call gives a ref to what the method returned") {
  const auto session = start();
  const auto c = remote<counter>(10);
  CHECK(fetch(c.remote<static_cast<int (counter::*)(int)>(&counter::add)>(5)) == 15);
  CHECK(fetch(c.remote<&counter::read>()) == 15);
}

TEST_CASE("overloads are chosen by a cast") {
  const auto session = start();
  const auto c = remote<counter>(1);
  CHECK(fetch(c.remote<static_cast<int (counter::*)(int)>(&counter::add)>(2)) == 3);
  CHECK(fetch(c.remote<static_cast<int (counter::*)(int, int)>(&counter::add)>(2, 3)) == 9);
  using text_add = std::string (counter::*)(const std::string&);
  CHECK(fetch(c.remote<static_cast<text_add>(&counter::add)>("n = ")) == "n = 9");
}

TEST_CASE("const, noexcept, ref-qualified, inherited and virtual methods can be called") {
  const auto session = start();
  const auto c = remote<counter>(4);
  CHECK(fetch(c.remote<&counter::read>()) == 4);
  CHECK(fetch(c.remote<&counter::read_surely>()) == 4);
  CHECK(fetch(c.remote<&counter::inherited>(2)) == "inherited 2");
  CHECK(fetch(c.remote<&named_thing::who>()) == "derived");
  CHECK(fetch(c.remote<&counter::by_reference>()) == 4);
  fetch(c.remote<&counter::reset>());
  CHECK(fetch(c.remote<&counter::read>()) == 0);
  fetch(c.remote<&counter::ref_qualified>());
  CHECK(fetch(c.remote<&counter::read>()) == -1);
}

TEST_CASE("a void method's ref is ready when the method has run") {
  const auto session = start();
  const auto c = remote<counter>(4);
  const object_ref<void> done = c.remote<&counter::reset>();
  fetch(done);
  CHECK(done.ready());
  CHECK_FALSE(done.failed());
}

TEST_CASE("move-only arguments and results pass through a call") {
  const auto session = start();
  const auto c = remote<counter>(4);
  CHECK(*fetch(c.remote<&counter::box>(std::make_unique<int>(3))) == 7);
}

TEST_CASE("a string_view parameter keeps its text until the method has run") {
  const auto session = start();
  const auto c = remote<counter>();
  const promise<int> gate;
  const auto waits = c.remote<&counter::wait_for>(gate.ref());
  const auto length = [&] {
    const std::string local(100, 'x');
    return c.remote<&counter::length>(local);
  }();
  gate.set(1);
  CHECK(fetch(length) == 100);
}

TEST_CASE("a stop token parameter of a method is filled in") {
  const auto session = start();
  CHECK(fetch(remote<counter>().remote<&counter::token_fits>(1)));
}

TEST_CASE("a call takes refs where values are expected, and refs where refs are") {
  const auto session = start();
  const auto c = remote<counter>(1);
  const promise<int> never;
  CHECK_FALSE(fetch(c.remote<&counter::is_ready>(never.ref())));
  const auto sum = remote<add>(1, 2);
  const auto a = c.remote<static_cast<int (counter::*)(int)>(&counter::add)>(sum);
  const auto b = c.remote<static_cast<int (counter::*)(int, int)>(&counter::add)>(a, a);
  CHECK(fetch(b) == 20);
  CHECK(fetch(remote<add>(a, b)) == 24);
}

TEST_CASE("a failed argument fails the call without running it, and not the actor") {
  const auto session = start();
  const auto c = remote<counter>(1);
  const promise<int> bad;
  const auto call = c.remote<static_cast<int (counter::*)(int)>(&counter::add)>(bad.ref());
  const auto behind = c.remote<&counter::read>();
  bad.fail(std::domain_error("no value"));
  CHECK_THROWS_AS(fetch(call), std::domain_error);
  CHECK(fetch(behind) == 1);
  const auto late = c.remote<static_cast<int (counter::*)(int)>(&counter::add)>(bad.ref());
  CHECK_THROWS_AS(fetch(late), std::domain_error);
  CHECK(fetch(c.remote<&counter::read>()) == 1);
}

TEST_CASE("a method that throws does not end its actor; get throws what it threw, with its name") {
  const auto session = start();
  const auto c = remote<counter>(1);
  const auto refused = c.remote<&counter::refuse>(3);
  CHECK_THROWS_AS(fetch(refused), std::out_of_range);
  CHECK_THROWS_AS(fetch(refused), troupe::task_error);
  CHECK_THAT(message_of<std::out_of_range>([&] { fetch(refused); }),
             contains("refused 3") && contains("counter::refuse"));
  CHECK_THROWS_AS(fetch(c.remote<&counter::throw_number>()), int);
  CHECK(c.alive());
  CHECK(fetch(c.remote<&counter::read>()) == 1);
}

TEST_CASE("the elements of a method's tuple can be objects of their own") {
  const auto session = start();
  const auto c = remote<counter>(8);
  auto [number, text] = c.remote_each<&counter::both>();
  CHECK(fetch(number) == 8);
  CHECK(fetch(text) == "text");
  auto [again, more] = c.with({.name = "again"}).remote_each<&counter::both>();
  CHECK(troupe::get(again, more) == std::tuple(8, std::string("text")));
}

TEST_CASE("the calls of one caller run in the order in which they were made") {
  const auto session = start();
  const auto r = remote<recorder>();
  constexpr int count = 20'000;
  for (int i = 0; i < count; ++i) r.remote<&recorder::note>(i);
  const auto seen = fetch(r.remote<&recorder::all>());
  REQUIRE(seen.size() == count);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("the calls of many callers run one at a time, each caller's in order") {
  const auto session = start();
  inside = most = 0;
  const auto r = remote<recorder>();
  const auto x = remote<exclusive>();
  constexpr int callers = 8;
  constexpr int count = 2000;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < callers; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < count; ++i) {
          r.remote<&recorder::note>(t * count + i);
          x.remote<&exclusive::enter>();
        }
      });
    }
  }
  fetch(x.remote<&exclusive::enter>());
  CHECK(most == 1);
  const auto seen = fetch(r.remote<&recorder::all>());
  REQUIRE(seen.size() == callers * count);
  std::vector<int> next(callers, 0);
  bool in_order = true;
  for (const int n : seen) in_order &= n % count == next[n / count]++;
  CHECK(in_order);
}

TEST_CASE("a call through an empty handle is an invalid argument") {
  const auto session = start();
  const troupe::actor_handle<counter> none;
  CHECK_FALSE(none);
  CHECK_THROWS_AS(none.remote<&counter::read>(), std::invalid_argument);
  CHECK_THROWS_AS(none.id(), std::invalid_argument);
  CHECK_THROWS_AS(none.alive(), std::invalid_argument);
  CHECK_THROWS_AS(troupe::kill(none), std::invalid_argument);
}

TEST_CASE("options that say nothing about calls are refused at the call") {
  const auto session = start();
  const auto c = remote<counter>();
  CHECK_THROWS_AS(c.with({.max_restarts = 1}), std::invalid_argument);
  CHECK_THROWS_AS(c.with({.lifetime = troupe::lifetime::detached}), std::invalid_argument);
  CHECK_THROWS_AS(c.with({.num_gpus = 1}), std::invalid_argument);
  CHECK_THROWS_AS(with({.max_retries = 2}).remote<counter>(), std::invalid_argument);
  CHECK_THROWS_AS(with({.concurrency_group = "io"}).remote<counter>(), std::invalid_argument);
}

TEST_CASE("a failure shows the name that the call's options give it") {
  const auto session = start();
  const auto c = remote<counter>();
  const auto refused = c.with({.name = "the refusal"}).remote<&counter::refuse>(1);
  CHECK_THAT(message_of<std::out_of_range>([&] { fetch(refused); }), contains("the refusal"));
}
