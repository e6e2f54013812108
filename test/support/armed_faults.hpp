/// Fault points of this process that are armed for the time of a test case.
#pragma once

#include <string_view>

#include "core/fault.hpp"

namespace troupe::test {

struct armed_faults {
  explicit armed_faults(std::string_view spec) { core::arm_faults(spec); }
  armed_faults(const armed_faults&) = delete;
  armed_faults& operator=(const armed_faults&) = delete;
  ~armed_faults() { core::disarm_faults(); }
};

}  // namespace troupe::test
