/// The devices of this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <troupe/detail/export.hpp>

namespace troupe::gpu {

/// One device, numbered as CUDA numbers those that are visible to this process.
struct device_info {
  int index = 0;
  std::string name;
  std::string uuid;    ///< `GPU-...`, the same in every process
  std::string bus_id;  ///< `0000:3b:00.0`
  std::uint64_t memory_bytes = 0;
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  int numa_node = -1;                               ///< -1: not known
  std::optional<std::uint64_t> uncorrected_errors;  ///< of its memory; none: not known
};

/// Empty where there is no driver or no device. Never throws for that. Thread-safe.
TROUPE_API std::vector<device_info> devices();
/// How many; 0 where there is none.
TROUPE_API int device_count() noexcept;
/// Why there is none, for a message; empty when there is one.
TROUPE_API std::string why_no_device();

/// The device that this thread's work goes to: the first GPU of the running task or actor, else the
/// first of the process. Throws `no_device_error`.
TROUPE_API int current_device();

/// While it lives, this thread's work goes to that device, and it is CUDA's current one: for
/// threads and tasks that use several. Throws `no_device_error`, `device_error`.
class TROUPE_API on_device {
 public:
  explicit on_device(int device);
  ~on_device();
  on_device(const on_device&) = delete;
  on_device& operator=(const on_device&) = delete;

 private:
  int outer_;
};

/// Memory of a device, in bytes.
struct memory_use {
  std::uint64_t total = 0;
  std::uint64_t free = 0;           ///< of it, for all processes
  std::uint64_t pool_reserved = 0;  ///< held by this process's pool
  std::uint64_t pool_used = 0;      ///< of that in arrays
};
/// Throws `no_device_error`, `device_error`.
TROUPE_API memory_use memory_of(int device);

/// From now on a task or actor with a part of a GPU may allocate no more than that part of the
/// device's memory through troupe (`device_memory_error` beyond). Off unless set; arrays that are
/// there already do not count. Call it first thing in `main`, so that it holds in workers, too.
TROUPE_API void limit_memory_by_share(bool on) noexcept;

}  // namespace troupe::gpu
