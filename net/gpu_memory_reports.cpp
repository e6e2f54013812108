#include "net/gpu_memory_reports.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include <troupe/log.hpp>

#include "core/gpu_memory_watch.hpp"

namespace troupe::net {

namespace {

constexpr auto gathering_time = std::chrono::milliseconds(200);

/// On the endpoint's thread.
void send(const process& here) {
  gpu_memory_used what;
  for (core::gpu_memory& one : core::gpu_memory_now()) {
    what.devices.push_back({std::move(one.uuid), std::move(one.name), one.total, one.in_arrays, 1});
  }
  here.send(here.node.id, std::move(what));
}

void send_later(const process& here) noexcept {
  try {
    here.net->post_at(std::chrono::steady_clock::now() + gathering_time, [&here] { send(here); });
  } catch (const std::exception& e) {
    log::warn("what arrays have of GPUs is not shown: ", e.what());
  }
}

}  // namespace

gpu_memory_reports::gpu_memory_reports(const process& here) {
  core::watch_gpu_memory([&here] { send_later(here); });
}

gpu_memory_reports::~gpu_memory_reports() { core::watch_gpu_memory({}); }

}  // namespace troupe::net
