/// Exact nearest neighbours by brute force, on the CPU and on a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/// Vectors of bytes, as image descriptors are: their distances are whole numbers, so that CPU and
/// GPU agree to the last bit.
struct vectors {
  static constexpr int dimensions = 64;
  std::vector<std::uint8_t> values;  ///< one vector after the other

  std::size_t size() const { return values.size() / dimensions; }
  const std::uint8_t* operator[](std::size_t i) const { return &values[i * dimensions]; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(values);
  }
};

/// How many neighbours are looked for.
constexpr int wanted = 8;
/// A neighbour: its distance in the upper half, its number in the lower. Smaller is nearer; of two
/// at the same distance the first.
using neighbour = std::uint64_t;
/// `wanted` of each query, the nearest first.
using answers = std::vector<neighbour>;

/// One task for each query.
answers search_by_cpu(const vectors& base, const vectors& queries);
/// Two kernels, the second of which merges what the blocks of the first have found.
answers search_by_gpu(const vectors& base, const vectors& queries);
