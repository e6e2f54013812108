#include "training.hpp"

#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace inference_pool {

namespace {

/// Adam: steps of a size that follows the gradients seen so far.
class adam {
 public:
  explicit adam(float rate) : rate_(rate), mean_(layout::size), square_(layout::size) {}

  void step(parameters& at, std::span<const float> gradient) {
    ++steps_;
    const float mean_share = 1 - std::pow(0.9F, steps_);
    const float square_share = 1 - std::pow(0.999F, steps_);
    for (std::size_t i = 0; i < at.size(); ++i) {
      mean_[i] = 0.9F * mean_[i] + 0.1F * gradient[i];
      square_[i] = 0.999F * square_[i] + 0.001F * gradient[i] * gradient[i];
      at[i] -= rate_ * (mean_[i] / mean_share) / (std::sqrt(square_[i] / square_share) + 1e-8F);
    }
  }

 private:
  float rate_;
  float steps_ = 0;
  std::vector<float> mean_;
  std::vector<float> square_;
};

/// What a task trains on. It lies in the object store, where the tasks of a machine read it.
struct shard {
  troupe::object_ref<std::vector<float>> pixels;
  troupe::object_ref<std::vector<label>> labels;
};

std::vector<shard> deal(const digits& data, int count) {
  std::vector<shard> shards;
  for (int s = 0; s < count; ++s) {
    std::vector<float> pixels;
    std::vector<label> labels;
    for (auto i = static_cast<std::size_t>(s); i < data.images.size();
         i += static_cast<std::size_t>(count)) {
      pixels.insert(pixels.end(), data.images[i].begin(), data.images[i].end());
      labels.push_back(data.labels[i]);
    }
    shards.push_back({troupe::put(std::move(pixels)), troupe::put(std::move(labels))});
  }
  return shards;
}

}  // namespace

parameters train(const digits& data, const training_options& how) {
  const std::vector<shard> shards = deal(data, how.shards);
  const auto batch = static_cast<std::size_t>(how.batch);
  parameters current = random_parameters();
  adam optimizer(how.rate);
  for (int step = 0; step < how.steps; ++step) {
    const auto now = troupe::put(current);
    std::vector<troupe::object_ref<std::vector<float>>> gradients;
    for (const shard& one : shards) {
      gradients.push_back(troupe::remote<gradient>(now, one.pixels, one.labels,
                                                   static_cast<std::size_t>(step) * batch, batch));
    }
    std::vector<float> sum(layout::size);
    for (const auto& ref : gradients) {
      const auto part = troupe::view(ref);
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += (*part)[i] / static_cast<float>(gradients.size());
      }
    }
    optimizer.step(current, sum);
  }
  return current;
}

}  // namespace inference_pool
