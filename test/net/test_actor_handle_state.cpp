// What a process that holds handles of an actor believes of it.
#include "net/actor_handle_state.hpp"
#include "test/support/catch.hpp"

using troupe::net::actor_at;
using troupe::net::actor_handle_state;
using troupe::net::actor_phase;
using troupe::net::peer;
using news = actor_handle_state::news;

namespace {

constexpr std::uint8_t killed = 2;
const peer here{10, "host", "/socket", ""};
const peer there{20, "host", "/other", ""};

actor_at at(actor_phase phase, std::uint32_t incarnation, const peer& host = {}) {
  actor_at what;
  what.phase = phase;
  what.incarnation = incarnation;
  what.host = host;
  return what;
}

actor_handle_state alive(std::uint32_t incarnation = 1) {
  actor_handle_state state;
  state.heard(at(actor_phase::alive, incarnation, here));
  return state;
}

}  // namespace

TEST_CASE("calls go to the host that the owner names, and wait until it names one") {
  actor_handle_state state;
  CHECK(state.is_away());
  CHECK(state.heard(at(actor_phase::pending, 0)) == news::known);
  CHECK(state.is_away());
  CHECK(state.heard(at(actor_phase::alive, 1, here)) == news::another);
  CHECK_FALSE(state.is_away());
  CHECK(state.host() == here);
}

TEST_CASE("calls that were sent to an earlier life may have run in it") {
  actor_handle_state state = alive();
  CHECK(state.heard(at(actor_phase::alive, 1, here)) == news::known);
  CHECK(state.heard(at(actor_phase::restarting, 1)) == news::another);
  CHECK(state.is_away());
  CHECK(state.heard(at(actor_phase::alive, 2, there)) == news::another);
  CHECK(state.incarnation() == 2);
  CHECK(state.host() == there);
}

TEST_CASE("news of an earlier life say nothing") {
  actor_handle_state state = alive(2);
  CHECK(state.heard(at(actor_phase::alive, 1, there)) == news::none);
  CHECK(state.host() == here);
}

TEST_CASE("an actor that its owner has forgotten is over, however many lives were heard of") {
  actor_handle_state state = alive(2);
  CHECK(state.heard(at(actor_phase::dead, 0)) == news::over);
  CHECK(state.end());
  CHECK(state.is_dead());
}

TEST_CASE("what is over stays over, and ends once") {
  actor_handle_state state = alive();
  CHECK(state.end());
  CHECK_FALSE(state.end());
  CHECK(state.heard(at(actor_phase::alive, 2, there)) == news::none);
  CHECK(state.is_dead());
}

TEST_CASE("the owner is asked once where an actor is whose host refuses calls") {
  actor_handle_state state = alive();
  CHECK(state.refused());
  CHECK(state.is_away());
  CHECK_FALSE(state.refused());
  CHECK(state.heard(at(actor_phase::alive, 1, here)) == news::known);
  CHECK_FALSE(state.is_away());
}

TEST_CASE("an order to begin again is told to another life of the owner until it has come about") {
  actor_handle_state state = alive();
  const auto order = state.order_end(7, killed, "why", true);
  CHECK(order.actor == 7);
  CHECK_FALSE(order.no_restart);
  CHECK(order.incarnation == 1);
  CHECK(state.ordered_end());
  state.heard(at(actor_phase::alive, 2, there));
  CHECK_FALSE(state.ordered_end());
}

TEST_CASE("an order to end is told to another life of the owner until the actor is over") {
  actor_handle_state state = alive();
  state.order_end(7, killed, "why", false);
  // It had begun again before the order came.
  state.heard(at(actor_phase::alive, 2, there));
  REQUIRE(state.ordered_end());
  CHECK(state.ordered_end()->no_restart);
  state.order_end(7, killed, "why", true);
  CHECK(state.ordered_end()->no_restart);
  state.end();
  CHECK_FALSE(state.ordered_end());
}
