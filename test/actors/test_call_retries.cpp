// Retries of calls whose methods threw.
#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actor.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::actor_died_error;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

std::atomic<int> tries{0};

struct fragile {
  int refuse_first(int times) {
    if (tries++ < times) throw std::out_of_range("not yet");
    return tries;
  }
  int refuse(std::string what) {
    ++tries;
    throw std::domain_error(what);
  }
  int ready_at(int attempt) {
    if (troupe::this_task::attempt() < attempt) throw std::out_of_range("too early");
    return troupe::this_task::attempt();
  }
  void note(int n) {
    if (troupe::this_task::attempt() == 0) throw std::out_of_range("once");
    seen.push_back(n);
  }
  int hold(object_ref<int> gate) { return troupe::get(gate); }
  std::vector<int> all() const { return seen; }
  std::vector<int> seen;
};

}  // namespace

TEST_CASE("retry_exceptions runs a method again that threw, so often as it has retries") {
  const auto session = start();
  const auto f = remote<fragile>();
  tries = 0;
  const auto all = f.with({.retry_exceptions = true, .max_task_retries = 3});
  CHECK(fetch(all.remote<&fragile::refuse_first>(2)) == 3);
  tries = 0;
  CHECK_THROWS_AS(fetch(all.remote<&fragile::refuse>("no")), std::domain_error);
  CHECK(tries == 4);
  tries = 0;
  const auto others =
      f.with({.retry_exceptions = troupe::exceptions<std::out_of_range>, .max_task_retries = 3});
  CHECK_THROWS_AS(fetch(others.remote<&fragile::refuse>("no")), std::domain_error);
  CHECK(tries == 1);
  CHECK(f.alive());
}

TEST_CASE("a retried method's argument is not moved away by the first attempt") {
  const auto session = start();
  const auto f = remote<fragile>();
  const std::string text(100, 'x');
  const auto call =
      f.with({.retry_exceptions = true, .max_task_retries = 2}).remote<&fragile::refuse>(text);
  CHECK_THAT(message_of<std::domain_error>([&] { fetch(call); }), contains(text));
}

TEST_CASE("a retry without a delay keeps the order of calls") {
  const auto session = start();
  const auto f = remote<fragile>();
  const auto twice = f.with({.retry_exceptions = true, .max_task_retries = 1});
  for (int i = 0; i < 200; ++i) twice.remote<&fragile::note>(i);
  const auto seen = fetch(f.remote<&fragile::all>());
  REQUIRE(seen.size() == 200);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("a retry with a delay lets other calls run meanwhile") {
  const auto session = start();
  const auto f = remote<fragile>();
  const auto patient = f.with(
      {.retry_exceptions = true, .retry_delay = 1h, .retry_max_delay = 1h, .max_task_retries = 1});
  const auto waiting = patient.remote<&fragile::ready_at>(1);
  CHECK(fetch(f.remote<&fragile::all>()).empty());
  CHECK_FALSE(waiting.ready());
  CHECK(troupe::cancel(waiting));
  CHECK(eventually([&] { return f.pending_calls() == 0; }));
  const auto brief = f.with({.retry_exceptions = true, .retry_delay = 1ms, .max_task_retries = 3});
  CHECK(fetch(brief.remote<&fragile::ready_at>(3)) == 3);
}

TEST_CASE("a call that waits for its next attempt ends with its killed actor") {
  const auto session = start();
  const auto f = remote<fragile>();
  const auto waiting = f.with({.retry_exceptions = true,
                               .retry_delay = 1h,
                               .retry_max_delay = 1h,
                               .max_task_retries = 1})
                           .remote<&fragile::ready_at>(1);
  fetch(f.remote<&fragile::all>());
  troupe::kill(f);
  CHECK_THROWS_AS(fetch(waiting), actor_died_error);
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}

TEST_CASE("an actor without handles lives until the last retry has run") {
  const auto session = start();
  const auto call = [] {
    return remote<fragile>()
        .with({.retry_exceptions = true, .retry_delay = 5ms, .max_task_retries = 2})
        .remote<&fragile::ready_at>(2);
  }();
  CHECK(fetch(call) == 2);
  CHECK(eventually([] { return troupe::stats().live_actors == 0; }));
}
