#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/retry_state.hpp"
#include "test/support/catch.hpp"

using namespace std::chrono_literals;
using troupe::core::retry_policy;
using troupe::core::retry_state;

namespace {

std::string refusal(const retry_policy& policy) {
  try {
    retry_state state(policy);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("a policy without retries allows none") {
  retry_state state({.max_retries = 0});
  REQUIRE_FALSE(state.next(0));
  REQUIRE(state.attempts() == 0);
}

TEST_CASE("retries end after max_retries and waits double up to their bound") {
  retry_state state({.max_retries = 5, .delay = 100ms, .max_delay = 500ms});
  REQUIRE(state.next(0) == 100ms);
  REQUIRE(state.next(0) == 200ms);
  REQUIRE(state.next(0) == 400ms);
  REQUIRE(state.next(0) == 500ms);
  REQUIRE(state.next(0) == 500ms);
  REQUIRE(state.attempts() == 5);
  REQUIRE_FALSE(state.next(0));
  REQUIRE_FALSE(state.next(0));
  REQUIRE(state.attempts() == 5);
}

TEST_CASE("max_retries -1 goes on for ever and the wait stays at its bound") {
  retry_state state({.max_retries = -1, .delay = 1ms, .multiplier = 10, .max_delay = 1000ms});
  for (int i = 0; i < 10'000; ++i) REQUIRE(state.next(0.5).has_value());
  REQUIRE(state.next(0) == 1000ms);
  REQUIRE(state.attempts() == 10'001);
}

TEST_CASE("without a delay retries follow at once") {
  retry_state state({.max_retries = 3});
  REQUIRE(state.next(0.7) == 0ms);
  REQUIRE(state.next(0.7) == 0ms);
}

TEST_CASE("a multiplier of one keeps the wait as it is") {
  retry_state state({.max_retries = 3, .delay = 70ms, .multiplier = 1});
  REQUIRE(state.next(0) == 70ms);
  REQUIRE(state.next(0) == 70ms);
}

TEST_CASE("jitter shortens a wait by up to its share and leaves the next one alone") {
  retry_state state({.max_retries = -1, .delay = 100ms, .jitter = 0.5});
  REQUIRE(state.next(1) == 50ms);
  REQUIRE(state.next(0) == 200ms);
  REQUIRE(state.next(0.5) == 300ms);
  retry_state full({.max_retries = -1, .delay = 100ms, .jitter = 1});
  REQUIRE(full.next(1) == 0ms);
}

TEST_CASE("no wait is longer than a year") {
  retry_state state({.max_retries = -1,
                     .delay = 1ms,
                     .multiplier = 1e300,
                     .max_delay = std::chrono::milliseconds::max()});
  REQUIRE(state.next(0) == 1ms);
  REQUIRE(state.next(0) == retry_state::longest_wait);
  REQUIRE(state.next(0) == retry_state::longest_wait);
}

TEST_CASE("a policy that makes no sense is refused with its field and value") {
  REQUIRE(refusal({.max_retries = -2}) == "max_retries must be -1 (for ever), 0 or more, got -2");
  REQUIRE(refusal({.delay = -1ms}) == "retry_delay must not be negative, got -1 ms");
  REQUIRE(refusal({.max_delay = -5ms}) == "retry_max_delay must not be negative, got -5 ms");
  REQUIRE(refusal({.delay = 90s}) ==
          "retry_max_delay must not be below retry_delay (90000 ms), got 60000 ms");
  REQUIRE(refusal({.multiplier = 0.5}) ==
          "retry_multiplier must be a finite number of at least 1, got 0.5");
  REQUIRE(refusal({.multiplier = std::nan("")}) ==
          "retry_multiplier must be a finite number of at least 1, got nan");
  REQUIRE(refusal({.jitter = 1.5}) == "retry_jitter must be from 0 to 1, got 1.5");
  REQUIRE(refusal({.jitter = -0.1}) == "retry_jitter must be from 0 to 1, got -0.1");
}
