#include "core/retry_state.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include <troupe/detail/assert.hpp>

namespace troupe::core {
namespace {

template <class Value>
[[noreturn]] void refuse(std::string_view field, std::string_view why, Value value,
                         std::string_view unit = "") {
  std::ostringstream text;
  text << field << ' ' << why << ", got " << value << unit;
  throw std::invalid_argument(text.str());
}

}  // namespace

void retry_policy::validate() const {
  if (max_retries < -1) {
    refuse("max_retries", "must be -1 (for ever), 0 or more", max_retries);
  }
  if (delay.count() < 0) refuse("retry_delay", "must not be negative", delay.count(), " ms");
  if (max_delay.count() < 0) {
    refuse("retry_max_delay", "must not be negative", max_delay.count(), " ms");
  }
  if (max_delay < delay) {
    std::ostringstream why;
    why << "must not be below retry_delay (" << delay.count() << " ms)";
    refuse("retry_max_delay", why.str(), max_delay.count(), " ms");
  }
  if (!std::isfinite(multiplier) || multiplier < 1) {
    refuse("retry_multiplier", "must be a finite number of at least 1", multiplier);
  }
  if (!(jitter >= 0 && jitter <= 1)) refuse("retry_jitter", "must be from 0 to 1", jitter);
}

retry_state::retry_state(retry_policy policy) : policy_(policy) { policy_.validate(); }

std::optional<std::chrono::milliseconds> retry_state::next(double uniform01) {
  const auto wait = wait_before(policy_, attempts_, uniform01);
  if (wait && attempts_ < std::numeric_limits<int>::max()) ++attempts_;
  return wait;
}

std::optional<std::chrono::milliseconds> retry_state::wait_before(const retry_policy& policy,
                                                                  int retries, double uniform01) {
  TROUPE_ASSERT(uniform01 >= 0 && uniform01 <= 1, "a random share is from 0 to 1");
  if (policy.max_retries >= 0 && retries >= policy.max_retries) return std::nullopt;
  const auto bound = static_cast<double>(std::min(policy.max_delay, longest_wait).count());
  const auto first = static_cast<double>(policy.delay.count());
  // Infinity, when the power overflows, is above the bound as well.
  const double wait =
      first == 0 ? 0 : std::min(first * std::pow(policy.multiplier, retries), bound);
  const double shortened = wait * (1 - policy.jitter * uniform01);
  return std::chrono::milliseconds(std::llround(shortened));
}

}  // namespace troupe::core
