// Gangs of workers that train together: each gang gets all its CPUs at once, or waits.
//
// Notice when it runs: there are four CPUs and two gangs of three. The second gang reserves nothing
// while the first one works, not even the CPU that is left; it begins when the first has been
// removed. Two gangs that took their workers one by one could each hold half and wait for ever.
#include <cmath>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace {

using namespace std::chrono_literals;
using line = std::pair<double, double>;  // y = first * x + second

/// Knows some points near y = 3 x - 2.
class trainer {
 public:
  explicit trainer(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    for (int i = 0; i < 2'000; ++i) {
      const double x = normal(random);
      points_.emplace_back(x, 3 * x - 2 + 0.1 * normal(random));
    }
  }
  /// The sum of its neighbour's gradient and its own: so a gradient goes from worker to worker, and
  /// the last one has that of all.
  line add_gradient(line before, line at) const {
    for (const auto& [x, y] : points_) {
      const double error = at.first * x + at.second - y;
      before.first += error * x / static_cast<double>(points_.size());
      before.second += error / static_cast<double>(points_.size());
    }
    return before;
  }

 private:
  std::vector<line> points_;
};

class gang {
 public:
  explicit gang(unsigned seed)
      : reserved_({.bundles = {{.num_cpus = 1}, {.num_cpus = 1}, {.num_cpus = 1}},
                   .strategy = troupe::placement_strategy::pack}) {
    for (int i = 0; i < 3; ++i) {
      workers_.push_back(
          troupe::with({.num_cpus = 1, .placement_group = reserved_, .bundle_index = i})
              .remote<trainer>(seed + static_cast<unsigned>(i)));
    }
  }
  bool is_there() const { return reserved_.wait(0s); }
  line train(int steps) const {
    line now{0, 0};
    for (int step = 0; step < steps; ++step) {
      auto sum = troupe::put(line{0, 0});
      for (const auto& each : workers_) sum = each.remote<&trainer::add_gradient>(sum, now);
      const line gradient = troupe::get(sum);
      now.first -= 0.2 * gradient.first;
      now.second -= 0.2 * gradient.second;
    }
    return now;
  }
  void end() const { reserved_.remove(); }

 private:
  troupe::placement_group reserved_;
  std::vector<troupe::actor_handle<trainer>> workers_;
};

bool report(const std::string& who, const line& found) {
  std::cout << who << " found y = " << std::round(found.first * 10) / 10 << " x + "
            << std::round(found.second * 10) / 10 << '\n';
  return std::abs(found.first - 3) < 0.1 && std::abs(found.second + 2) < 0.1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv, {.num_cpus = 4});
  const gang first(1);
  bool right = report("the first gang", first.train(60));
  const gang second(100);
  std::cout << "is the second gang there? " << (second.is_there() ? "yes" : "no") << '\n';
  for (const auto& known : troupe::list_placement_groups()) {
    if (!known.why.empty()) std::cout << "the second gang: " << known.why << '\n';
  }
  first.end();
  right = report("the second gang", second.train(60)) && right;
  std::cout << (right ? "each had its workers at once\n" : "WRONG\n");
  return right ? 0 : 1;
}
