#include "network.hpp"

#include <cmath>
#include <random>

#include <Eigen/Core>

namespace inference_pool {

namespace {

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using row = Eigen::Matrix<float, 1, Eigen::Dynamic>;

}  // namespace

parameters random_parameters() {
  parameters all(layout::size, 0.0F);
  std::mt19937 random(1);
  const auto fill = [&](std::size_t from, std::size_t to, float scale) {
    for (std::size_t i = from; i < to; ++i) {
      all[i] = scale * (static_cast<float>(random() % 8192) / 4096 - 1);
    }
  };
  fill(layout::w1, layout::b1, std::sqrt(3.0F / image_pixels));
  fill(layout::w2, layout::b2, std::sqrt(3.0F / hidden_units));
  return all;
}

std::vector<float> gradient(std::span<const float> at, std::span<const float> pixels,
                            std::span<const label> labels, std::size_t first, std::size_t count) {
  const Eigen::Map<const matrix> w1(at.data() + layout::w1, hidden_units, image_pixels);
  const Eigen::Map<const row> b1(at.data() + layout::b1, hidden_units);
  const Eigen::Map<const matrix> w2(at.data() + layout::w2, classes, hidden_units);
  const Eigen::Map<const row> b2(at.data() + layout::b2, classes);
  const auto n = static_cast<Eigen::Index>(count);
  matrix x(n, image_pixels);
  const auto at_row = [&](Eigen::Index i) {
    return (first + static_cast<std::size_t>(i)) % labels.size();
  };
  for (Eigen::Index i = 0; i < n; ++i) {
    x.row(i) = Eigen::Map<const row>(pixels.data() + at_row(i) * image_pixels, image_pixels);
  }
  const matrix hidden = ((x * w1.transpose()).rowwise() + b1).cwiseMax(0.0F);
  matrix error = (hidden * w2.transpose()).rowwise() + b2;  // scores, then their gradient
  for (Eigen::Index i = 0; i < n; ++i) {
    error.row(i) = (error.row(i).array() - error.row(i).maxCoeff()).exp();
    error.row(i) /= error.row(i).sum();
    error(i, labels[at_row(i)]) -= 1;
  }
  error /= static_cast<float>(count);
  const matrix back = (error * w2).cwiseProduct((hidden.array() > 0).cast<float>().matrix());

  std::vector<float> result(layout::size);
  Eigen::Map<matrix>(result.data() + layout::w1, hidden_units, image_pixels) = back.transpose() * x;
  Eigen::Map<row>(result.data() + layout::b1, hidden_units) = back.colwise().sum();
  Eigen::Map<matrix>(result.data() + layout::w2, classes, hidden_units) =
      error.transpose() * hidden;
  Eigen::Map<row>(result.data() + layout::b2, classes) = error.colwise().sum();
  return result;
}

}  // namespace inference_pool
