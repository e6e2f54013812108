#include "core/gpu_ids.hpp"

#include <algorithm>

namespace troupe::core {
namespace {

constexpr std::int64_t whole = resource_amount::units_per_one;
// A node that claims more is given ids for so many; nothing else depends on it.
constexpr std::int64_t most_gpus = 65'536;

}  // namespace

gpu_ids::gpu_ids(resource_amount total) {
  std::int64_t left = std::min(total.units(), most_gpus * whole);
  for (; left > 0; left -= whole) free_.push_back(std::min(left, whole));
}

gpu_ids::gpu_ids(const std::vector<gpu_share>& reserved) {
  for (const gpu_share& share : reserved) {
    for (const std::uint32_t id : share.ids) {
      if (free_.size() <= id) free_.resize(id + 1);
      free_[id] += share.units_of_each;
    }
  }
}

std::optional<gpu_share> gpu_ids::take(resource_amount wanted) {
  gpu_share share;
  if (wanted.units() <= 0) return share;
  if (wanted.units() < whole) {
    std::size_t best = free_.size();
    for (std::size_t id = 0; id < free_.size(); ++id) {
      if (free_[id] >= wanted.units() && (best == free_.size() || free_[id] < free_[best])) {
        best = id;
      }
    }
    if (best == free_.size()) return std::nullopt;
    free_[best] -= wanted.units();
    share.ids.push_back(static_cast<std::uint32_t>(best));
    share.units_of_each = wanted.units();
    return share;
  }
  const auto count = static_cast<std::size_t>(wanted.units() / whole);
  for (std::size_t id = 0; id < free_.size() && share.ids.size() < count; ++id) {
    if (free_[id] == whole) share.ids.push_back(static_cast<std::uint32_t>(id));
  }
  if (share.ids.size() < count) return std::nullopt;
  for (const std::uint32_t id : share.ids) free_[id] = 0;
  share.units_of_each = whole;
  return share;
}

void gpu_ids::give_back(const gpu_share& share) {
  for (const std::uint32_t id : share.ids) {
    free_[id] += share.units_of_each;
    TROUPE_ASSERT(free_[id] <= whole, "no more of a GPU is given back than was taken");
  }
}

}  // namespace troupe::core
