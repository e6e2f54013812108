/// Decides whether something that failed is tried again, and how long to wait before.
#pragma once

#include <chrono>
#include <optional>

namespace troupe::core {

/// How often to retry and how long to wait. The fields' names in messages are those of the options
/// that a user sets (`retry_delay` for `delay`).
struct retry_policy {
  /// Retries after the first attempt; -1 for ever.
  int max_retries = 0;
  /// Wait before the first retry.
  std::chrono::milliseconds delay{0};
  /// What each further wait is multiplied by.
  double multiplier = 2.0;
  /// Bound of the wait.
  std::chrono::milliseconds max_delay{60'000};
  /// Share of the wait, 0 to 1, by which it is shortened at random, so that retries do not meet.
  double jitter = 0.0;

  /// Throws `std::invalid_argument` that names the field and its value.
  void validate() const;
};

/// The retries of one task or call. Pure: randomness comes as an argument; thread-compatible.
class retry_state {
 public:
  /// No wait is longer than this, whatever the policy says: due times stay in the clock's range.
  static constexpr std::chrono::milliseconds longest_wait = std::chrono::hours{24 * 365};

  /// Validates the policy.
  explicit retry_state(retry_policy policy);

  /// The wait before the next attempt, or nothing when there shall be none. `uniform01` is a random
  /// number between 0 and 1.
  std::optional<std::chrono::milliseconds> next(double uniform01);

  /// The wait before the retry after `retries` earlier ones. For those who count themselves.
  static std::optional<std::chrono::milliseconds> wait_before(const retry_policy& policy,
                                                              int retries, double uniform01);

  /// Retries that `next` has allowed so far.
  int attempts() const noexcept { return attempts_; }

 private:
  retry_policy policy_;
  int attempts_ = 0;
};

}  // namespace troupe::core
