#include "kernels.hpp"

namespace inference_pool {

namespace {

constexpr int threads = 128;
int blocks(int count) { return (count + threads - 1) / threads; }

/// A thread for each element: adds the offsets of its column, and keeps what is positive.
__global__ void add_and_cut_kernel(float* values, const float* offsets, int columns, int count) {
  const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (at < count) values[at] = fmaxf(values[at] + offsets[at % columns], 0.0F);
}

/// A thread for each image: the class with the highest score.
__global__ void choose_kernel(const float* scores, const float* offsets, label* results,
                              int count) {
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= count) return;
  int best = 0;
  float highest = scores[row * classes] + offsets[0];
  for (int i = 1; i < classes; ++i) {
    const float score = scores[row * classes + i] + offsets[i];
    if (score > highest) {
      highest = score;
      best = i;
    }
  }
  results[row] = static_cast<label>(best);
}

}  // namespace

void add_and_cut(CUstream_st* on, float* values, const float* offsets, int columns, int count) {
  add_and_cut_kernel<<<blocks(count), threads, 0, on>>>(values, offsets, columns, count);
}

void choose(CUstream_st* on, const float* scores, const float* offsets, label* results, int count) {
  choose_kernel<<<blocks(count), threads, 0, on>>>(scores, offsets, results, count);
}

}  // namespace inference_pool
