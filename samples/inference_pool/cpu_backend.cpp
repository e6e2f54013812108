#include <Eigen/Core>

#include "backend.hpp"

namespace inference_pool {

namespace {

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using row = Eigen::Matrix<float, 1, Eigen::Dynamic>;

class cpu_backend final : public backend {
 public:
  explicit cpu_backend(std::span<const float> network)
      : w1_(Eigen::Map<const matrix>(network.data() + layout::w1, hidden_units, image_pixels)),
        b1_(Eigen::Map<const row>(network.data() + layout::b1, hidden_units)),
        w2_(Eigen::Map<const matrix>(network.data() + layout::w2, classes, hidden_units)),
        b2_(Eigen::Map<const row>(network.data() + layout::b2, classes)) {}

  std::string name() const override { return "the CPU (Eigen)"; }

  void classify(std::span<const image> batch, std::span<label> results) override {
    const Eigen::Map<const matrix> x(batch.front().data(), static_cast<Eigen::Index>(batch.size()),
                                     image_pixels);
    hidden_.noalias() = x * w1_.transpose();
    hidden_ = (hidden_.rowwise() + b1_).cwiseMax(0.0F);
    scores_.noalias() = hidden_ * w2_.transpose();
    scores_.rowwise() += b2_;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      Eigen::Index best = 0;
      scores_.row(static_cast<Eigen::Index>(i)).maxCoeff(&best);
      results[i] = static_cast<label>(best);
    }
  }

 private:
  matrix w1_;
  row b1_;
  matrix w2_;
  row b2_;
  matrix hidden_;
  matrix scores_;
};

}  // namespace

std::unique_ptr<backend> make_cpu_backend(std::span<const float> network) {
  return std::make_unique<cpu_backend>(network);
}

}  // namespace inference_pool
