// Calls that an actor makes to itself later.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

struct clockwork {
  explicit clockwork(signal s = {}) : beats(std::move(s)) {}

  void beat(int n) {
    seen.push_back(n);
    inside_actor &= troupe::this_actor::running();
    beats.raise();
  }
  void later(std::chrono::milliseconds delay, int n) {
    troupe::this_actor::send_later<&clockwork::beat>(delay, n);
  }
  void later_in_order() {
    troupe::this_actor::send_later<&clockwork::beat>(60ms, 3);
    troupe::this_actor::send_later<&clockwork::beat>(40ms, 2);
    troupe::this_actor::send_later<&clockwork::beat>(20ms, 1);
  }
  void every(std::chrono::milliseconds period, int n) {
    ticking = troupe::this_actor::send_every<&clockwork::beat>(period, n);
  }
  void every_with_text(std::string text) {
    ticking = troupe::this_actor::send_every<&clockwork::take>(1ms, std::move(text));
  }
  void take(const std::string& text) {
    texts.push_back(text);
    beats.raise();
  }
  void stop() { ticking.cancel(); }
  void start_and_stop() {
    auto timer = troupe::this_actor::send_later<&clockwork::beat>(0ms, 1);
    timer.cancel();
    timer.cancel();
  }
  void stop_at(int n) { ticking = troupe::this_actor::send_every<&clockwork::beat_until>(1ms, n); }
  void beat_until(int n) {
    seen.push_back(0);
    beats.raise();
    if (static_cast<int>(seen.size()) == n) ticking.cancel();
  }
  void refuse() {
    beats.raise();
    throw std::out_of_range("unheard");
  }
  void refuse_often() { ticking = troupe::this_actor::send_every<&clockwork::refuse>(1ms); }
  int hold(object_ref<int> gate) { return troupe::get(gate); }
  void negative() { troupe::this_actor::send_later<&clockwork::beat>(-1ms, 1); }
  void fail() { troupe::this_actor::fail(); }
  std::vector<int> all() const { return seen; }
  std::vector<std::string> all_texts() const { return texts; }
  bool was_inside() const { return inside_actor; }
  void nothing() {}

  signal beats;
  std::vector<int> seen;
  std::vector<std::string> texts;
  bool inside_actor = true;
  troupe::timer ticking;
};

struct pendulum : clockwork {
  using clockwork::clockwork;
  void swing() { troupe::this_actor::send_later<&clockwork::beat, pendulum>(1ms, 9); }
  void swing_wrong() { troupe::this_actor::send_later<&clockwork::beat>(1ms, 9); }
};

}  // namespace

TEST_CASE("send_later makes one call, in the actor, with its arguments") {
  const auto session = start();
  const signal beats;
  const auto c = remote<clockwork>(beats);
  c.remote<&clockwork::later>(1ms, 5);
  REQUIRE(beats.wait());
  CHECK(fetch(c.remote<&clockwork::all>()) == std::vector<int>{5});
  CHECK(fetch(c.remote<&clockwork::was_inside>()));
}

TEST_CASE("timers fire in the order of their times") {
  const auto session = start();
  const signal beats;
  const auto c = remote<clockwork>(beats);
  c.remote<&clockwork::later_in_order>();
  REQUIRE(beats.wait(3));
  CHECK(fetch(c.remote<&clockwork::all>()) == std::vector<int>{1, 2, 3});
}

TEST_CASE("send_every goes on until it is cancelled, with the same arguments each time") {
  const auto session = start();
  const signal beats;
  const auto c = remote<clockwork>(beats);
  const std::string text(50, 'x');
  c.remote<&clockwork::every_with_text>(text);
  REQUIRE(beats.wait(5));
  fetch(c.remote<&clockwork::stop>());
  fetch(c.remote<&clockwork::nothing>());  // behind a call that was queued when it was cancelled
  const auto before = fetch(c.remote<&clockwork::all_texts>());
  CHECK(before == std::vector<std::string>(before.size(), text));
  const signal other;
  const auto clock = remote<clockwork>(other);
  clock.remote<&clockwork::every>(1ms, 1);
  REQUIRE(other.wait(5));  // time passes
  CHECK(fetch(c.remote<&clockwork::all_texts>()).size() == before.size());
}

