/// Handwritten digits: 8 x 8 images with their labels.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace inference_pool {

inline constexpr int image_pixels = 64;
inline constexpr int classes = 10;

/// Brightness of each pixel, 0 to 1.
using image = std::array<float, image_pixels>;
using label = std::uint8_t;

struct digits {
  std::string source;  ///< where they are from, in words
  std::vector<image> images;
  std::vector<label> labels;
};

/// The set of scikit-learn (1,797 images, lines of 64 pixels and a label, gzipped), which Debian's
/// package python3-sklearn has. An empty path looks where that package puts it, and without it
/// draws digits of its own. Throws `std::runtime_error` when a file that was named cannot be read.
digits load_digits(const std::string& path);

struct split {
  digits training;
  digits test;
};
/// Shuffles them, always alike, and keeps a quarter for the test.
split split_digits(const digits& all);

}  // namespace inference_pool
