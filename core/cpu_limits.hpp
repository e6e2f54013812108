/// The CPUs and the memory that this process may use: affinity, machine, cgroups v1, v2 and hybrid.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace troupe::core {

struct cpu_limits {
  int affinity = 1;                ///< CPUs that the scheduler may put this thread on
  std::optional<double> cgroup{};  ///< lowest quota of the cgroup and its ancestors, in CPUs
  /// What tasks share: the lower of the two in steps of 0.0001, but at least 1, for with less not
  /// even one task with the default demand could ever run.
  double cpus = 1;
};

struct memory_limits {
  std::uint64_t machine = 0;              ///< bytes the machine has
  std::optional<std::uint64_t> cgroup{};  ///< lowest limit of the cgroup and its ancestors
  std::uint64_t bytes = 0;                ///< the lower of the two
};

/// Reads `<root>/proc/self` and the cgroup files that it names. What is missing or unreadable
/// limits nothing. `affinity` replaces the thread's own.
cpu_limits read_cpu_limits(const std::filesystem::path& root = "/",
                           std::optional<int> affinity = std::nullopt);
memory_limits read_memory_limits(const std::filesystem::path& root = "/");

/// What `config::memory` is when it is not set: 70 %.
constexpr std::uint64_t default_memory(const memory_limits& limits) {
  return limits.bytes / 10 * 7;
}

}  // namespace troupe::core
