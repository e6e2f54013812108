#include "gpu/share_state.hpp"

#include <algorithm>
#include <cmath>

#include <troupe/detail/assert.hpp>

namespace troupe::gpu {

std::optional<std::uint64_t> share_state::take(int device, share_holder who, std::uint64_t bytes,
                                               double share, std::uint64_t total) {
  const auto allowed = static_cast<std::uint64_t>(
      std::floor(std::clamp(share, 0.0, 1.0) * static_cast<double>(total)));
  const std::uint64_t has = used(device, who);
  const std::uint64_t left = allowed > has ? allowed - has : 0;
  if (bytes > left) return left;
  if (bytes != 0) used_[{device, who}] = has + bytes;
  return std::nullopt;
}

void share_state::give_back(int device, share_holder who, std::uint64_t bytes) {
  if (bytes == 0) return;
  const auto held = used_.find({device, who});
  TROUPE_ASSERT(held != used_.end() && held->second >= bytes,
                "no more memory of a share is given back than was taken");
  held->second -= bytes;
  if (held->second == 0) used_.erase(held);
}

std::uint64_t share_state::used(int device, share_holder who) const {
  const auto held = used_.find({device, who});
  return held == used_.end() ? 0 : held->second;
}

}  // namespace troupe::gpu
