/// The kernels of the network.
#pragma once

#include "digits.hpp"

struct CUstream_st;

namespace inference_pool {

/// Adds each column's offset to `count` values in rows, and keeps what is positive.
void add_and_cut(CUstream_st* on, float* values, const float* offsets, int columns, int count);
/// The class with the highest score, offset added, of each of `count` rows.
void choose(CUstream_st* on, const float* scores, const float* offsets, label* results, int count);

}  // namespace inference_pool
