/// The NVIDIA driver's management library, loaded when it is there: nothing is linked against it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/gpu_devices.hpp"

namespace troupe::core {

/// Thread-compatible. Its functions are optional each: an older driver tells less.
class nvml {
 public:
  /// Nothing when the library is not there or does not start, as on a machine without a driver.
  static std::optional<nvml> load();

  std::vector<gpu_device> devices() const;

 private:
  struct functions;
  explicit nvml(std::shared_ptr<const functions> loaded) : loaded_(std::move(loaded)) {}
  gpu_device device(void* handle) const;

  std::shared_ptr<const functions> loaded_;
};

}  // namespace troupe::core
