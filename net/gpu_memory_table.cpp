#include "net/gpu_memory_table.hpp"

#include <string>
#include <utility>

namespace troupe::net {

namespace {

/// No machine has more: what a process says must not fill the reports to the head.
constexpr std::size_t most_devices = 128;

}  // namespace

bool gpu_memory_table::set(process_id who, std::vector<gpu_memory> has) {
  if (has.size() > most_devices) has.resize(most_devices);
  std::vector<gpu_memory>& known = of_[who];
  if (known == has) return false;
  known = std::move(has);
  return true;
}

bool gpu_memory_table::keep(const std::function<bool(process_id)>& is_here) {
  return std::erase_if(of_, [&](const auto& one) { return !is_here(one.first); }) != 0;
}

std::vector<gpu_memory> gpu_memory_table::all() const {
  std::map<std::string, gpu_memory> devices;
  for (const auto& [who, has] : of_) {
    for (const gpu_memory& one : has) {
      const auto [at, fresh] = devices.try_emplace(one.uuid, one);
      gpu_memory& sum = at->second;
      if (fresh) {
        sum.processes = 0;
      } else {
        sum.in_arrays += one.in_arrays;
      }
      if (one.in_arrays > 0) ++sum.processes;
    }
  }
  std::vector<gpu_memory> result;
  for (auto& [uuid, one] : devices) {
    if (result.size() == most_devices) break;
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace troupe::net
