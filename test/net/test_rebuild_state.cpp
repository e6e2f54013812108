// Which lost values are made again, by whom they are awaited, and how often.
#include "net/rebuild_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using state = rebuild_state;

namespace {

constexpr stored_id a{1, 1};
constexpr stored_id b{2, 7};

template <class T>
const T* is(const state::verdict& verdict) {
  return std::get_if<T>(&verdict);
}

}  // namespace

TEST_CASE("the first to find a value lost begins its task; all who wait are told") {
  state known(1000);
  known.keep(a, 10, 3, 0);
  const auto first = known.lost(a, 5);
  REQUIRE(is<state::run_again>(first));
  CHECK(is<state::run_again>(first)->value == a);
  CHECK(is<state::run_again>(first)->attempt == 1);
  CHECK(is<state::under_way>(known.lost(a, 6)));
  const auto waiting = known.rebuilt(a, b, 1);
  REQUIRE(waiting.size() == 2);
  CHECK(waiting[0].who == 5);
  CHECK(waiting[1].who == 6);
  CHECK(waiting[1].value == a);
}

TEST_CASE("one who knows an old place only is told the new one") {
  state known(1000);
  known.keep(a, 10, 3, 0);
  known.lost(a, 5);
  known.rebuilt(a, b, 1);
  const auto told = known.lost(a, 6);
  REQUIRE(is<state::lies_elsewhere>(told));
  CHECK(is<state::lies_elsewhere>(told)->value == a);
  REQUIRE(is<state::run_again>(known.lost(b, 6)));  // lost once more
  CHECK(known.rebuilt(a, {3, 3}, 2).front().value == b);
}

TEST_CASE("attempts count against max_retries, those after deaths of workers included") {
  state known(1000);
  known.keep(a, 10, 2, 1);
  CHECK(is<state::run_again>(known.lost(a, 5)));
  known.failed(a, 2);
  const auto last = known.lost(a, 5);
  REQUIRE(is<state::hopeless>(last));
  CHECK(is<state::hopeless>(last)->why.find("has run 3 times") != std::string::npos);
}

TEST_CASE("without a bound a task runs as often as its value is lost") {
  state known(1000);
  known.keep(a, 10, -1, 0);
  stored_id now = a;
  for (std::uint64_t i = 1; i < 50; ++i) {
    REQUIRE(is<state::run_again>(known.lost(now, 5)));
    known.rebuilt(a, {9, i}, static_cast<std::int32_t>(i));
    now = {9, i};
  }
}

TEST_CASE("what cannot run again, or is not known, is lost for the reason that was noted") {
  state known(1000);
  known.keep_not(a, "because");
  CHECK(is<state::hopeless>(known.lost(a, 5))->why == "because");
  CHECK(is<state::hopeless>(known.lost(b, 5)) != nullptr);
}

TEST_CASE("room is counted, and comes back when a value goes; its waiters are handed back") {
  state known(100);
  CHECK(known.has_room(100));
  known.keep(a, 60, 3, 0);
  CHECK(!known.has_room(41));
  CHECK(known.has_room(40));
  known.lost(a, 5);
  CHECK(known.forget(a).size() == 1);
  CHECK(known.bytes() == 0);
  CHECK(known.size() == 0);
  CHECK(is<state::hopeless>(known.lost(a, 5)) != nullptr);
}

TEST_CASE("a process that is gone waits for nothing") {
  state known(100);
  known.keep(a, 1, 3, 0);
  known.lost(a, 5);
  known.lost(a, 6);
  known.process_gone(5);
  const auto waiting = known.rebuilt(a, b, 1);
  REQUIRE(waiting.size() == 1);
  CHECK(waiting.front().who == 6);
}
