/// How a pool of actors works: its members, its bounds, its batches.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <troupe/histogram.hpp>
#include <troupe/options.hpp>

namespace troupe {

/// Options of an `actor_pool` or `shared_pool`. Trivially destructible, as `options`.
struct pool_options {
  /// Members that the pool starts. 0: one for each CPU of the runtime.
  std::size_t size = 0;
  /// Options of each member: `.actor = {.num_cpus = 1}`.
  options actor{};
  /// Calls that a member has at once; further ones wait in the pool for whichever is free first.
  /// 0: as many as a member's `max_concurrency`; two batches, when `actor.max_batch_size` is given.
  std::size_t max_in_flight = 0;
  /// Calls that wait in the pool; one more is a `pending_calls_limit_error`.
  std::size_t max_pending = 1'000'000;
  /// Times that a call is sent in all when members die under it.
  int max_attempts = 3;
  /// Members that are started in place of dead ones; -1: no bound.
  int max_replacements = -1;

  // The rest is for a shared pool, which is an actor.

  /// Registers the pool, see `get_pool`.
  std::string_view name{};
  /// The namespace of its name; default the session's.
  std::string_view in_namespace{};
  /// How long it lives.
  troupe::lifetime lifetime = troupe::lifetime::scoped;
  /// A taken name gives the pool that has it instead of an error.
  bool get_if_exists = false;
};

/// How inputs become batches.
struct batch_options {
  /// Inputs in one call at most.
  std::size_t max_batch_size = 32;
  /// How long an input waits for others while a member is free. 0: not at all; then a batch is what
  /// came while all members were busy.
  std::chrono::nanoseconds max_wait{0};

  bool operator==(const batch_options&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(max_batch_size, max_wait);
  }
};

/// What a pool has and does now.
struct pool_stats {
  std::size_t members = 0;
  std::size_t waiting = 0;     ///< inputs that no member has taken
  std::size_t running = 0;     ///< calls that members have
  std::uint64_t replaced = 0;  ///< members started in place of dead ones
  histogram batch_sizes{};     ///< inputs in each call of a batched method
  histogram latencies{};       ///< of each such input, from its arrival to its end, in nanoseconds

  bool operator==(const pool_stats&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(members, waiting, running, replaced, batch_sizes, latencies);
  }
};

}  // namespace troupe
