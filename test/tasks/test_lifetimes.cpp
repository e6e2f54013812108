#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/in_process.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::object_ref;
using troupe::put;
using troupe::remote;
using troupe::with;

namespace {

int value_of(const tracked& t) { return t.value(); }
tracked make(int x) { return tracked(x); }
int add(int a, int b) { return a + b; }

struct holder {
  void keep(object_ref<tracked> ref) { refs.push_back(std::move(ref)); }
  void own(tracked t) { values.push_back(std::move(t)); }
  int count() const { return static_cast<int>(refs.size() + values.size()); }
  std::vector<object_ref<tracked>> refs;
  std::vector<tracked> values;
};

struct node;
using shared_node = troupe::in_process<node>;
struct node {
  std::optional<object_ref<shared_node>> next;
  tracked payload;
};

bool none_alive() {
  return eventually([] { return tracked::alive() == 0; });
}

struct heavy_error : std::runtime_error {
  heavy_error() : std::runtime_error("heavy") {}
  tracked payload{1};
};

}  // namespace

TEST_CASE("a value that was put lives as long as any ref to it") {
  auto a = put(tracked(1));
  auto b = a;
  CHECK(tracked::alive() == 1);
  a = {};
  CHECK(tracked::alive() == 1);
  b = {};
  CHECK(tracked::alive() == 0);
}

TEST_CASE("arguments end before the result is there") {
  const auto session = start();
  const auto sum = remote<value_of>(tracked(5));
  CHECK(fetch(sum) == 5);
  CHECK(tracked::alive() == 0);
  const auto from_object = remote<value_of>(put(tracked(6)));
  CHECK(fetch(from_object) == 6);
  CHECK(tracked::alive() == 0);
}

TEST_CASE("a result lives as long as its ref, and not at all when that is gone before it") {
  const auto session = start();
  {
    const auto ref = remote<make>(1);
    CHECK(fetch(ref).value() == 1);
    CHECK(tracked::alive() == 1);
  }
  CHECK(none_alive());
  const promise<int> later;
  for (int i = 0; i < 100; ++i) remote<make>(later.ref());
  later.set(1);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
  CHECK(none_alive());
}

TEST_CASE("a result that is only an argument ends with the task that takes it") {
  const auto session = start();
  std::vector<object_ref<int>> sums;
  for (int i = 0; i < 100; ++i) sums.push_back(remote<value_of>(remote<make>(i)));
  CHECK(fetch(sums).back() == 99);
  CHECK(none_alive());
}

TEST_CASE("arguments of a task that never runs end, too") {
  const auto session = start();
  const promise<int> never;
  constexpr auto body = [](int, const tracked&, object_ref<tracked>) {};
  {
    const auto cancelled = remote<body>(never.ref(), tracked(1), put(tracked(2)));
    CHECK(tracked::alive() == 2);
    troupe::cancel(cancelled);
    CHECK(none_alive());
  }
  const promise<int> broken;
  broken.fail(std::runtime_error("broken"));
  const auto failed = remote<body>(broken.ref(), tracked(1), put(tracked(2)));
  CHECK_THROWS(fetch(failed));
  CHECK(none_alive());
  CHECK_THROWS(with({.num_cpus = 1000}).remote<value_of>(tracked(1)));
  CHECK(tracked::alive() == 0);
}

TEST_CASE("arguments of a task that throws end when it will not be tried again") {
  const auto session = start();
  constexpr auto body = [](const tracked&) { throw std::runtime_error("refused"); };
  const auto ref = with({.retry_exceptions = true}).remote<body>(tracked(1));
  CHECK_THROWS(fetch(ref));
  CHECK(none_alive());
}

TEST_CASE("an object that holds refs holds their objects") {
  {
    std::vector<object_ref<tracked>> inner;
    for (int i = 0; i < 100; ++i) inner.push_back(put(tracked(i)));
    auto outer = put(std::move(inner));
    CHECK(tracked::alive() == 100);
    const auto one = troupe::view(outer)->at(7);
    outer = {};
    CHECK(tracked::alive() == 1);
  }
  CHECK(tracked::alive() == 0);
}

