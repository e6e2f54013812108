// Who reads: the endpoint's thread, or one that waits for what is read.
//
// The turn is a token; what the loop works on belongs to its holder. The endpoint's thread lets go
// of it when a thread that wanted it has been woken, and so may soon wait again. Whoever has let go
// of it arms a timer, at whose end the endpoint's thread takes it back unless somebody has it: so
// nothing lies unread for longer, and a thread that asks again and again for one answer does not
// wake another one each time.
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/execution.hpp"
#include "core/fault.hpp"
#include "net/endpoint_implementation.hpp"

namespace troupe::net {

namespace {

/// How long what arrives may lie while nobody has the turn.
constexpr std::chrono::microseconds grace{200};
/// With the fault of that name: as long as another thread may have the processor.
constexpr std::chrono::milliseconds hold_up{5};

}  // namespace

void endpoint::implementation::share_reading() {
  post([this] {
    add_poll_descriptor();
    core::idle_work::install(*this);
  });
}

void endpoint::implementation::arm_grace(std::chrono::nanoseconds from_now) noexcept {
  itimerspec when{};
  when.it_value.tv_nsec = from_now.count();
  ::timerfd_settime(grace_.get(), 0, &when, nullptr);
}

/// Whether the endpoint's thread has given the turn away.
bool endpoint::implementation::let_go_of_turn() {
  core::parker* const wanted = wants_turn_.load();
  if (wanted == nullptr || wanted->sleeping()) return false;
  wants_turn_.store(nullptr);
  if (stopping_.load() || inbox_filled_.load()) return false;
  arm_grace(grace);
  turn_.store(turn::free);
  // Whoever filled the inbox before saw the turn with this thread, and relies on it.
  if (inbox_filled_.load() || stopping_.load()) call_own_thread();
  return true;
}

/// For the endpoint's thread.
void endpoint::implementation::wait_for_turn() {
  own_ = nullptr;
  for (;;) {
    std::uint64_t expired = 0;
    static_cast<void>(::read(grace_.get(), &expired, sizeof expired));
    turn seen = turn::free;
    if (turn_.compare_exchange_strong(seen, turn::own)) break;
  }
  own_ = this;
}

bool endpoint::implementation::work_until_woken(
    core::parker& sleeper, const std::optional<clock::time_point>& deadline) noexcept {
  turn seen = turn::free;
  if (!turn_.compare_exchange_strong(seen, turn::guest)) {
    if (seen == turn::own) wants_turn_.store(&sleeper);
    return false;
  }
  guest_readings_.fetch_add(1, std::memory_order_relaxed);
  const implementation* const outer_endpoint = std::exchange(own_, this);
  core::execution* const outer = std::exchange(core::current_execution, nullptr);
  while (!stopping_.load() && !sleeper.take()) {
    if (work()) continue;
    if (deadline && clock::now() >= *deadline) break;
    asleep_.store(true);
    if (sleeper.begin_polling()) {
      int timeout = inbox_filled_.load() || stopping_.load() ? 0 : time_to_next_timer();
      if (deadline) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - clock::now());
        const auto most = std::clamp<std::int64_t>(left.count(), 0, 3'600'000);
        timeout = timeout < 0 ? static_cast<int>(most) : std::min(timeout, static_cast<int>(most));
      }
      wait_for_events(timeout);
      sleeper.end_polling();
    }
    asleep_.store(false);
  }
  core::current_execution = outer;
  own_ = outer_endpoint;
  const bool more = local_.more || remote_.more;
  turn_.store(turn::free);
  if (TROUPE_FAULT("endpoint.held_up_at_leaving")) std::this_thread::sleep_for(hold_up);
  // Not before: a timer that ends while the turn is still taken calls the endpoint's thread for
  // nothing, and then nobody reads.
  arm_grace(grace);
  if (more || inbox_filled_.load() || stopping_.load()) call_own_thread();
  return true;
}

}  // namespace troupe::net
