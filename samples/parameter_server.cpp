// Data-parallel training: workers compute gradients on their share of the data, a parameter server
// keeps the weights.
//
// What to notice: the weights travel as an object that all workers read in place; in the synchronous
// loop every step waits for all gradients, in the asynchronous one each gradient is applied as it
// comes; the loss falls in both.
#include <cmath>
#include <iomanip>
#include <iostream>
#include <random>
#include <vector>

#include <troupe/troupe.hpp>

namespace training {

using vector = std::vector<double>;
constexpr std::size_t features = 8;
constexpr std::size_t samples_per_worker = 2'000;

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

double dot(const vector& a, const double* b) {
  double sum = 0;
  for (std::size_t i = 0; i < features; ++i) sum += a[i] * b[i];
  return sum;
}

class parameter_server {
 public:
  vector weights() const { return weights_; }
  vector apply(const vector& gradient, double rate) {
    for (std::size_t i = 0; i < features; ++i) weights_[i] -= rate * gradient[i];
    return weights_;
  }

 private:
  vector weights_ = vector(features, 0.0);
};

/// Has a share of the data: points on two sides of a plane, with some noise.
class worker {
 public:
  explicit worker(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    for (std::size_t n = 0; n < samples_per_worker; ++n) {
      double side = 0.2 * normal(random);
      for (std::size_t i = 0; i < features; ++i) {
        x_.push_back(normal(random));
        side += x_.back() * (i % 2 == 0 ? 1.0 : -0.5);
      }
      y_.push_back(side > 0 ? 1.0 : 0.0);
    }
  }
  vector gradient(const vector& weights) const {
    vector sum(features, 0.0);
    for (std::size_t n = 0; n < y_.size(); ++n) {
      const double* point = &x_[n * features];
      const double error = logistic(dot(weights, point)) - y_[n];
      for (std::size_t i = 0; i < features; ++i) sum[i] += error * point[i];
    }
    for (double& s : sum) s /= static_cast<double>(y_.size());
    return sum;
  }
  double loss(const vector& weights) const {
    double sum = 0;
    for (std::size_t n = 0; n < y_.size(); ++n) {
      const double p = logistic(dot(weights, &x_[n * features]));
      sum -= std::log(y_[n] > 0 ? p + 1e-12 : 1 - p + 1e-12);
    }
    return sum / static_cast<double>(y_.size());
  }
  double accuracy(const vector& weights) const {
    double right = 0;
    for (std::size_t n = 0; n < y_.size(); ++n) {
      right += (dot(weights, &x_[n * features]) > 0) == (y_[n] > 0) ? 1 : 0;
    }
    return right / static_cast<double>(y_.size());
  }

 private:
  vector x_;
  vector y_;
};

using workers = std::vector<troupe::actor_handle<worker>>;

void synchronous(const troupe::actor_handle<parameter_server>& server, const workers& all, int steps) {
  for (int step = 0; step < steps; ++step) {
    const auto weights = server.remote<&parameter_server::weights>();
    std::vector<troupe::object_ref<vector>> gradients;
    for (const auto& w : all) gradients.push_back(w.remote<&worker::gradient>(weights));
    for (auto& g : gradients) server.remote<&parameter_server::apply>(g, 2.0 / double(all.size()));
    troupe::get(server.remote<&parameter_server::weights>());
  }
}

void asynchronous(const troupe::actor_handle<parameter_server>& server, const workers& all, int steps) {
  std::vector<troupe::object_ref<vector>> latest;
  for (const auto& w : all) {
    auto weights = server.remote<&parameter_server::weights>();
    for (int step = 0; step < steps; ++step) {
      const auto gradient = w.remote<&worker::gradient>(weights);
      weights = server.remote<&parameter_server::apply>(gradient, 0.5);
    }
    latest.push_back(weights);
  }
  troupe::get(latest);
}

}  // namespace training

int main(int argc, char** argv) {
  using namespace training;
  const auto session = troupe::init(argc, argv);
  const auto server = troupe::remote<parameter_server>();
  workers all;
  for (unsigned seed = 1; seed <= 4; ++seed) all.push_back(troupe::remote<worker>(seed));
  const auto judge = troupe::remote<worker>(99U);  // data that nobody trains on

  std::cout << std::fixed << std::setprecision(4);
  const auto report = [&](const char* when) {
    const auto weights = server.remote<&parameter_server::weights>();
    const double loss = troupe::get(judge.remote<&worker::loss>(weights));
    std::cout << when << ": loss " << loss << '\n';
    return loss;
  };
  const double begin = report("untrained");
  synchronous(server, all, 60);
  const double middle = report("after synchronous steps");
  asynchronous(server, all, 40);
  const double end = report("after asynchronous steps");
  const double accuracy = troupe::get(
      judge.remote<&worker::accuracy>(server.remote<&parameter_server::weights>()));
  std::cout << "accuracy " << accuracy << '\n';
  return begin > middle && middle > end && accuracy > 0.95 ? 0 : 1;
}
