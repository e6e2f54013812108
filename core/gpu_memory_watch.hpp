/// Who is told when this process's arrays take or give back memory of a device.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace troupe::core {

struct gpu_memory {
  std::string uuid;
  std::string name;
  std::uint64_t total = 0;
  std::uint64_t in_arrays = 0;
};

/// `changed` is called once when something changes, on the thread that changed it, and again only
/// after `gpu_memory_now`: it must be quick and not throw. An empty one: nobody watches any more,
/// and no call is under way when this returns.
void watch_gpu_memory(std::function<void()> changed);

/// Of each device that was used, in the order of their first uses. Thread-safe.
std::vector<gpu_memory> gpu_memory_now();

}  // namespace troupe::core
