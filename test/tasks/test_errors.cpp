#include <any>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <vector>

#include <unistd.h>

#include <troupe/actor.hpp>
#include <troupe/in_process.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::get;
using troupe::object_ref;
using troupe::remote;
using troupe::task_error;
using troupe::with;

namespace {

template <class Error, auto... Args>
int throws() {
  throw Error(Args...);
}
template <class Error>
int throws_text() {
  throw Error("broken in a way");
}

int pass(int x) { return x; }
int call_down(object_ref<int> below) { return get(below); }

struct own_error : std::runtime_error {
  explicit own_error(int c) : std::runtime_error("own error"), code(c) {}
  int code;
};
struct odd_error {
  int code;
};
int throw_own() { throw own_error(17); }
int throw_odd() { throw odd_error{18}; }
int throw_int() { throw 19; }
int throw_system() {
  throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory), "opening it");
}

/// The task's error as a `Standard` and as a task_error.
template <class Standard>
void check_kept(const object_ref<int>& ref) {
  CHECK_THROWS_AS(fetch(ref), Standard);
  try {
    fetch(ref);
    FAIL("nothing was thrown");
  } catch (const task_error& e) {
    CHECK_THAT(e.task(), contains("throws"));
    CHECK(dynamic_cast<const std::exception*>(&e) != nullptr);
    CHECK(dynamic_cast<const Standard*>(&e) != nullptr);
  }
}

template <class... Standard>
void check_texts_kept() {
  (check_kept<Standard>(remote<throws_text<Standard>>()), ...);
}
template <class... Standard>
void check_types_kept() {
  (check_kept<Standard>(remote<throws<Standard>>()), ...);
}

}  // namespace

TEST_CASE("what a task throws is what get throws, for every standard type") {
  const auto session = start();
  check_texts_kept<std::runtime_error, std::logic_error, std::invalid_argument, std::out_of_range,
                   std::domain_error, std::length_error, std::range_error, std::overflow_error,
                   std::underflow_error>();
  check_types_kept<std::bad_alloc, std::bad_cast, std::bad_typeid, std::bad_exception,
                   std::bad_function_call, std::bad_optional_access, std::bad_variant_access,
                   std::bad_any_cast, std::bad_weak_ptr, std::bad_array_new_length,
                   std::exception>();
}

TEST_CASE("a task's error tells its type, message, task, node and process") {
  const auto session =
      troupe::init({.log_level = troupe::log_level::off, .node_name = "stage-right"});
  const auto ref = with({.name = "parse"}).remote<throws_text<std::out_of_range>>();
  try {
    fetch(ref);
    FAIL("nothing was thrown");
  } catch (const std::out_of_range& e) {
    CHECK_THAT(e.what(), contains("broken in a way") && contains("parse"));
    const auto& told = dynamic_cast<const task_error&>(e);
    CHECK(told.type() == "std::out_of_range");
    CHECK(told.message() == "broken in a way");
    CHECK(told.task() == "parse");
    CHECK(told.node() == "stage-right");
    CHECK(told.pid() == getpid());
  }
  REQUIRE(ref.failure());
  CHECK(ref.failure()->message == "broken in a way");
}

TEST_CASE("every error of troupe can be caught as troupe::error and as std::exception") {
  const auto session = start();
  const auto ref = remote<throws_text<std::out_of_range>>();
  CHECK_THROWS_AS(fetch(ref), troupe::error);
  CHECK_THROWS_AS(fetch(ref), std::exception);
  const promise<int> never;
  CHECK_THROWS_AS(get(never.ref(), std::chrono::nanoseconds(0)), troupe::error);
  CHECK_THROWS_AS(get(never.ref(), std::chrono::nanoseconds(0)), std::runtime_error);
}

TEST_CASE("a failure passes a chain of arguments unchanged: only the origin is named") {
  const auto session = start();
  object_ref<int> ref = with({.name = "origin"}).remote<throws_text<std::range_error>>();
  for (int i = 0; i < 10; ++i) ref = with({.name = "link"}).remote<pass>(ref);
  CHECK_THROWS_AS(fetch(ref), std::range_error);
  CHECK(ref.failure()->frames == std::vector<std::string>{"origin"});
}

