/// The kernels, as files see them that nvcc does not compile.
#pragma once

#include <cstdint>

constexpr int threads_of_a_block = 128;

/// Block (x, y) looks through part x of the base for query y; `found` gets `wanted` of each part of
/// each query.
void search_part(std::uint64_t* found, const std::uint8_t* base, const std::uint8_t* queries,
                 std::uint32_t count);
/// Block x merges the parts of query x.
void merge_parts(std::uint64_t* best, const std::uint64_t* found, int parts);
