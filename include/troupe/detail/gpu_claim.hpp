/// What running code holds of GPUs, for the library that uses them.
#pragma once

#include <cstdint>
#include <vector>

#include <troupe/detail/export.hpp>

namespace troupe::detail {

/// Of the task or actor that runs on a thread.
struct gpu_claim {
  std::uint64_t actor = 0;  ///< its number; 0: no actor runs
  std::uint64_t task = 0;   ///< the number of the task or call; 0: neither runs
  std::vector<int> ids;     ///< the GPUs' numbers on the node, as `troupe::gpu_ids()`
  double share = 0;         ///< how much of each of them
};
TROUPE_API gpu_claim current_gpu_claim();

/// Called on a thread before code that has GPUs runs there, with the number of the first of them,
/// and with -1 after it, when the thread has none any more.
using gpu_hook = void (*)(int id) noexcept;
/// Set once, by the library that makes a device current. Thread-safe.
TROUPE_API void set_gpu_hook(gpu_hook hook) noexcept;

}  // namespace troupe::detail
