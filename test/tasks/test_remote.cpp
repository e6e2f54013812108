#include <atomic>
#include <memory>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;

namespace {

int add(int a, int b) { return a + b; }
double half(double x) noexcept { return x / 2; }
std::string text(const std::string& s) { return "<" + s + ">"; }

int overloaded(int x) { return x + 1; }
std::string overloaded(std::string s) { return s + "!"; }

template <class T>
T twice(T x) {
  return x + x;
}

struct toolbox {
  static int square(int x) { return x * x; }
};

const std::string& stored_text() {
  static const std::string s = "stored";
  return s;
}

std::atomic<int> touched{0};
void touch() { ++touched; }
int fail(int) { throw std::out_of_range("no such element"); }

}  // namespace

TEST_CASE("a free function runs as a task and its result comes by get") {
  const auto session = start();
  const object_ref<int> sum = remote<add>(2, 3);
  CHECK(fetch(sum) == 5);
}

TEST_CASE(
    "static members, lambdas, template instances, overloads and noexcept functions are tasks") {
  const auto session = start();
  CHECK(fetch(remote<toolbox::square>(7)) == 49);
  CHECK(fetch(remote<&toolbox::square>(8)) == 64);
  CHECK(fetch(remote<[](int x) { return x * 10; }>(4)) == 40);
  CHECK(fetch(remote<twice<int>>(21)) == 42);
  CHECK(fetch(remote<twice<std::string>>("ab")) == "abab");
  CHECK(fetch(remote<static_cast<int (*)(int)>(overloaded)>(1)) == 2);
  CHECK(fetch(remote<static_cast<std::string (*)(std::string)>(overloaded)>("hey")) == "hey!");
  CHECK(fetch(remote<half>(3)) == 1.5);
}

TEST_CASE("a function without a result gives a ref to wait for") {
  const auto session = start();
  touched = 0;
  const object_ref<void> done = remote<touch>();
  fetch(done);
  CHECK(touched == 1);
}

TEST_CASE("a function that returns a reference gives an object of its own") {
  const auto session = start();
  const object_ref<std::string> copy = remote<stored_text>();
  CHECK(fetch(copy) == "stored");
  CHECK(&*troupe::view(copy) != &stored_text());
}

TEST_CASE("arguments convert to the parameter types at the call") {
  const auto session = start();
  CHECK(fetch(remote<half>(5)) == 2.5);
  CHECK(fetch(remote<text>("literal")) == "<literal>");
  CHECK(fetch(remote<add>('\1', 2L)) == 3);
  CHECK(fetch(remote<half>(remote<add>(1, 2))) == 1.5);
}

TEST_CASE("lvalue arguments are copied at the call and later changes are not seen") {
  const auto session = start();
  const signal go;
  constexpr auto late = [](const std::string& s, const signal& until) {
    until.wait();
    return s;
  };
  std::string word = "before";
  const auto ref = remote<late>(word, go);
  word = "after";
  go.raise();
  CHECK(fetch(ref) == "before");
}

TEST_CASE("move-only arguments and results travel by move") {
  const auto session = start();
  constexpr auto wrap = [](int x) { return std::make_unique<int>(x); };
  constexpr auto unwrap = [](std::unique_ptr<int> p) { return *p; };
  CHECK(fetch(remote<unwrap>(std::make_unique<int>(3))) == 3);
  CHECK(*fetch(remote<wrap>(4)) == 4);
  CHECK(fetch(remote<unwrap>(remote<wrap>(5))) == 5);
  CHECK(*troupe::view(remote<wrap>(6)).operator*() == 6);
}

TEST_CASE("a move-only object that others still hold cannot be taken as an argument") {
  const auto session = start();
  constexpr auto wrap = [](int x) { return std::make_unique<int>(x); };
  constexpr auto unwrap = [](std::unique_ptr<int> p) { return *p; };
  const auto shared = remote<wrap>(5);
  CHECK_THROWS_AS(fetch(remote<unwrap>(shared)), std::invalid_argument);
  const auto other = shared;
  CHECK_THROWS_AS(troupe::get(troupe::object_ref(shared)), std::invalid_argument);
  CHECK(**troupe::view(shared) == 5);
}

TEST_CASE("a ref stands where its value is expected, several times and before it is ready") {
  const auto session = start();
  const promise<int> later;
  const auto sum = remote<add>(later.ref(), later.ref());
  const auto more = remote<add>(sum, remote<add>(sum, later.ref()));
  CHECK_FALSE(sum.ready());
  later.set(4);
  CHECK(fetch(sum) == 8);
  CHECK(fetch(more) == 20);
}

TEST_CASE("a failed argument passes on and the task does not run") {
  const auto session = start();
  touched = 0;
  constexpr auto count = [](int, int) { return ++touched; };
  const auto failed = remote<fail>(1);
  CHECK_THROWS_AS(fetch(remote<count>(failed, 1)), std::out_of_range);
  REQUIRE(failed.failed());
  CHECK_THROWS_AS(fetch(remote<count>(1, failed)), std::out_of_range);
  CHECK_THROWS_AS(fetch(remote<count>(failed, failed)), std::out_of_range);
  CHECK(touched == 0);
}

