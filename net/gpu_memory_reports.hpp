/// Tells the node of this process what its arrays have of devices' memory.
#pragma once

#include "net/process.hpp"

namespace troupe::net {

/// While it lives. One report answers for all changes of a fifth of a second.
class gpu_memory_reports {
 public:
  /// `here` has its node, and outlives its endpoint.
  explicit gpu_memory_reports(const process& here);
  ~gpu_memory_reports();
  gpu_memory_reports(const gpu_memory_reports&) = delete;
  gpu_memory_reports& operator=(const gpu_memory_reports&) = delete;
};

}  // namespace troupe::net
