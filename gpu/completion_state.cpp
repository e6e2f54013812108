#include "gpu/completion_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe::gpu {

std::size_t completion_state::add_lane() {
  lanes_.emplace_back();
  return lanes_.size() - 1;
}

void completion_state::added(std::size_t lane) {
  ++lanes_[lane].pending;
  ++pending_;
}

std::vector<std::size_t> completion_state::to_record() const {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].covered == 0 && lanes_[i].pending != 0) result.push_back(i);
  }
  return result;
}

void completion_state::recorded(std::size_t lane) { lanes_[lane].covered = lanes_[lane].pending; }

std::vector<std::size_t> completion_state::to_query() const {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].covered != 0) result.push_back(i);
  }
  return result;
}

std::size_t completion_state::happened(std::size_t lane) {
  const std::size_t done = std::exchange(lanes_[lane].covered, 0);
  lanes_[lane].pending -= done;
  pending_ -= done;
  return done;
}

std::size_t completion_state::failed(std::size_t lane) {
  lanes_[lane].covered = lanes_[lane].pending;
  return happened(lane);
}

std::chrono::nanoseconds pause_between_looks(std::chrono::nanoseconds since_first) {
  constexpr std::chrono::microseconds eager(50);
  constexpr std::chrono::microseconds longest(500);
  if (since_first < eager) return std::chrono::nanoseconds(0);
  return std::min<std::chrono::nanoseconds>(since_first / 8, longest);
}

}  // namespace troupe::gpu
