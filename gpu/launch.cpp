#include <troupe/gpu/launch.hpp>

#include <string>

#include <troupe/gpu/error.hpp>

namespace troupe::gpu::detail {

void check_launch(std::string_view kernel, int code, const char* name, const char* text,
                  int device) {
  throw device_error("kernel '" + std::string(kernel) + "' cannot be launched on device " +
                         std::to_string(device) + ": " + text + " (" + name + ")",
                     code, false);
}

}  // namespace troupe::gpu::detail
