#include "gpu/order_state.hpp"

#include <algorithm>

namespace troupe::gpu {

lane_id order_state::add_lane() {
  for (lane& one : lanes_) one.waited.push_back(0);
  lanes_.emplace_back().waited.resize(lanes_.size());
  return static_cast<lane_id>(lanes_.size() - 1);
}

bool order_state::must_wait(lane_id on, const use_marks::mark& before) const {
  return before.lane != on && lanes_[on].waited[before.lane] < before.work;
}

void order_state::note_wait(lane_id on, lane_id before) {
  std::vector<std::uint64_t>& waited = lanes_[on].waited;
  for (std::size_t i = 0; i < waited.size(); ++i) {
    waited[i] = std::max(waited[i], lanes_[before].waited[i]);
  }
  waited[before] = lanes_[before].enqueued;
}

std::vector<lane_id> order_state::use(lane_id on, use_marks& what, bool write) {
  std::vector<lane_id> waits;
  const auto follow = [&](const use_marks::mark& before) {
    if (!must_wait(on, before)) return;
    waits.push_back(before.lane);
    note_wait(on, before.lane);
  };
  if (what.writer) follow(*what.writer);
  const use_marks::mark now{on, lanes_[on].enqueued + 1};
  if (write) {
    for (const use_marks::mark& reader : what.readers) follow(reader);
    what.writer = now;
    what.readers.clear();
    return waits;
  }
  if (what.writer && what.writer->lane == on && what.writer->work == now.work) return waits;
  for (use_marks::mark& reader : what.readers) {
    if (reader.lane != on) continue;
    reader = now;
    return waits;
  }
  what.readers.push_back(now);
  return waits;
}

}  // namespace troupe::gpu
