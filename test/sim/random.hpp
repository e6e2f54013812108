/// Random numbers of a simulation: the same on every machine and library for the same seed.
#pragma once

#include <bit>
#include <chrono>
#include <cstdint>

namespace troupe::sim {

using duration = std::chrono::nanoseconds;

/// splitmix64. Not the standard's distributions, whose numbers differ between libraries.
class rng {
 public:
  explicit rng(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  /// From 0 to `bound` - 1.
  std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
  std::int64_t between(std::int64_t least, std::int64_t most) noexcept {
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least) + 1));
  }
  double uniform() noexcept { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  bool chance(double p) noexcept { return uniform() < p; }
  duration time(duration least, duration most) noexcept {
    return duration(between(least.count(), most.count()));
  }
  /// Mostly near `least`, now and then near `most`: each doubling is as likely.
  duration skewed(duration least, duration most) noexcept {
    const auto ratio = static_cast<std::uint64_t>(most / least);
    const auto doublings = static_cast<std::int64_t>(std::bit_width(ratio)) - 1;
    const duration from = least * (std::int64_t{1} << between(0, doublings));
    return time(from, from * 2);
  }
  /// Another row of numbers, which this one does not depend on.
  rng fork() noexcept { return rng(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace troupe::sim
