/// The device of this process that one of the node's GPU numbers means.
#pragma once

#include <optional>
#include <string_view>

namespace troupe::gpu {

/// Pure. `own`: the numbers of those that an isolated worker sees, as its node has set them in
/// TROUPE_WORKER_GPUS; null for other processes, which see all of their node's.
std::optional<int> local_device(int id, int count, const char* own) noexcept;
/// The same for this process.
std::optional<int> local_device(int id, int count) noexcept;

}  // namespace troupe::gpu