TEST_CASE("one failed argument fails the task while another is still awaited") {
  const auto session = start();
  const promise<int> never;
  const auto sum = remote<add>(never.ref(), remote<fail>(1));
  CHECK_THROWS_AS(fetch(sum), std::out_of_range);
  never.set(1);
}

TEST_CASE("views as parameters see what lives as long as the call") {
  const auto session = start();
  constexpr auto length = [](std::string_view s) { return s.size(); };
  constexpr auto total = [](std::span<const int> numbers) {
    int sum = 0;
    for (const int n : numbers) sum += n;
    return sum;
  };
  CHECK(fetch(remote<length>(std::string(1000, 'x'))) == 1000);
  CHECK(fetch(remote<length>("abc")) == 3);
  CHECK(fetch(remote<length>(troupe::put(std::string("abcd")))) == 4);
  CHECK(fetch(remote<total>(std::vector<int>{1, 2, 3})) == 6);
  CHECK(fetch(remote<total>(troupe::put(std::vector<int>{4, 5, 6}))) == 15);
  const std::vector<int> kept{7, 8};
  CHECK(fetch(remote<total>(kept)) == 15);
}

TEST_CASE("a span or const reference parameter reads an object in place") {
  const auto session = start();
  const auto numbers = troupe::put(std::vector<int>{1, 2, 3});
  constexpr auto address = [](std::span<const int> s) {
    return reinterpret_cast<std::uintptr_t>(s.data());
  };
  CHECK(fetch(remote<address>(numbers)) ==
        reinterpret_cast<std::uintptr_t>(troupe::view(numbers)->data()));
  const auto value = troupe::put(tracked(1));
  const int copies = tracked::copies();
  CHECK(fetch(remote<[](const tracked& t) { return t.value(); }>(value)) == 1);
  CHECK(tracked::copies() == copies);
}

TEST_CASE("a value parameter gets a copy of a shared object and the last ref by move") {
  const auto session = start();
  constexpr auto read = [](tracked t) { return t.value(); };
  const auto kept = troupe::put(tracked(1));
  const int copies = tracked::copies();
  CHECK(fetch(remote<read>(kept)) == 1);
  CHECK(tracked::copies() == copies + 1);
  CHECK(fetch(remote<read>(kept)) == 1);
  CHECK(fetch(remote<read>(troupe::put(tracked(2)))) == 2);
  CHECK(tracked::copies() == copies + 2);
}

TEST_CASE("a parameter that is a ref borrows it, ready or not") {
  const auto session = start();
  const promise<int> later;
  constexpr auto borrow = [](object_ref<int> ref, const signal& looked) {
    const bool ready = ref.ready();
    looked.raise();
    return std::pair(ready, troupe::get(ref));
  };
  const signal looked;
  const auto result = remote<borrow>(later.ref(), looked);
  REQUIRE(looked.wait());
  later.set(9);
  CHECK(fetch(result) == std::pair(false, 9));
}

TEST_CASE("a failed ref can be borrowed and looked at") {
  const auto session = start();
  constexpr auto inspect = [](const object_ref<int>& ref) {
    try {
      troupe::get(ref);
    } catch (const std::out_of_range&) {
      return std::string("caught");
    }
    return std::string("no error");
  };
  CHECK(fetch(remote<inspect>(remote<fail>(1))) == "caught");
}

TEST_CASE("refs in containers and refs of any type are borrowed") {
  const auto session = start();
  constexpr auto total = [](const std::vector<object_ref<int>>& refs) {
    int sum = 0;
    for (const int n : troupe::get(refs)) sum += n;
    return sum;
  };
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 10; ++i) refs.push_back(remote<add>(i, 0));
  CHECK(fetch(remote<total>(refs)) == 45);
  constexpr auto typed = [](troupe::any_ref ref) { return troupe::get(ref.as<int>()); };
  CHECK(fetch(remote<typed>(refs[3])) == 3);
}

TEST_CASE("a stop_token parameter is filled in, wherever it stands") {
  const auto session = start();
  constexpr auto last = [](int a, std::stop_token t) { return a + (t.stop_possible() ? 1 : 0); };
  constexpr auto first = [](std::stop_token t, int a, int b) {
    return a - b + (t.stop_requested() ? 100 : 0);
  };
  CHECK(fetch(remote<last>(1)) == 2);
  CHECK(fetch(remote<first>(5, 3)) == 2);
  CHECK(fetch(remote<first>(remote<add>(5, 0), 3)) == 2);
}

TEST_CASE("an empty ref as an argument is refused at the call") {
  const auto session = start();
  CHECK_THROWS_AS(remote<add>(object_ref<int>{}, 1), std::invalid_argument);
  CHECK_THROWS_AS(fetch(object_ref<int>{}), std::invalid_argument);
}

TEST_CASE("arguments that do not fit are known at compile time") {
  using troupe::detail::argument_fits;
  STATIC_REQUIRE(argument_fits<double, int>());
  STATIC_REQUIRE(argument_fits<const std::string&, const char*>());
  STATIC_REQUIRE(argument_fits<int, object_ref<int>>());
  STATIC_REQUIRE_FALSE(argument_fits<int, std::string>());
  STATIC_REQUIRE_FALSE(argument_fits<int, object_ref<std::string>>());
  STATIC_REQUIRE_FALSE(argument_fits<int, object_ref<void>>());
}
