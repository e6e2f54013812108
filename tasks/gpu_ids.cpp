#include <algorithm>
#include <vector>

#include <troupe/detail/gpu_claim.hpp>
#include <troupe/runtime.hpp>

#include "actors/local_actor.hpp"
#include "core/execution.hpp"
#include "core/gpu_scope.hpp"
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

namespace detail {

gpu_claim current_gpu_claim() {
  gpu_claim result;
  const core::execution* const now = core::current_execution;
  if (now == nullptr) return result;
  if (now->actor != nullptr) result.actor = now->actor->id();
  if (now->call != nullptr) result.task = now->call->id();
  result.ids = gpu_ids();
  // Several GPUs are whole ones.
  const double wanted = now->given != nullptr ? now->given->num_gpus : 0;
  if (!result.ids.empty()) result.share = std::min(wanted, 1.0);
  return result;
}

void set_gpu_hook(gpu_hook hook) noexcept { core::the_gpu_hook.store(hook); }

}  // namespace detail

}  // namespace troupe
