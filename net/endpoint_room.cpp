// Those who send more than a peer takes wait here.
#include <algorithm>

#include "core/blocking.hpp"
#include "net/endpoint_implementation.hpp"

namespace troupe::net {

struct endpoint::implementation::room_wait {
  link_ptr link;
  core::blocking_wait blocked;
};

/// Half empty, so that who has waited can go on for a while.
bool endpoint::implementation::is_roomy(const peer_link& link) const {
  return link.queued_bytes() <= options_.max_queued_bytes / 2 || link.ended() || stopping_.load();
}

bool endpoint::implementation::has_room(process_id to) const {
  const link_ptr link = find_link(to);
  return !link || link->queued_bytes() < options_.max_queued_bytes;
}

void endpoint::implementation::wait_for_room(process_id to) {
  if (on_own_thread() || has_room(to)) return;
  const link_ptr link = find_link(to);
  if (!link) return;
  room_wait waiting{link, {}};
  waiting_for_room_.fetch_add(1);
  {
    const std::lock_guard guard(room_mutex_);
    room_waits_.push_back(&waiting);
  }
  // Without being asked it would acknowledge only when it has a reason to.
  control(link, batch_flag::probe);
  tell_of_room();  // what came before this wait was listed
  const auto outcome = waiting.blocked.wait(std::nullopt);
  bool told = false;
  {
    const std::lock_guard guard(room_mutex_);
    told = std::erase(room_waits_, &waiting) == 0;
  }
  waiting_for_room_.fetch_sub(1);
  if (told) {
    if (outcome != core::blocking_wait::outcome::woken) waiting.blocked.wait_for_wake();
    return;
  }
  waiting.blocked.check(outcome);
}

/// Wakes those whose peer has taken enough, or is gone.
void endpoint::implementation::tell_of_room() {
  if (waiting_for_room_.load() == 0) return;
  const std::lock_guard guard(room_mutex_);
  std::erase_if(room_waits_, [this](room_wait* one) {
    if (!is_roomy(*one->link)) return false;
    one->blocked.wake();
    return true;
  });
}

}  // namespace troupe::net
