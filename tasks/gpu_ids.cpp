#include <algorithm>
#include <vector>

#include <troupe/runtime.hpp>

#include "actors/local_actor.hpp"
#include "core/execution.hpp"
#include "tasks/lease.hpp"

namespace troupe {

std::vector<int> gpu_ids() {
  const core::execution* const now = core::current_execution;
  if (now == nullptr) return {};
  if (now->actor != nullptr) {
    const std::vector<std::uint32_t> ids = now->actor->gpus();
    return {ids.begin(), ids.end()};
  }
  const tasks::lease* const held = tasks::lease::current();
  if (held == nullptr || now->call == nullptr) return {};
  // One that runs in place of the wait for it uses its waiter's lease, and may have asked for less.
  const tasks::task_queue* const queue =
      detail::task_access::queue(static_cast<const detail::task&>(*now->call));
  const std::int64_t units = queue->demand().get(core::gpu_name).units();
  constexpr std::int64_t whole = core::resource_amount::units_per_one;
  const std::vector<std::uint32_t>& all = held->gpus().ids;
  const auto count =
      std::min<std::size_t>(all.size(), static_cast<std::size_t>((units + whole - 1) / whole));
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace troupe
