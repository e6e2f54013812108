#include "actors/batch_statistics.hpp"

#include <algorithm>
#include <string>

namespace troupe::actors {

void batch_statistics::add(const detail::batch_kind& method, std::span<const time_point> arrivals,
                           time_point began, time_point ended) {
  const std::lock_guard guard(lock_);
  auto found = std::find_if(methods_.begin(), methods_.end(),
                            [&](const auto& known) { return known.first == &method; });
  if (found == methods_.end()) {
    found =
        methods_.emplace(methods_.end(), &method, batch_stats{.method = std::string(method.name)});
  }
  batch_stats& stats = found->second;
  stats.calls += arrivals.size();
  ++stats.batches;
  stats.sizes.add(arrivals.size());
  for (const time_point arrival : arrivals) {
    stats.waits.add(static_cast<std::uint64_t>((began - arrival).count()));
    stats.latencies.add(static_cast<std::uint64_t>((ended - arrival).count()));
  }
}

std::vector<batch_stats> batch_statistics::all() const {
  std::vector<batch_stats> result;
  const std::lock_guard guard(lock_);
  for (const auto& [method, stats] : methods_) result.push_back(stats);
  return result;
}

}  // namespace troupe::actors
