// Data-parallel training: workers compute gradients of a logistic regression on their share of the
// data, a parameter server keeps the weights.
//
// What to notice: in a synchronous step all workers read one weights object and the server waits
// for all gradients; in the asynchronous phase each worker trains at its own pace, with whatever
// weights the server has just then; the loss falls in both.
#include <cmath>
#include <iomanip>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace training {

using vector = std::vector<double>;
constexpr std::size_t features = 8;
constexpr std::size_t points = 4'000;  // of each worker

double predict(const vector& weights, const double* x) {
  double sum = 0;
  for (std::size_t i = 0; i < features; ++i) sum += weights[i] * x[i];
  return 1 / (1 + std::exp(-sum));
}

class parameter_server {
 public:
  vector weights() const { return weights_; }
  void apply(const vector& gradient, double rate) {
    for (std::size_t i = 0; i < features; ++i) weights_[i] -= rate * gradient[i];
  }

 private:
  vector weights_ = vector(features, 0.0);
};

class worker {
 public:
  /// Points on two sides of a plane; some noise puts a few on the wrong one.
  explicit worker(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    for (std::size_t n = 0; n < points; ++n) {
      double side = 0.3 * normal(random);
      for (std::size_t i = 0; i < features; ++i) {
        x_.push_back(normal(random));
        side += x_.back() * (i % 2 == 0 ? 1.0 : -0.5);
      }
      y_.push_back(side > 0 ? 1 : 0);
    }
  }
  vector gradient(const vector& weights) const {
    vector sum(features, 0.0);
    for (std::size_t n = 0; n < points; ++n) {
      const double error = predict(weights, &x_[n * features]) - y_[n];
      for (std::size_t i = 0; i < features; ++i) sum[i] += error * x_[n * features + i] / points;
    }
    return sum;
  }
  /// Trains on its own; other calls of this worker are taken while it waits for the server.
  troupe::async<void> train(troupe::actor_handle<parameter_server> server, int steps) {
    for (int step = 0; step < steps; ++step) {
      const vector weights = co_await server.remote<&parameter_server::weights>();
      co_await server.remote<&parameter_server::apply>(gradient(weights), 0.5);
    }
  }
  /// Mean loss, and the share of the points that are on the predicted side.
  std::pair<double, double> judge(const vector& weights) const {
    double loss = 0, right = 0;
    for (std::size_t n = 0; n < points; ++n) {
      const double p = predict(weights, &x_[n * features]);
      loss -= std::log(y_[n] > 0 ? p : 1 - p) / points;
      right += (p > 0.5) == (y_[n] > 0) ? 1 : 0;
    }
    return {loss, right / points};
  }

 private:
  vector x_;
  vector y_;
};

}  // namespace training

int main(int argc, char** argv) {
  using namespace training;
  const auto session = troupe::init(argc, argv);
  const auto server = troupe::remote<parameter_server>();
  std::vector<troupe::actor_handle<worker>> workers;
  for (unsigned seed = 1; seed <= 4; ++seed) workers.push_back(troupe::remote<worker>(seed));
  const auto judge = troupe::remote<worker>(99U);  // has data that nobody trains on

  std::vector<std::pair<double, double>> scores;
  const auto report = [&](const std::string& when) {
    scores.push_back(
        troupe::get(judge.remote<&worker::judge>(server.remote<&parameter_server::weights>())));
    std::cout << std::fixed << std::setprecision(4) << when << ": loss " << scores.back().first
              << ", accuracy " << scores.back().second << '\n';
  };
  report("untrained");
  for (int step = 1; step <= 60; ++step) {
    const auto weights = server.remote<&parameter_server::weights>();
    for (const auto& each : workers) {
      server.remote<&parameter_server::apply>(each.remote<&worker::gradient>(weights), 0.5);
    }
    if (step % 20 == 0) report("synchronous step " + std::to_string(step));
  }
  std::vector<troupe::object_ref<void>> trained;
  for (const auto& each : workers) trained.push_back(each.remote<&worker::train>(server, 60));
  troupe::get(trained);
  report("asynchronous");

  bool falls = true;
  for (std::size_t i = 1; i < scores.size(); ++i) falls &= scores[i].first < scores[i - 1].first;
  return falls && scores.back().second > 0.9 ? 0 : 1;
}
