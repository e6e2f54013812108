/// What can go wrong on a device.
#pragma once

#include <string>

#include <troupe/detail/export.hpp>
#include <troupe/error.hpp>

namespace troupe::gpu {

/// There is no device to do it on: no driver, none visible to this process, or a task whose GPU is
/// a logical one. The message says which, and what would help.
class TROUPE_API no_device_error : public troupe::detail::runtime_failure {
 public:
  explicit no_device_error(const std::string& message) : runtime_failure(message) {}
  ~no_device_error() override;
};

/// The device or its driver refused or failed: the message names the kernel or operation, the
/// device, and CUDA's own name for the error.
class TROUPE_API device_error : public troupe::detail::runtime_failure {
 public:
  device_error(const std::string& message, int code, bool fatal)
      : runtime_failure(message), code_(code), fatal_(fatal) {}
  ~device_error() override;

  /// The `cudaError_t`.
  int code() const noexcept { return code_; }
  /// Whether the device is of no use to this process any more, as after an illegal address: all
  /// its memory is lost, and only another process can go on.
  bool fatal() const noexcept { return fatal_; }

 private:
  int code_;
  bool fatal_;
};

/// More memory was asked for than the device, or the share of it that a task has, has left.
class TROUPE_API device_memory_error : public out_of_memory_error {
 public:
  explicit device_memory_error(const std::string& message) : out_of_memory_error(message) {}
  ~device_memory_error() override;
};

}  // namespace troupe::gpu
