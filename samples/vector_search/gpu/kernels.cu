// Each thread keeps the nearest of what it sees in registers, in order; then the threads of a block merge theirs in
// pairs. What is merged is a number that holds distance and index, so the result does not depend on the order.
#include <cstdint>

namespace {

constexpr int dimensions = 64;
constexpr int wanted = 8;
constexpr int threads = 128;

__device__ void insert(std::uint64_t (&best)[wanted], std::uint64_t found) {
#pragma unroll
  for (int i = 0; i < wanted; ++i) {
    const std::uint64_t smaller = min(best[i], found);
    found = max(best[i], found);
    best[i] = smaller;
  }
}

/// The nearest of all threads, in the first one's `best`.
__device__ void merge_block(std::uint64_t (&best)[wanted]) {
  __shared__ std::uint64_t all[threads][wanted];
  for (int half = threads / 2; half > 0; half /= 2) {
    for (int i = 0; i < wanted; ++i) all[threadIdx.x][i] = best[i];
    __syncthreads();
    if (threadIdx.x < half) {
      for (int i = 0; i < wanted; ++i) insert(best, all[threadIdx.x + half][i]);
    }
    __syncthreads();
  }
}

}  // namespace

__global__ void search_part(std::uint64_t* found, const std::uint8_t* base, const std::uint8_t* queries,
                            std::uint32_t count) {
  __shared__ std::uint8_t query[dimensions];
  for (int i = threadIdx.x; i < dimensions; i += threads) query[i] = queries[blockIdx.y * dimensions + i];
  __syncthreads();
  std::uint64_t best[wanted];
  for (std::uint64_t& one : best) one = ~std::uint64_t{0};
  for (std::uint32_t at = blockIdx.x * threads + threadIdx.x; at < count; at += gridDim.x * threads) {
    std::uint32_t distance = 0;
    for (int i = 0; i < dimensions; ++i) {
      const int difference = int{base[std::size_t{at} * dimensions + i]} - int{query[i]};
      distance += difference * difference;
    }
    insert(best, std::uint64_t{distance} << 32 | at);
  }
  merge_block(best);
  if (threadIdx.x != 0) return;
  for (int i = 0; i < wanted; ++i) found[(blockIdx.y * gridDim.x + blockIdx.x) * wanted + i] = best[i];
}

__global__ void merge_parts(std::uint64_t* result, const std::uint64_t* found, int parts) {
  std::uint64_t best[wanted];
  for (std::uint64_t& one : best) one = ~std::uint64_t{0};
  for (int i = threadIdx.x; i < parts * wanted; i += threads) {
    insert(best, found[blockIdx.x * parts * wanted + i]);
  }
  merge_block(best);
  if (threadIdx.x != 0) return;
  for (int i = 0; i < wanted; ++i) result[blockIdx.x * wanted + i] = best[i];
}
