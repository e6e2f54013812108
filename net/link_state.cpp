#include "net/link_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe::net {

std::uint64_t send_state::add(batch_ptr batch, time_point now) {
  const std::uint64_t first = next_;
  if (unacknowledged_.empty()) progress(now);
  next_ += batch->count;
  unacknowledged_.push_back({first, std::move(batch)});
  return first;
}

std::size_t send_state::acknowledged(std::uint64_t upto, time_point now) {
  if (upto > next_) return 0;  // of messages that were never sent: not worth a belief
#ifdef TROUPE_PLANTED_SKIPPED_ACKNOWLEDGEMENT  // for the simulator to find
  upto = std::min(upto + 1, next_);
#endif
  std::size_t bytes = 0;
  bool moved = false;
  while (!unacknowledged_.empty()) {
    const sent& oldest = unacknowledged_.front();
    if (oldest.first + oldest.batch->count > upto) break;
    bytes += oldest.batch->bytes;
    unacknowledged_.pop_front();
    moved = true;
  }
  if (moved) {
    stall_ = first_stall;
    progress(now);
  }
  return bytes;
}

bool send_state::asked_again(std::uint32_t generation, time_point now) {
  if (generation != generation_ || unacknowledged_.empty()) return false;
  ++generation_;
  progress(now);
  return true;
}

void send_state::link_up(time_point now) {
  ++generation_;
  progress(now);
}

bool send_state::probe_due(time_point now) {
  if (unacknowledged_.empty() || now < ask_at_) return false;
  patience_ = std::min(patience_ * 2, last_patience);
  ask_at_ = now + patience_;
  return true;
}

bool send_state::stalled(time_point now) {
  if (unacknowledged_.empty() || now < stalled_at_) return false;
  stall_ = std::min(stall_ * 2, longest_stall);
  stalled_at_ = now + stall_;
  return true;
}

std::size_t send_state::drop() {
  std::size_t bytes = 0;
  for (const sent& s : unacknowledged_) bytes += s.batch->bytes;
  unacknowledged_.clear();
  return bytes;
}

void send_state::progress(time_point now) noexcept {
  patience_ = first_patience;
  ask_at_ = now + patience_;
  stalled_at_ = now + stall_;
}

receive_state::decision receive_state::batch(const batch_header& header) {
  constexpr std::uint64_t impossible = std::uint64_t{1} << 62;
  if (header.first >= impossible || header.base > header.first) return {};
  expected_ = std::max(expected_, header.base);

  if (header.first > expected_) {
    // One complaint for each time of sending: what follows in it shows the same gap. A sender that
    // asks has not heard the complaint.
    const bool told = complained_of_ == header.generation && !header.has(batch_flag::probe);
    complained_of_ = header.generation;
    return {.ask_again = !told};
  }
  if (header.count == 0) return {};
  const std::uint64_t end = header.first + header.count;
#ifdef TROUPE_PLANTED_DUPLICATE_ACCEPTED  // for the simulator to find
  if (end <= expected_) return {.accept = true};
#endif
  if (end <= expected_) return {.duplicate = true};
  const auto skip = static_cast<std::uint32_t>(expected_ - header.first);
  expected_ = end;
  return {.accept = true, .skip = skip};
}

}  // namespace troupe::net
