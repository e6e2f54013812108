#include <troupe/gpu/device.hpp>

#include <algorithm>

#include <troupe/gpu/error.hpp>

#include "core/gpu_devices.hpp"
#include "gpu/engine.hpp"

namespace troupe::gpu {

using detail::engine;

std::vector<device_info> devices() {
  engine& here = engine::process();
  std::vector<device_info> result;
  if (here.count_devices() == 0) return result;
  const std::vector<core::gpu_device> managed = core::read_gpu_devices();
  for (int i = 0; i < here.count_devices(); ++i) {
    device_info& one = result.emplace_back(here.info_of(i));
    for (const core::gpu_device& same : managed) {
      if (same.uuid == one.uuid) one.uncorrected_errors = same.uncorrected_errors;
    }
  }
  return result;
}

int device_count() noexcept { return engine::process().count_devices(); }

std::string why_no_device() { return engine::process().why_none(); }

int current_device() { return engine::process().current_device(); }

on_device::on_device(int device) : outer_(engine::process().choose_device(std::max(device, 0))) {}
on_device::~on_device() { engine::process().choose_device(outer_); }

memory_use memory_of(int device) {
  engine& here = engine::process();
  if (device < 0 || device >= here.count_devices()) {
    throw no_device_error("there is no device " + std::to_string(device) +
                          (here.count_devices() == 0
                               ? ": " + here.why_none()
                               : "; this process sees " + std::to_string(here.count_devices())));
  }
  const detail::device_scope current(here, device);
  return here.under().memory_of(device);
}

void limit_memory_by_share(bool on) noexcept { engine::process().limit_by_share(on); }

}  // namespace troupe::gpu
