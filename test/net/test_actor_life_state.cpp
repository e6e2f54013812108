// The life of an actor of a cluster, as its owner decides it.
#include <algorithm>

#include "net/actor_life_state.hpp"
#include "test/support/catch.hpp"

using troupe::net::actor_life_state;
using troupe::net::actor_phase;
using troupe::net::peer;
using step = actor_life_state::step;
using steps = actor_life_state::steps;

namespace {

constexpr std::uint8_t killed = 2;
constexpr std::uint8_t failed = 4;

const peer here{10, "host", "/socket", ""};
const peer there{20, "host", "/other", ""};

bool has(const steps& all, step one) { return std::find(all.begin(), all.end(), one) != all.end(); }

actor_life_state alive(int max_restarts) {
  actor_life_state life(max_restarts);
  life.begin();
  life.placed(here);
  life.created(1, true, "");
  return life;
}

}  // namespace

TEST_CASE(
    "an actor asks for a place, is created there, and is alive when its constructor has run") {
  actor_life_state life(0);
  CHECK(life.begin() == steps{step::ask_lease});
  CHECK(life.phase() == actor_phase::pending);
  CHECK(life.placed(here) == steps{step::create});
  CHECK(life.incarnation() == 1);
  CHECK(life.created(1, true, "") == steps{step::publish});
  CHECK(life.phase() == actor_phase::alive);
  CHECK(life.host() == here);
}

TEST_CASE("an actor whose first constructor throws is dead, however often it might restart") {
  actor_life_state life(5);
  life.begin();
  life.placed(here);
  const steps next = life.created(1, false, "it threw");
  CHECK(has(next, step::publish));
  CHECK(has(next, step::give_lease));
  CHECK(has(next, step::bury));
  CHECK(life.phase() == actor_phase::dead);
  CHECK(life.text() == "it threw");
}

TEST_CASE("an actor whose process dies begins again elsewhere until its restarts are used up") {
  actor_life_state life = alive(1);
  const steps next = life.process_gone(here.id, "signal 9");
  CHECK(life.phase() == actor_phase::restarting);
  CHECK(has(next, step::ask_lease));
  CHECK_FALSE(has(next, step::bury));
  CHECK(life.placed(there) == steps{step::create});
  CHECK(life.incarnation() == 2);
  life.created(2, true, "");
  CHECK(life.phase() == actor_phase::alive);
  CHECK(has(life.process_gone(there.id, "signal 9"), step::bury));
  CHECK(life.phase() == actor_phase::dead);
}

TEST_CASE("words of a life that is over change nothing") {
  actor_life_state life = alive(-1);
  life.process_gone(here.id, "signal 9");
  life.placed(there);
  CHECK(life.created(1, true, "").empty());
  CHECK(life.ended(1, failed, "late", true).empty());
  CHECK(life.process_gone(here.id, "again").empty());
  CHECK(life.phase() == actor_phase::restarting);
  life.created(2, true, "");
  CHECK(life.phase() == actor_phase::alive);
}

TEST_CASE("a kill ends the life and the actor, or only the life when it may restart") {
  actor_life_state gone = alive(3);
  const steps end = gone.kill(killed, "killed", false);
  CHECK(end.front() == step::end_life);
  CHECK(has(end, step::bury));
  CHECK(gone.kill(killed, "again", false).empty());
  actor_life_state again = alive(3);
  const steps restart = again.kill(killed, "killed", true);
  CHECK(restart.front() == step::end_life);
  CHECK(has(restart, step::ask_lease));
  CHECK(again.phase() == actor_phase::restarting);
}

TEST_CASE("a lease that comes for an actor that is dead already goes back") {
  actor_life_state life(0);
  life.begin();
  life.kill(killed, "not wanted", false);
  CHECK(life.placed(here) == steps{step::give_lease});
  CHECK(life.phase() == actor_phase::dead);
}

TEST_CASE("an actor that cannot be placed is dead and says why") {
  actor_life_state life(3);
  life.begin();
  CHECK(has(life.refused("no node has 8 GPU"), step::bury));
  CHECK(life.text().find("no node has 8 GPU") != std::string::npos);
}

TEST_CASE("a life that was ended and failed meanwhile is followed by one other, with its lease") {
  actor_life_state life = alive(5);
  CHECK(has(life.kill(killed, "killed", true), step::ask_lease));
  // Its own word crossed with the order; the request for the next lease must stay open.
  CHECK(life.ended(1, failed, "it failed", true).empty());
  CHECK(life.phase() == actor_phase::restarting);
  CHECK(life.placed(there) == steps{step::create});
  CHECK(life.incarnation() == 2);
}

TEST_CASE("a kill with a restart changes nothing for an actor that waits for its next life") {
  actor_life_state life = alive(5);
  life.process_gone(here.id, "signal 9");
  CHECK(life.kill(killed, "killed", true).empty());
  CHECK(life.placed(there) == steps{step::create});
}

TEST_CASE("an actor without a place is not concerned by the end of any process") {
  actor_life_state life = alive(5);
  life.process_gone(here.id, "signal 9");
  CHECK(life.process_gone(0, "its node is gone").empty());
  CHECK(life.placed(there) == steps{step::create});
}
