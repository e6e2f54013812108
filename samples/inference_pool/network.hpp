/// A neural network of two layers: 64 pixels, hidden units, 10 scores.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "digits.hpp"

namespace inference_pool {

inline constexpr int hidden_units = 128;

/// All parameters in one array, so that they travel as one object: the first layer's matrix (a row
/// for each hidden unit) and offsets, then the second's (a row for each class).
struct layout {
  static constexpr std::size_t w1 = 0;
  static constexpr std::size_t b1 = w1 + std::size_t{hidden_units} * image_pixels;
  static constexpr std::size_t w2 = b1 + hidden_units;
  static constexpr std::size_t b2 = w2 + std::size_t{classes} * hidden_units;
  static constexpr std::size_t size = b2 + classes;
};

using parameters = std::vector<float>;

parameters random_parameters();

/// The gradient of the mean loss over `count` images from the `first` one on (after the last one
/// comes the first again). A task; it reads its arrays where they lie.
std::vector<float> gradient(std::span<const float> at, std::span<const float> pixels,
                            std::span<const label> labels, std::size_t first, std::size_t count);

}  // namespace inference_pool
