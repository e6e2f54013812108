/// Which streams must wait for which, so that what uses one array runs in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace troupe::gpu {

using lane_id = std::uint32_t;

/// Who has used an array last. Belongs to the array; read and written by `order_state` only.
struct use_marks {
  struct mark {
    lane_id lane;
    std::uint64_t work;
  };
  std::optional<mark> writer;
  std::vector<mark> readers;  ///< since that write, one of each lane
};

/// Pure, thread-compatible. A lane is a stream; its work is numbered from 1. Work that reads runs
/// after the last write, work that writes after all before. A lane that has waited for another one
/// knows how far, also through third ones, and does not wait for the same again.
class order_state {
 public:
  lane_id add_lane();

  /// The next work of `on` uses the array. Gives the lanes to wait for before it is enqueued, each
  /// for all that is enqueued there so far; they count as waited for.
  std::vector<lane_id> use(lane_id on, use_marks& what, bool write);
  /// The work was enqueued, or has failed to be.
  void enqueued(lane_id on) { ++lanes_[on].enqueued; }

 private:
  struct lane {
    std::uint64_t enqueued = 0;
    std::vector<std::uint64_t> waited;  ///< by lane: up to which work
  };
  bool must_wait(lane_id on, const use_marks::mark& before) const;
  void note_wait(lane_id on, lane_id before);

  std::vector<lane> lanes_;
};

}  // namespace troupe::gpu
