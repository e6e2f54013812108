/// Virtual time: what happens when, one event after the other, and a digest of all that happened.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "test/sim/random.hpp"

namespace troupe::sim {

using time = std::chrono::steady_clock::time_point;
using namespace std::chrono_literals;

/// An invariant does not hold.
struct violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Single-threaded. Events of one time happen in the order in which they were planned, so that
/// nothing but the seed decides.
class world {
 public:
  explicit world(std::uint64_t seed) : random(seed) {}

  time now() const noexcept { return now_; }
  void at(time when, std::function<void()> what) {
    heap_.push_back({std::max(when, now_), next_++, std::move(what)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(duration wait, std::function<void()> what) { at(now_ + wait, std::move(what)); }
  /// False when nothing is planned any more.
  bool step() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const event what = std::move(heap_.back());
    heap_.pop_back();
    now_ = what.when;
    ++events_;
    what.act();
    return true;
  }
  time next() const noexcept { return heap_.empty() ? time::max() : heap_.front().when; }

  /// Takes a fact into the digest, and prints it when the run is traced. `text` is made for the
  /// trace only.
  template <class Text>
  void record(std::uint64_t what, std::uint64_t a, std::uint64_t b, Text&& text) {
    for (const std::uint64_t word :
         {static_cast<std::uint64_t>(now_.time_since_epoch().count()), what, a, b}) {
      digest_ = (digest_ ^ word) * 0x100000001b3U;
      digest_ ^= digest_ >> 29U;
    }
    if (trace) trace(now_, text());
  }
  std::uint64_t digest() const noexcept { return digest_; }
  std::uint64_t events() const noexcept { return events_; }

  rng random;
  std::function<void(time, const std::string&)> trace;

 private:
  struct event {
    time when;
    std::uint64_t number;
    std::function<void()> act;
  };
  static bool later(const event& a, const event& b) noexcept {
    return a.when != b.when ? a.when > b.when : a.number > b.number;
  }

  time now_ = time{} + std::chrono::hours(1);
  std::vector<event> heap_;
  std::uint64_t next_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325U;
};

}  // namespace troupe::sim