TEST_CASE("a timer can be cancelled from the call that it makes") {
  const auto session = start();
  const signal beats;
  const signal other;
  const auto c = remote<clockwork>(beats);
  c.remote<&clockwork::stop_at>(3);
  REQUIRE(beats.wait(3));
  const auto clock = remote<clockwork>(other);
  clock.remote<&clockwork::every>(1ms, 1);
  REQUIRE(other.wait(5));
  CHECK(beats.count() == 3);
}

TEST_CASE("a cancelled timer makes no call") {
  const auto session = start();
  const signal beats;
  const signal other;
  const auto c = remote<clockwork>(beats);
  fetch(c.remote<&clockwork::start_and_stop>());
  const auto clock = remote<clockwork>(other);
  clock.remote<&clockwork::every>(1ms, 1);
  REQUIRE(other.wait(5));
  fetch(c.remote<&clockwork::nothing>());
  CHECK(beats.count() <= 1);  // one that was due at once may be queued already
  troupe::timer().cancel();
}

TEST_CASE("a call of send_every that is still queued is not doubled") {
  const auto session = start();
  const signal beats;
  const signal other;
  const auto c = remote<clockwork>(beats);
  const promise<int> gate;
  fetch(c.remote<&clockwork::every>(1ms, 1));
  const auto held = c.remote<&clockwork::hold>(gate.ref());
  const auto clock = remote<clockwork>(other);
  clock.remote<&clockwork::every>(1ms, 1);
  REQUIRE(other.wait(20));
  CHECK(c.pending_calls() <= 2);  // the held one and a beat
  gate.set(1);
  fetch(held);
}

TEST_CASE("timers end with their actor and do not keep it alive") {
  const auto session = start();
  const signal beats;
  {
    const auto c = remote<clockwork>(beats);
    c.remote<&clockwork::every>(1ms, 1);
    REQUIRE(beats.wait(2));
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
  const auto k = remote<clockwork>(beats);
  fetch(k.remote<&clockwork::every>(1ms, 1));
  fetch(k.remote<&clockwork::later>(1h, 1));
  troupe::kill(k);
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
  const std::size_t before = beats.count();
  const signal other;
  const auto clock = remote<clockwork>(other);
  clock.remote<&clockwork::every>(1ms, 1);
  REQUIRE(other.wait(5));
  CHECK(beats.count() == before);
}

TEST_CASE("a timed call that throws neither ends its timer nor its actor") {
  const auto session = start();
  const signal beats;
  const auto c = remote<clockwork>(beats);
  c.remote<&clockwork::refuse_often>();
  REQUIRE(beats.wait(3));
  CHECK(c.alive());
}

TEST_CASE("a timer's method may be inherited when the class is named") {
  const auto session = start();
  const signal beats;
  const auto p = remote<pendulum>(beats);
  p.remote<&pendulum::swing>();
  REQUIRE(beats.wait());
  CHECK_THROWS_AS(fetch(p.remote<&pendulum::swing_wrong>()), std::logic_error);
}

TEST_CASE("a negative delay is refused") {
  const auto session = start();
  CHECK_THROWS_AS(fetch(remote<clockwork>().remote<&clockwork::negative>()), std::invalid_argument);
}

TEST_CASE("hundreds of actors with timers end in the middle of their beats") {
  const auto session = start();
  const signal beats;
  {
    std::vector<troupe::actor_handle<clockwork>> all;
    for (int i = 0; i < 300; ++i) {
      all.push_back(remote<clockwork>(beats));
      all.back().remote<&clockwork::every>(1ms, i);
    }
    REQUIRE(beats.wait(1000));
    for (std::size_t i = 0; i < all.size(); i += 2) troupe::kill(all[i]);
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("shutdown ends actors with timers") {
  const signal beats;
  auto session = start();
  const auto c =
      with({.name = "clock", .lifetime = troupe::lifetime::detached}).remote<clockwork>(beats);
  c.remote<&clockwork::every>(1ms, 1);
  c.remote<&clockwork::later>(1h, 1);
  REQUIRE(beats.wait(2));
  session.shutdown();
  CHECK_FALSE(troupe::is_initialized());
}
