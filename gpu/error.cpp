#include <troupe/gpu/error.hpp>

namespace troupe::gpu {

no_device_error::~no_device_error() = default;
device_error::~device_error() = default;
device_memory_error::~device_memory_error() = default;

}  // namespace troupe::gpu
