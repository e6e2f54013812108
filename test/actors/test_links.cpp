// Links: whom an actor's end takes along.
#include <string>
#include <thread>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::actor_died_error;
using troupe::actor_handle;
using troupe::exit_info;
using troupe::exit_reason;
using troupe::remote;

namespace {

struct mortal {
  int work() { return 1; }
  void leave() { troupe::this_actor::exit(); }
  void fail() { troupe::this_actor::fail("tired"); }
};

struct linker {
  void tie(actor_handle<mortal> other) {
    troupe::link(troupe::this_actor::handle<linker>(), other);
  }
  int work() { return 1; }
};

template <class T>
bool dies(const actor_handle<T>& actor) {
  return eventually([&] { return !actor.alive(); });
}

}  // namespace

TEST_CASE("an abnormal end takes linked actors along, in both directions") {
  const auto session = start();
  const auto a = remote<mortal>();
  const auto b = remote<mortal>();
  const promise<exit_info> told;
  troupe::on_exit(b, [told](const exit_info& info) { told.set(info); });
  troupe::link(a, b);
  a.remote<&mortal::fail>();
  const exit_info end = fetch(told.ref());
  CHECK(end.reason == exit_reason::linked);
  CHECK_THAT(end.message, contains("tired"));
  CHECK_THROWS_AS(fetch(b.remote<&mortal::work>()), actor_died_error);
  const auto c = remote<mortal>();
  const auto d = remote<mortal>();
  troupe::link(c, d);
  troupe::kill(d);
  CHECK(dies(c));
}

TEST_CASE("a normal end leaves linked actors alone") {
  const auto session = start();
  const auto a = remote<mortal>();
  const auto b = remote<mortal>();
  troupe::link(a, b);
  a.remote<&mortal::leave>();
  CHECK(dies(a));
  {
    const auto scoped = remote<mortal>();
    troupe::link(scoped, b);
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 1; }));
  CHECK(fetch(b.remote<&mortal::work>()) == 1);
}

TEST_CASE("unlinked actors, and one linked to itself, end alone") {
  const auto session = start();
  const auto a = remote<mortal>();
  const auto b = remote<mortal>();
  troupe::link(a, b);
  troupe::link(a, b);
  troupe::unlink(b, a);
  troupe::link(a, a);
  troupe::kill(a);
  CHECK(dies(a));
  CHECK(fetch(b.remote<&mortal::work>()) == 1);
}

TEST_CASE("a link to an actor that died abnormally ends the other at once") {
  const auto session = start();
  const auto a = remote<mortal>();
  troupe::kill(a);
  CHECK(dies(a));
  const auto b = remote<mortal>();
  troupe::link(b, a);
  CHECK(dies(b));
  const auto c = remote<mortal>();
  troupe::link(a, c);
  CHECK(dies(c));
}

TEST_CASE("a chain of a hundred links falls from either end, and from the middle") {
  const auto session = start();
  for (const std::size_t at : {std::size_t{0}, std::size_t{50}, std::size_t{99}}) {
    std::vector<actor_handle<mortal>> chain;
    for (int i = 0; i < 100; ++i) {
      chain.push_back(remote<mortal>());
      if (i > 0) troupe::link(chain[i - 1], chain[i]);
    }
    troupe::kill(chain[at]);
    for (const auto& one : chain) REQUIRE(dies(one));
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("an actor that links itself dies with the other, by any race") {
  const auto session = start();
  for (int round = 0; round < 100; ++round) {
    const auto l = remote<linker>();
    const auto m = remote<mortal>();
    {
      std::jthread killer([&] { troupe::kill(m); });
      l.remote<&linker::tie>(m);
    }
    REQUIRE(dies(l));
  }
}

TEST_CASE("linked actors that are killed at once from many sides end once") {
  const auto session = start();
  for (int round = 0; round < 50; ++round) {
    std::vector<actor_handle<mortal>> ring;
    for (int i = 0; i < 8; ++i) ring.push_back(remote<mortal>());
    for (int i = 0; i < 8; ++i) troupe::link(ring[i], ring[(i + 1) % 8]);
    {
      std::jthread first([&] { troupe::kill(ring[0]); });
      std::jthread second([&] { troupe::kill(ring[4]); });
      troupe::unlink(ring[2], ring[3]);
    }
    for (const auto& one : ring) REQUIRE(dies(one));
  }
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}
