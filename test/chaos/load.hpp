/// What a program of the chaos has going on when something is struck: tasks, transfers, spilling,
/// creations. Every answer is checked.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace chaos {

/// Thread-confined.
class load {
 public:
  /// `phase`: idle, busy, transferring, spilling or creating. `nodes`: where to work.
  load(const std::string& phase, std::vector<std::string> nodes, std::uint64_t seed);

  /// Starts some more, and waits for some of what runs.
  void step() { step_(); }
  /// Waits for all that runs.
  void drain();

  std::uint64_t done() const { return done_; }
  /// Values that went with their node and were not made again, each with why.
  const std::vector<std::string>& lost() const { return lost_; }

 private:
  using array = troupe::object_ref<std::vector<float>>;
  struct value {
    array ref;
    float first;
  };
  struct check {
    troupe::object_ref<double> ref;
    double expected;
  };

  const std::string& some_node();
  void keep_busy();
  void transfer(std::size_t kept, std::size_t elements);
  void create();
  void finish(std::size_t left);

  std::vector<std::string> nodes_;
  std::mt19937_64 random_;
  std::function<void()> step_;
  std::vector<value> values_;
  std::deque<check> running_;
  std::uint64_t done_ = 0;
  std::vector<std::string> lost_;
};

/// A `get` that ends where a broken runtime would hang.
template <class T>
T fetch(const troupe::object_ref<T>& ref) {
  return troupe::get(ref, std::chrono::seconds(60));
}

}  // namespace chaos
