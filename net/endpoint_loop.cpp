// The endpoint's thread: what wakes it and what it does in which order.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <troupe/log.hpp>

#include "core/fault.hpp"
#include "net/endpoint_implementation.hpp"

namespace troupe::net {
namespace {

// Tokens of descriptors; those of links follow.
constexpr std::uint64_t wake_token = 1;
constexpr std::uint64_t local_token = 2;
constexpr std::uint64_t remote_token = 3;
constexpr std::uint64_t listener_token = 4;

constexpr std::uint64_t poll_token = 5;

}  // namespace

bool endpoint::implementation::on_own_thread() const noexcept { return own_ == this; }

/// Has the endpoint's thread open the link or send what is in its outbox.
void endpoint::implementation::list(const link_ptr& link) {
  if (link->listed.exchange(true)) return;
  {
    const std::lock_guard guard(inbox_mutex_);
    listed_.push_back(link);
  }
  wake();
}

/// Sends what is in the link's outbox; what is too much is left for the endpoint's thread.
void endpoint::implementation::pump(const link_ptr& link) {
  const bool sends = TROUPE_FAULT("link.cut_after_send") && link->queued_bytes() > 0;
  if (link->pump()) list(link);
  if (sends) {
    post([this, link] {
      if (!link->is_open() || link->ended()) return;
      close_link(*link);
      open_link(link);
    });
  }
}

void endpoint::implementation::control(const link_ptr& link, std::uint16_t flags,
                                       std::uint32_t nack_generation) {
  link->send_control(flags, nack_generation);
  pump(link);
}

void endpoint::implementation::wake() {
  // The thread stores `asleep_` and then looks at `inbox_filled_`: one of the two sees the other.
  inbox_filled_.store(true);
  if (on_own_thread()) return;
  if (asleep_.exchange(false)) {
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_.get(), &one, sizeof one));
  } else if (turn_.load() == turn::free) {
    call_own_thread();
  }
}

void endpoint::implementation::run() {
  own_ = this;
  add_descriptor(wake_.get(), wake_token);
  add_descriptor(local_.socket.descriptor(), local_token);
  if (remote_.socket) {
    add_descriptor(remote_.socket.descriptor(), remote_token);
    add_descriptor(listener_watcher_.descriptor(), listener_token);
  }
  // A descriptor tells only of what comes after its socket was found empty once.
  if (remote_.socket) watch_listener();
  local_.more = true;
  remote_.more = static_cast<bool>(remote_.socket);
  while (!stopping_.load()) {
    if (work()) continue;
    if (let_go_of_turn()) {
      wait_for_turn();
      continue;
    }
    asleep_.store(true);
    wait_for_events(inbox_filled_.load() || stopping_.load() ? 0 : time_to_next_timer());
    asleep_.store(false);
  }
  close_everything();
}

/// Does what is to do now. False when that was all, and the thread may sleep.
bool endpoint::implementation::work() {
  take_inbox();
  run_timers();
  if (local_.more) receive(local_);
  if (remote_.more) receive(remote_);
  flush_listed();
  if (local_.more || remote_.more || inbox_filled_.load()) {
    wait_for_events(0);
    return true;
  }
  if (undrained_) {
    undrained_ = false;
    call_out("drained()", [this] { handler_.drained(); });
    flush_listed();
    acknowledge(false);
  }
  return false;
}

void endpoint::implementation::take_inbox() {
  if (!inbox_filled_.exchange(false)) return;
  std::vector<function> posted;
  std::vector<message> own;
  std::vector<link_ptr> listed;
  {
    const std::lock_guard guard(inbox_mutex_);
    posted.swap(posted_);
    own.swap(to_self_);
    listed.swap(listed_);
  }
  undrained_ = true;
  listed_here_.insert(listed_here_.end(), listed.begin(), listed.end());
  flush_listed();
  for (message& m : own) {
    counters_.messages_received.fetch_add(1, std::memory_order_relaxed);
    call_out("received()", [&] { handler_.received(self_.id, std::move(m)); });
  }
  for (function& f : posted) call_out("a posted function", f);
}

void endpoint::implementation::run_timers() {
  for (;;) {
    function due;
    {
      const std::lock_guard guard(timers_mutex_);
      if (timers_.empty() || !timers_.pop_due(clock::now(), due)) return;
    }
    undrained_ = true;
    call_out("a timer", due);
  }
}

/// Sends what the handler and others have left, and opens links on the way.
void endpoint::implementation::flush_listed() {
  while (!listed_here_.empty()) {
    std::vector<link_ptr> links;
    links.swap(listed_here_);
    for (const link_ptr& link : links) {
      link->listed.store(false);
      if (!link->is_open() && !link->ended()) open_link(link);
      pump(link);
    }
    if (!watching_.exchange(true)) watch_unacknowledged();
  }
}

int endpoint::implementation::time_to_next_timer() {
  const std::lock_guard guard(timers_mutex_);
  const auto next = timers_.next();
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

void endpoint::implementation::wait_for_events(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < count; ++i) {
    switch (const std::uint64_t token = events[static_cast<std::size_t>(i)].data.u64; token) {
      case wake_token: {
        std::uint64_t ignored = 0;
        static_cast<void>(::read(wake_.get(), &ignored, sizeof ignored));
        break;
      }
      case poll_token: {
        std::uint64_t ignored = 0;
        static_cast<void>(::read(core::parker::poll_descriptor(), &ignored, sizeof ignored));
        break;
      }
      case local_token:
        local_.more = true;
        break;
      case remote_token:
        remote_.more = true;
        break;
      case listener_token:
        // A connection is heard before it is told to have ended.
        receive(remote_);
        watch_listener();
        break;
      default:
        look_at_link(token);
        break;
    }
  }
}

void endpoint::implementation::add_descriptor(int fd, std::uint64_t token) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    log::error("a socket can not be watched, so a link may be slow: epoll_ctl failed with ", errno);
  }
}

void endpoint::implementation::add_poll_descriptor() {
  add_descriptor(core::parker::poll_descriptor(), poll_token);
}

void endpoint::implementation::remove_descriptor(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void endpoint::implementation::close_everything() {
  std::vector<link_ptr> links;
  {
    const std::unique_lock guard(links_mutex_);
    for (const auto& [id, link] : links_) links.push_back(link);
    links_.clear();
  }
  for (const link_ptr& link : links) {
    link->end();
    close_link(*link);
  }
  wake_flushers();
  tell_of_room();
  stop_listening();
  remote_.socket.close();
  local_.socket.close();
  listener_watcher_.close();
}

/// libzmq gives a port free some time after its socket was closed; who ends here may want to listen
/// there again.
void endpoint::implementation::stop_listening() {
  if (!remote_.socket) return;
  remote_.socket.unbind(remote_.socket.text(ZMQ_LAST_ENDPOINT));
  const auto deadline = clock::now() + std::chrono::seconds(1);
  while (clock::now() < deadline && listener_watcher_.wait(100)) {
    connection_event event;
    while (next_event(listener_watcher_, event)) {
      if (event.kind == connection_event::what::closed) return;
    }
  }
}

}  // namespace troupe::net
