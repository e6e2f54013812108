/// What this process's arrays have of its devices' memory, for those who watch it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include <troupe/detail/export.hpp>

namespace troupe::detail {

/// Counts what one device's arrays have. Lives as long as the process. Thread-safe; each call costs
/// an atomic addition.
class TROUPE_API gpu_memory_counter {
 public:
  gpu_memory_counter(std::string uuid, std::string name, std::uint64_t total);
  gpu_memory_counter(const gpu_memory_counter&) = delete;
  gpu_memory_counter& operator=(const gpu_memory_counter&) = delete;

  void took(std::uint64_t bytes) noexcept;
  void gave_back(std::uint64_t bytes) noexcept;

  const std::string uuid;
  const std::string name;
  const std::uint64_t total;  ///< of the device, in bytes
  std::uint64_t in_arrays() const noexcept { return bytes_.load(); }

 private:
  std::atomic<std::uint64_t> bytes_{0};
};

/// That of the device with that UUID; made when it is first asked for.
TROUPE_API gpu_memory_counter& count_gpu_memory(const std::string& uuid, const std::string& name,
                                                std::uint64_t total);

}  // namespace troupe::detail
