/// The NVIDIA GPUs of a machine, without CUDA: a node counts what it has and makes no context
/// there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/detail/export.hpp>

namespace troupe::core {

/// What the driver's management library (NVML) says of one device. Immutable.
struct gpu_device {
  std::string name;
  std::string uuid;    ///< `GPU-...`
  std::string bus_id;  ///< `0000:3b:00.0`
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_used = 0;  ///< by all processes
  int compute_major = 0;
  int compute_minor = 0;
  int numa_node = -1;                                 ///< -1: not known
  std::optional<std::uint64_t> uncorrected_errors{};  ///< of its memory since the driver was loaded
};

/// All devices of the machine, in the order of their bus ids; empty when there is no driver.
/// Thread-safe; takes milliseconds where there is one.
TROUPE_API std::vector<gpu_device> read_gpu_devices();

/// Pure. How many devices `CUDA_VISIBLE_DEVICES` leaves of those with these UUIDs; null: not set.
/// As CUDA reads it: numbers, UUIDs or their beginnings, up to the first that means none or one
/// again. Parts of a device (`MIG-...`) count as they stand.
std::size_t count_visible_gpus(const std::vector<std::string>& uuids, const char* visible);

/// How many GPUs this process may use: what is there and what `CUDA_VISIBLE_DEVICES` leaves of it.
std::size_t detect_gpus();

}  // namespace troupe::core
