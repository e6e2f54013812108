#include "digits.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string_view>

#include <zlib.h>

namespace inference_pool {

namespace {

const char* const packaged = "/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz";

std::string unzipped(const std::string& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path);
  std::string text;
  char part[1 << 16];
  int got = 0;
  while ((got = gzread(file, part, sizeof part)) > 0)
    text.append(part, static_cast<std::size_t>(got));
  gzclose(file);
  if (got < 0) throw std::runtime_error(path + " is damaged");
  return text;
}

digits read_digits(const std::string& path) {
  const std::string text = unzipped(path);
  digits all{.source = "of scikit-learn (" + path + ")", .images = {}, .labels = {}};
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::array<float, image_pixels + 1> row{};
    for (float& value : row) {
      const auto [next, error] = std::from_chars(at, end, value);
      if (error != std::errc{}) {
        throw std::runtime_error(path + ", line " + std::to_string(all.images.size() + 1) +
                                 ": not 64 pixels and a label");
      }
      at = next == end ? next : next + 1;
    }
    image pixels;
    std::transform(row.begin(), row.end() - 1, pixels.begin(), [](float x) { return x / 16; });
    all.images.push_back(pixels);
    all.labels.push_back(static_cast<label>(row.back()));
  }
  return all;
}

/// Each digit in 5 x 7 dots.
constexpr std::string_view glyphs[classes] = {
    ".###.#...##...##...##...##...#.###.", "..#...##....#....#....#....#...###.",
    ".###.#...#....#...#...#...#...#####", ".###.#...#....#..##.....##...#.###.",
    "...#...##..#.#.#..#.#####...#....#.", "######....####.....#....##...#.###.",
    "..##..#...#....####.#...##...#.###.", "#####....#...#...#...#....#....#...",
    ".###.#...##...#.###.#...##...#.###.", ".###.#...##...#.####....#...#..##.."};

/// Digits that are shifted, blurred and noisy.
digits draw_digits() {
  std::mt19937 random(7);
  digits all{.source =
                 "drawn by this program (python3-sklearn, which has real ones, is not "
                 "installed)",
             .images = {},
             .labels = {}};
  const auto uniform = [&](float low, float high) {
    return low + (high - low) * static_cast<float>(random() % 4096) / 4095;
  };
  for (int i = 0; i < 1'800; ++i) {
    const int digit = i % classes;
    const float right = uniform(0.5F, 2.5F);
    const float down = uniform(0, 1);
    const float ink = uniform(0.7F, 1);
    image pixels;
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        float light = 0;
        for (int dot = 0; dot < 35; ++dot) {
          if (glyphs[digit][static_cast<std::size_t>(dot)] != '#') continue;
          const float dx = std::abs(static_cast<float>(x - dot % 5) - right);
          const float dy = std::abs(static_cast<float>(y - dot / 5) - down);
          light += std::max(0.0F, 1 - dx) * std::max(0.0F, 1 - dy);
        }
        pixels[static_cast<std::size_t>(8 * y + x)] =
            std::clamp(ink * light + uniform(-0.15F, 0.15F), 0.0F, 1.0F);
      }
    }
    all.images.push_back(pixels);
    all.labels.push_back(static_cast<label>(digit));
  }
  return all;
}

}  // namespace

digits load_digits(const std::string& path) {
  if (!path.empty()) return read_digits(path);
  return std::filesystem::exists(packaged) ? read_digits(packaged) : draw_digits();
}

split split_digits(const digits& all) {
  std::vector<std::size_t> order(all.images.size());
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937 random(42);
  for (std::size_t left = order.size(); left > 1;
       --left) {  // as std::shuffle, but alike everywhere
    std::swap(order[left - 1], order[random() % left]);
  }
  split both;
  for (std::size_t i = 0; i < order.size(); ++i) {
    digits& into = i < order.size() / 4 ? both.test : both.training;
    into.images.push_back(all.images[order[i]]);
    into.labels.push_back(all.labels[order[i]]);
  }
  return both;
}

}  // namespace inference_pool
