/// How much of a device's memory each task and actor has allocated, and may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace troupe::gpu {

/// Whose memory it is: the number of an actor or of a task.
struct share_holder {
  bool actor = false;
  std::uint64_t number = 0;
  auto operator<=>(const share_holder&) const = default;
};

/// Pure, thread-compatible. Counts exactly; whoever holds nothing is not remembered.
class share_state {
 public:
  /// Takes `bytes` for the holder, who may have `share` (0 to 1) of `total` on that device. What it
  /// has left, and nothing is taken, when that is less.
  std::optional<std::uint64_t> take(int device, share_holder who, std::uint64_t bytes, double share,
                                    std::uint64_t total);
  void give_back(int device, share_holder who, std::uint64_t bytes);

  std::uint64_t used(int device, share_holder who) const;
  std::size_t holders() const noexcept { return used_.size(); }

 private:
  std::map<std::pair<int, share_holder>, std::uint64_t> used_;
};

}  // namespace troupe::gpu
