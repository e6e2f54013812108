#include "core/runtime.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include <troupe/error.hpp>

#include "core/placement_groups.hpp"

namespace troupe::core {

namespace {

std::atomic<runtime*> the_runtime{nullptr};
std::atomic<std::uint64_t> last_epoch{0};

stage_options options_for(const config& settings, const resource_set& total) {
  stage_options options;
  const double cpus = total.get(cpu_name).to_double();
  options.slots = static_cast<std::size_t>(std::max(1.0, std::ceil(cpus)));
  options.soft_max_threads = settings.soft_max_threads;
  options.max_threads = settings.max_threads;
  options.stack_bytes = settings.thread_stack_bytes;
  options.max_throughput = settings.max_throughput;
  return options;
}

}  // namespace

runtime::runtime(config from, resource_set total)
    : settings(std::move(from)),
      epoch(last_epoch.fetch_add(1) + 1),
      the_stage(std::make_unique<stage>(options_for(settings, total))),
      the_timers(std::make_unique<timers>()),
      the_ledger(std::make_unique<ledger>(std::move(total))) {}

runtime::~runtime() = default;

runtime* find_runtime() noexcept { return the_runtime.load(std::memory_order_acquire); }

runtime& require_runtime(const char* what) {
  runtime* const running = find_runtime();
  if (running == nullptr || running->closing.load(std::memory_order_relaxed)) {
    throw connection_error(std::string(what) +
                           ": the runtime is not running; call troupe::init first, and keep the "
                           "session that it returns");
  }
  return *running;
}

void set_runtime(runtime* running) noexcept {
  the_runtime.store(running, std::memory_order_release);
}

}  // namespace troupe::core