TEST_CASE("a failure that tasks get and do not catch names each of them, the origin first") {
  const auto session = start();
  object_ref<int> ref = with({.name = "origin"}).remote<throws_text<std::range_error>>();
  ref = with({.name = "middle"}).remote<call_down>(ref);
  ref = with({.name = "top"}).remote<call_down>(ref);
  const std::string text = message_of<std::range_error>([&] { fetch(ref); });
  CHECK_THAT(text, contains("origin") && contains("middle") && contains("top"));
  CHECK(ref.failure()->frames == std::vector<std::string>{"origin", "middle", "top"});
  CHECK(ref.failure()->message == "broken in a way");
}

TEST_CASE("an error of the user's own type is thrown as itself and its origin is with the ref") {
  const auto session = start();
  object_ref<int> ref = with({.name = "origin"}).remote<throw_own>();
  ref = with({.name = "top"}).remote<call_down>(ref);
  try {
    fetch(ref);
    FAIL("nothing was thrown");
  } catch (const own_error& e) {
    CHECK(e.code == 17);
  }
  REQUIRE(ref.failure());
  CHECK_THAT(ref.failure()->type, contains("own_error"));
  CHECK(ref.failure()->message == "own error");
  CHECK(ref.failure()->frames == std::vector<std::string>{"origin", "top"});
}

TEST_CASE("what is no std::exception is thrown as itself, too") {
  const auto session = start();
  CHECK_THROWS_AS(fetch(remote<throw_odd>()), odd_error);
  const object_ref<int> number = with({.name = "origin"}).remote<throw_int>();
  CHECK_THROWS_AS(fetch(number), int);
  CHECK(number.failure()->type == "int");
  const object_ref<int> above = with({.name = "top"}).remote<call_down>(number);
  CHECK_THROWS_AS(fetch(above), int);
  CHECK(above.failure()->frames == std::vector<std::string>{"origin", "top"});
}

TEST_CASE("a system_error keeps its code through tasks") {
  const auto session = start();
  const object_ref<int> ref = remote<call_down>(remote<throw_system>());
  try {
    fetch(ref);
    FAIL("nothing was thrown");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::no_such_file_or_directory);
    CHECK_THAT(e.what(), contains("opening it"));
  }
}

TEST_CASE("a failure can be got many times and from many refs") {
  const auto session = start();
  const auto ref = remote<throws_text<std::out_of_range>>();
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(fetch(ref), std::out_of_range);
  const auto copy = ref;
  CHECK_THROWS_AS(fetch(copy), std::out_of_range);
  CHECK_THROWS_AS(view(copy), std::out_of_range);
  CHECK_THROWS_AS(fetch(object_ref<int>(copy)), std::out_of_range);
}

TEST_CASE("an error that a task catches goes no further") {
  const auto session = start();
  constexpr auto robust = [](object_ref<int> ref) {
    try {
      return get(ref);
    } catch (const std::out_of_range&) {
      return -1;
    }
  };
  CHECK(fetch(remote<robust>(remote<throws_text<std::out_of_range>>())) == -1);
}

TEST_CASE("an error that a task throws anew has that task as its origin") {
  const auto session = start();
  constexpr auto translate = [](object_ref<int> ref) {
    try {
      return get(ref);
    } catch (const std::out_of_range&) {
      throw std::domain_error("translated");
    }
  };
  const auto ref =
      with({.name = "translator"}).remote<translate>(remote<throws_text<std::out_of_range>>());
  CHECK_THROWS_AS(fetch(ref), std::domain_error);
  CHECK(ref.failure()->frames == std::vector<std::string>{"translator"});
}

TEST_CASE("an exception while the result is made is the task's failure") {
  const auto session = start();
  struct thrower {
    thrower() = default;
    thrower(const thrower&) { throw std::length_error("no copy"); }
  };
  static const thrower original;
  constexpr auto copy = []() -> troupe::in_process<thrower> {
    return troupe::in_process<thrower>(original);
  };
  CHECK_THROWS_AS(fetch(remote<[copy] { copy(); }>()), std::length_error);
  CHECK_THROWS_AS(view(remote<copy>(), patience), std::length_error);
}

TEST_CASE("an exception of an argument's copy is the task's failure") {
  const auto session = start();
  struct thrower {
    explicit thrower(bool b) : armed(b) {}
    thrower(const thrower& other) : armed(other.armed) {
      if (armed) throw std::length_error("no copy");
    }
    bool armed;
  };
  constexpr auto take = [](troupe::in_process<thrower>) { return 1; };
  const troupe::in_process<thrower> armed(std::in_place, true);
  CHECK_THROWS_AS(remote<take>(armed), std::length_error);
  CHECK(troupe::stats().pending_tasks == 0);
}
