#include "test/chaos/load.hpp"

#include <chrono>
#include <numeric>
#include <span>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;
using troupe::remote;
using troupe::with;

namespace chaos {
namespace {

constexpr std::size_t mib = (std::size_t{1} << 20) / sizeof(float);

double work(double number, int milliseconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  return number * 2;
}
/// A task that waits for tasks of its own.
double nested(double number) {
  const auto left = with({.num_cpus = 0.25, .max_retries = -1}).remote<work>(number, 5);
  const auto right = with({.num_cpus = 0.25, .max_retries = -1}).remote<work>(number, 10);
  return fetch(left) + fetch(right);
}

std::vector<float> numbers(std::size_t count, float first) {
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i] = first + static_cast<float>(i % 1000);
  return result;
}
double sum(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

struct newcomer {
  explicit newcomer(double start) : value(start) {}
  double twice() const { return value * 2; }
  double value;
};

}  // namespace

load::load(const std::string& phase, std::vector<std::string> nodes, std::uint64_t seed)
    : nodes_(std::move(nodes)), random_(seed) {
  if (phase == "idle") {
    step_ = [] { std::this_thread::sleep_for(5ms); };
  } else if (phase == "busy") {
    step_ = [this] { keep_busy(); };
  } else if (phase == "transferring") {
    step_ = [this] { transfer(4, 4 * mib); };
  } else if (phase == "spilling") {
    step_ = [this] { transfer(36, 2 * mib); };
  } else if (phase == "creating") {
    step_ = [this] { create(); };
  } else {
    throw std::invalid_argument("there is no phase " + phase);
  }
}

void load::drain() {
  finish(0);
  values_.clear();
}

const std::string& load::some_node() { return nodes_[random_() % nodes_.size()]; }

/// Waits for the oldest until so many are left.
void load::finish(std::size_t left) {
  while (running_.size() > left) {
    const check oldest = std::move(running_.front());
    running_.pop_front();
    try {
      const double is = fetch(oldest.ref);
      if (is != oldest.expected) {
        throw std::runtime_error("a result is " + std::to_string(is) + " and not " +
                                 std::to_string(oldest.expected));
      }
      ++done_;
    } catch (const troupe::object_lost_error& e) {
      lost_.emplace_back(e.what());
    }
  }
}

void load::keep_busy() {
  for (int i = 0; i < 4; ++i) {
    const auto number = static_cast<double>(random_() % 1000);
    const troupe::options few{.num_cpus = 0.25, .max_retries = -1};
    if (random_() % 4 == 0) {
      running_.push_back({with(few).remote<nested>(number), number * 4});
    } else {
      const int time = static_cast<int>(random_() % 30);
      running_.push_back({with(few).remote<work>(number, time), number * 2});
    }
  }
  finish(40);
}

/// Arrays that one node makes and others read; so many are kept.
void load::transfer(std::size_t kept, std::size_t elements) {
  const auto on = [](const std::string& node) {
    return with({.num_cpus = 0.25,
                 .max_retries = -1,
                 .scheduling = troupe::scheduling::node_affinity(node, true)});
  };
  const auto first = static_cast<float>(random_() % 1000);
  if (values_.size() >= kept) values_.erase(values_.begin());
  if (random_() % 4 == 0) {
    values_.push_back({troupe::put(numbers(elements, first)), first});
  } else {
    values_.push_back({on(some_node()).remote<numbers>(elements, first), first});
  }
  for (int i = 0; i < 2; ++i) {
    const value& chosen = values_[random_() % values_.size()];
    const auto count = static_cast<double>(elements);
    // The numbers repeat each thousand; the rest of the last thousand is not whole.
    const auto whole = static_cast<double>(elements / 1000);
    const auto rest = static_cast<double>(elements % 1000);
    const double steps = whole * 499'500 + rest * (rest - 1) / 2;
    running_.push_back({on(some_node()).remote<sum>(chosen.ref),
                        count * static_cast<double>(chosen.first) + steps});
  }
  finish(6);
}

/// Actors and placement groups that live for one call.
void load::create() {
  const auto number = static_cast<double>(random_() % 1000);
  const bool alone = random_() % 8 == 0;
  if (random_() % 6 == 0) {
    const troupe::placement_group group({.bundles = {{.num_cpus = 0.25}, {.num_cpus = 0.25}},
                                         .strategy = troupe::placement_strategy::strict_spread});
    const auto inside = with({.num_cpus = 0.25, .max_retries = -1, .placement_group = group})
                            .remote<work>(number, 1);
    if (fetch(inside) != number * 2) throw std::runtime_error("a task of a group gave nonsense");
    ++done_;
  }
  const auto actor =
      with({.num_cpus = 0.1,
            .max_restarts = -1,
            .max_task_retries = -1,
            .isolation = alone ? troupe::isolation::process : troupe::isolation::shared})
          .remote<newcomer>(number);
  running_.push_back({actor.remote<&newcomer::twice>(), number * 2});
  finish(8);
}

}  // namespace chaos
