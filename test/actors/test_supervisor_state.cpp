#include <chrono>
#include <vector>

#include "actors/supervisor_state.hpp"
#include "test/support/catch.hpp"

using namespace std::chrono_literals;
using troupe::child_state;
using troupe::restart;
using troupe::strategy;
using troupe::actors::supervisor_state;

namespace {

using plan = supervisor_state::plan;

supervisor_state::time_point at(std::chrono::milliseconds time) {
  return supervisor_state::time_point(time);
}

supervisor_state running(strategy how, const std::vector<restart>& children, int max_restarts = 3) {
  supervisor_state state(how, max_restarts, 5s, children);
  for (const std::size_t child : state.begin().start) state.started(child);
  return state;
}

plan end(supervisor_state& state, std::size_t child, bool abnormal = true,
         std::chrono::milliseconds time = 0ms) {
  return state.ended(child, state.at(child).incarnation, abnormal, at(time));
}

void carry_out(supervisor_state& state, const plan& what) {
  for (const std::size_t child : what.stop) state.stopped(child);
  for (const std::size_t child : what.start) state.started(child);
}

constexpr auto permanent = restart::permanent;
constexpr auto transient = restart::transient;
constexpr auto temporary = restart::temporary;

}  // namespace

TEST_CASE("children start in their order and stop in the reverse one") {
  supervisor_state state(strategy::one_for_one, 3, 5s, {permanent, permanent, permanent});
  CHECK(state.begin() == plan{{}, {0, 1, 2}, false});
  state.started(0);
  state.started(1);  // the third did not start
  CHECK(state.stop_all() == plan{{1, 0}, {}, false});
}

TEST_CASE("one_for_one starts the child that ended and leaves the others") {
  auto state = running(strategy::one_for_one, {permanent, permanent, permanent});
  const plan what = end(state, 1);
  CHECK(what == plan{{}, {1}, false});
  CHECK(state.at(1).state == child_state::restarting);
  carry_out(state, what);
  CHECK(state.at(1).state == child_state::running);
  CHECK(state.at(1).restarts == 1);
  CHECK(state.at(0).restarts == 0);
}

TEST_CASE("one_for_all stops the others and starts all") {
  auto state = running(strategy::one_for_all, {permanent, permanent, permanent});
  const plan what = end(state, 1);
  CHECK(what == plan{{2, 0}, {0, 1, 2}, false});
  carry_out(state, what);
  for (std::size_t i = 0; i < 3; ++i) CHECK(state.at(i).restarts == 1);
}

TEST_CASE("rest_for_one stops and starts the child and those after it") {
  auto state = running(strategy::rest_for_one, {permanent, permanent, permanent, permanent});
  CHECK(end(state, 1) == plan{{3, 2}, {1, 2, 3}, false});
}

TEST_CASE("a permanent child starts again whatever its end was") {
  auto state = running(strategy::one_for_one, {permanent});
  CHECK(end(state, 0, false).start == std::vector<std::size_t>{0});
}

TEST_CASE("a transient child starts again after an abnormal end only") {
  auto state = running(strategy::one_for_all, {transient, permanent});
  CHECK(end(state, 0, false) == plan{});
  CHECK(state.at(0).state == child_state::ended);
  auto other = running(strategy::one_for_one, {transient});
  CHECK(end(other, 0, true).start == std::vector<std::size_t>{0});
}

TEST_CASE("a transient child that ended comes back with its siblings") {
  auto state = running(strategy::one_for_all, {transient, permanent});
  end(state, 0, false);
  CHECK(end(state, 1) == plan{{}, {0, 1}, false});
}

TEST_CASE("a temporary child never starts again, also when it is stopped with its siblings") {
  auto state = running(strategy::one_for_all, {temporary, permanent, temporary});
  CHECK(end(state, 0) == plan{});
  const plan what = end(state, 1);
  CHECK(what == plan{{2}, {1}, false});
  carry_out(state, what);
  CHECK(state.at(2).state == child_state::ended);
}

TEST_CASE("one restart too many within the period stops all, the youngest first") {
  auto state = running(strategy::one_for_one, {permanent, permanent}, 2);
  carry_out(state, end(state, 0, true, 0ms));
  carry_out(state, end(state, 1, true, 1000ms));
  CHECK(end(state, 0, true, 4999ms) == plan{{1}, {}, true});
  CHECK(state.at(0).state == child_state::ended);
  CHECK(end(state, 1, true, 5000ms) == plan{});  // nothing matters any more
}

TEST_CASE("restarts are forgotten after the period") {
  auto state = running(strategy::one_for_one, {permanent}, 2);
  carry_out(state, end(state, 0, true, 0ms));
  carry_out(state, end(state, 0, true, 1000ms));
  const plan third = end(state, 0, true, 5000ms);
  CHECK_FALSE(third.give_up);
  carry_out(state, third);
  CHECK(end(state, 0, true, 5500ms).give_up);
}

TEST_CASE("a supervisor that allows no restart gives up at the first") {
  auto state = running(strategy::one_for_one, {permanent, permanent}, 0);
  CHECK(end(state, 0) == plan{{1}, {}, true});
}

TEST_CASE("a child that does not start again counts as one more end") {
  auto state = running(strategy::rest_for_one, {permanent, permanent, permanent}, 2);
  const plan first = end(state, 0);
  CHECK(first == plan{{2, 1}, {0, 1, 2}, false});
  state.stopped(2);
  state.stopped(1);
  state.started(0);
  const plan second = end(state, 1);  // it could not be started
  CHECK(second == plan{{}, {1, 2}, false});
  CHECK(end(state, 1) == plan{{0}, {}, true});
}

TEST_CASE("the end of a past life is no news") {
  auto state = running(strategy::one_for_one, {permanent});
  const auto first_life = state.at(0).incarnation;
  carry_out(state, end(state, 0));
  CHECK(state.ended(0, first_life, true, at(0ms)) == plan{});
  CHECK(state.at(0).state == child_state::running);
}

TEST_CASE("a child that was stopped does not end once more") {
  auto state = running(strategy::one_for_one, {permanent, permanent});
  carry_out(state, state.stop_all());
  CHECK(end(state, 0) == plan{});
  CHECK(state.at(0).state == child_state::stopped);
}