TEST_CASE("an actor that holds refs and values holds them until it ends") {
  const auto session = start();
  {
    auto actor = remote<holder>();
    actor.remote<&holder::keep>(put(tracked(1)));
    actor.remote<&holder::keep>(remote<make>(2));
    actor.remote<&holder::own>(tracked(3));
    actor.remote<&holder::own>(remote<make>(4));
    CHECK(fetch(actor.remote<&holder::count>()) == 4);
    CHECK(eventually([] { return tracked::alive() == 4; }));
  }
  CHECK(none_alive());
  auto killed = remote<holder>();
  killed.remote<&holder::own>(tracked(3));
  CHECK(fetch(killed.remote<&holder::count>()) == 1);
  troupe::kill(killed);
  CHECK(none_alive());
}

TEST_CASE("a continuation and what it holds end when it has run") {
  const auto session = start();
  const auto held = std::make_shared<int>(1);
  const promise<int> later;
  const auto sum = later.ref().then([held](int x) { return x + *held; });
  CHECK(held.use_count() == 2);
  later.set(1);
  CHECK(fetch(sum) == 2);
  CHECK(held.use_count() == 1);
}

TEST_CASE("an exception is freed with the last ref, also after it was thrown by get") {
  const auto session = start();
  {
    const auto ref = remote<[]() -> int { throw heavy_error(); }>();
    CHECK_THROWS_AS(fetch(ref), heavy_error);
    CHECK(tracked::alive() == 1);
  }
  CHECK(none_alive());
  constexpr auto catches = [](object_ref<int> ref) {
    try {
      return troupe::get(ref);
    } catch (const heavy_error&) {
      return 1;
    }
  };
  CHECK(fetch(remote<catches>(remote<[]() -> int { throw heavy_error(); }>())) == 1);
  CHECK(none_alive());
}

TEST_CASE("a chain of 1,000,000 objects that hold each other is freed without recursion") {
  constexpr int length = 1'000'000;
  object_ref<shared_node> last = put(shared_node(node{{}, tracked(0)}));
  for (int i = 1; i < length; ++i) {
    last = put(shared_node(node{std::move(last), tracked(i)}));
  }
  CHECK(tracked::alive() == length);
  last = {};
  CHECK(tracked::alive() == 0);
}

TEST_CASE("a chain of 1,000,000 tasks runs, and is freed without recursion") {
  const auto session = start();
  constexpr int length = 1'000'000;
  const promise<int> first;
  object_ref<int> last = first.ref();
  for (int i = 0; i < length; ++i) last = remote<add>(std::move(last), 1);
  first.set(0);
  CHECK(fetch(last) == length);
}

TEST_CASE("a failure passes down a chain of 1,000,000 tasks without recursion") {
  const auto session = start();
  constexpr int length = 1'000'000;
  const promise<int> first;
  object_ref<int> last = first.ref();
  for (int i = 0; i < length; ++i) last = remote<add>(std::move(last), 1);
  first.fail(std::range_error("at the head"));
  CHECK_THROWS_AS(fetch(last), std::range_error);
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("refs that are kept all along a chain are freed in any order") {
  const auto session = start();
  constexpr int length = 200'000;
  std::vector<object_ref<int>> all{put(0)};
  for (int i = 0; i < length; ++i) all.push_back(remote<add>(all.back(), 1));
  CHECK(fetch(all.back()) == length);
  for (std::size_t i = 0; i < all.size(); i += 2) all[i] = {};
  all.clear();
  CHECK(eventually([] { return troupe::stats().pending_tasks == 0; }));
}

TEST_CASE("what pends at shutdown is freed") {
  const promise<int> never;
  {
    const auto session = start(1);
    const signal began;
    constexpr auto body = [](const signal& s, const tracked&, object_ref<tracked>) {
      s.raise();
      troupe::sleep_for(std::chrono::hours(1));
    };
    constexpr auto waits = [](int, tracked) {};
    for (int i = 0; i < 10; ++i) remote<body>(began, tracked(i), put(tracked(i)));
    for (int i = 0; i < 10; ++i) remote<waits>(never.ref(), tracked(i));
    REQUIRE(began.wait());
  }
  CHECK(tracked::alive() == 0);
}
