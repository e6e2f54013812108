#include "net/endpoint.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <array>
#include <random>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/detail/archive_output.hpp>
#include <troupe/error.hpp>

#include "net/endpoint_implementation.hpp"

namespace troupe::net {
namespace {

/// So many processes that are gone are remembered.
constexpr std::size_t max_forgotten = 65'536;
/// Frames of up to this size are always accepted, so that a batch always fits.
constexpr std::size_t least_frame_bytes = std::size_t{2} << 20;
/// What encryption and framing add to a frame, generously.
constexpr std::size_t frame_overhead = 4096;

process_id draw_id() {
  std::random_device random;
  process_id id = 0;
  while (id == 0) id = std::uint64_t{random()} << 32 | random();
  return id;
}

/// Whether this thread is sending many messages in a row to that link. Then each is left for the
/// endpoint's thread to gather, while the first few and single ones are sent at once.
bool in_a_burst(const peer_link& link) {
  constexpr std::chrono::microseconds gap{20};
  constexpr int sent_at_once = 3;
  struct recent {
    process_id to = 0;
    peer_link::clock::time_point at{};
    int streak = 0;
  };
  thread_local std::array<recent, 8> recents;
  recent& r = recents[link.id() % recents.size()];
  const auto now = peer_link::clock::now();
  r.streak = r.to == link.id() && now - r.at < gap ? r.streak + 1 : 1;
  r.to = link.id();
  r.at = now;
  return r.streak > sent_at_once;
}

}  // namespace

endpoint::implementation::implementation(endpoint_options options, endpoint_handler& handler)
    : options_(std::move(options)),
      handler_(handler),
      context_(zmq_context::get()),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      grace_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
  if (!epoll_ || !wake_ || !grace_) {
    throw connection_error("no descriptors are left; raise the limit of open files (ulimit -n)");
  }
  if (options_.max_message_bytes < least_frame_bytes) {
    throw connection_error("max_message_bytes is " + std::to_string(options_.max_message_bytes) +
                           ": it must be at least " + std::to_string(least_frame_bytes));
  }
  chunk_bytes_ = options_.max_message_bytes - frame_overhead;
  if (!options_.cluster_key.empty()) public_key_ = public_half(options_.cluster_key);
  self_.id = options_.id != 0 ? options_.id : draw_id();
  self_.epoch = options_.epoch;
  self_.host = host_identity();
  listen_locally();
  if (!options_.listen_address.empty()) listen_remotely();

  record_ = detail::encode(self_).inline_bytes;
  thread_ = std::jthread([this] { run(); });
}

endpoint::implementation::~implementation() {
  const bool was_shared = core::idle_work::remove(*this);
  stopping_.store(true);
  wake();
  if (was_shared) core::idle_work::wait_until_left();
  if (thread_.joinable()) thread_.join();
}

void endpoint::implementation::learn(const peer& other) {
  if (other.id == 0 || other.id == self_.id) return;
  link_ptr earlier;
  {
    const std::unique_lock guard(links_mutex_);
    if (forgotten_.contains(other.id)) return;
    link_ptr& link = links_[other.id];
    if (!link) {
      link = std::make_shared<peer_link>(self_, other, chunk_bytes_, counters_);
    } else if (other.epoch > link->epoch()) {
      earlier = link;
    } else if (link->ended()) {
      // Who tells of an earlier life of it wants it tried again, too.
      link->revive(other.epoch == link->epoch() ? other : link->where());
    }
  }
  if (!earlier) return;
  if (on_own_thread()) return renew_link(earlier, other);
  post([this, earlier, other] { renew_link(earlier, other); });
}

std::optional<peer> endpoint::implementation::find(process_id other) const {
  if (other == self_.id) return self_;
  const link_ptr link = find_link(other);
  if (!link) return std::nullopt;
  return link->where();
}

bool endpoint::implementation::is_connected(process_id other) const {
  const link_ptr link = find_link(other);
  return link && link->up();
}

bool endpoint::implementation::send(process_id to, message&& what) {
  if (to == self_.id) {
    {
      const std::lock_guard guard(inbox_mutex_);
      to_self_.push_back(std::move(what));
    }
    counters_.messages_sent.fetch_add(1, std::memory_order_relaxed);
    wake();
    return true;
  }
  link_ptr link = find_link(to);
  if (!link) return false;
  auto outcome = link->enqueue(std::move(what));
  if (outcome == peer_link::outcome::gone) {
    // Another life of the peer may have begun in between.
    const link_ptr now = find_link(to);
    if (!now || now == link) return false;
    link = now;
    outcome = link->enqueue(std::move(what));
    if (outcome == peer_link::outcome::gone) return false;
  }
  if (on_own_thread()) {
    if (!link->listed.exchange(true)) listed_here_.push_back(link);
    if (outcome == peer_link::outcome::batch_full) pump(link);
    return true;
  }
  if (!watching_.load() && !watching_.exchange(true)) {
    post([this] { watch_unacknowledged(); });
  }
  if (!link->up() || (outcome != peer_link::outcome::batch_full && in_a_burst(*link))) {
    list(link);
  } else {
    pump(link);
  }
  return true;
}

std::size_t endpoint::implementation::queued_bytes(process_id to) const {
  const link_ptr link = find_link(to);
  return link ? link->queued_bytes() : 0;
}

void endpoint::implementation::forget(process_id gone) {
  link_ptr link;
  {
    const std::unique_lock guard(links_mutex_);
    if (gone == self_.id || !forgotten_.insert(gone).second) return;
    forgotten_order_.push_back(gone);
    if (forgotten_order_.size() > max_forgotten) {
      forgotten_.erase(forgotten_order_.front());
      forgotten_order_.pop_front();
    }
    const auto found = links_.find(gone);
    if (found == links_.end()) return;
    link = std::move(found->second);
    links_.erase(found);
  }
  link->end();
  wake_flushers();
  tell_of_room();
  post([this, link] {
    close_link(*link);
    drop_partial(link->id());
  });
}

bool endpoint::implementation::flush(std::chrono::milliseconds timeout) {
  const auto deadline = clock::now() + timeout;
  std::vector<link_ptr> waiting;
  {
    const std::shared_lock guard(links_mutex_);
    for (const auto& [id, link] : links_) {
      if (link->queued_bytes() > 0) waiting.push_back(link);
    }
  }
  flushers_.fetch_add(1);
  for (const link_ptr& link : waiting) {
    pump(link);
    // Without being asked it would acknowledge only when it has a reason to.
    control(link, batch_flag::probe);
  }
  std::unique_lock lock(flush_mutex_);
  const bool done = flushed_.wait_until(lock, deadline, [&] {
    std::erase_if(waiting, [](const link_ptr& link) { return link->queued_bytes() == 0; });
    return waiting.empty();
  });
  flushers_.fetch_sub(1);
  return done;
}

void endpoint::implementation::wake_flushers() {
  if (flushers_.load() == 0) return;
  const std::lock_guard guard(flush_mutex_);
  flushed_.notify_all();
}

void endpoint::implementation::post(function f) {
  {
    const std::lock_guard guard(inbox_mutex_);
    posted_.push_back(std::move(f));
  }
  wake();
}

std::uint64_t endpoint::implementation::post_at(clock::time_point when, function f) {
  std::uint64_t id = 0;
  {
    const std::lock_guard guard(timers_mutex_);
    id = timers_.add(when, std::move(f));
  }
  wake();
  return id;
}

void endpoint::implementation::cancel(std::uint64_t timer) {
  const std::lock_guard guard(timers_mutex_);
  timers_.cancel(timer);
}

void endpoint::implementation::allow_keys(const std::vector<std::string>& public_keys) {
  admit(public_keys);
  post([this] { cut_the_unadmitted(); });
}

void endpoint::implementation::admit(const std::vector<std::string>& public_keys) {
  context_->admit(domain_.domain, public_keys,
                  [this](const std::string& address, const std::string& why) {
                    told_of_stranger(address, why);
                  });
}

endpoint::statistics endpoint::implementation::stats() const {
  const auto& c = counters_;
  return {c.messages_sent.load(), c.batches_sent.load(),       c.messages_received.load(),
          c.resent.load(),        c.duplicates_dropped.load(), c.strangers_refused.load(),
          guest_readings_.load()};
}

endpoint::endpoint(endpoint_options options, endpoint_handler& handler)
    : impl_(std::make_unique<implementation>(std::move(options), handler)) {}
endpoint::~endpoint() = default;

process_id endpoint::id() const noexcept { return impl_->self().id; }
const peer& endpoint::self() const noexcept { return impl_->self(); }
void endpoint::learn(const peer& other) { impl_->learn(other); }
std::optional<peer> endpoint::find(process_id other) const { return impl_->find(other); }
peer endpoint::resolve(const std::string& address, std::chrono::milliseconds timeout, whom wanted) {
  return impl_->resolve(address, timeout, wanted);
}
bool endpoint::send(process_id to, message what) { return impl_->send(to, std::move(what)); }
std::size_t endpoint::queued_bytes(process_id to) const { return impl_->queued_bytes(to); }
bool endpoint::has_room(process_id to) const { return impl_->has_room(to); }
bool endpoint::is_connected(process_id other) const { return impl_->is_connected(other); }
void endpoint::wait_for_room(process_id to) { impl_->wait_for_room(to); }
void endpoint::forget(process_id gone) { impl_->forget(gone); }
bool endpoint::flush(std::chrono::milliseconds timeout) { return impl_->flush(timeout); }
void endpoint::post(std::function<void()> f) { impl_->post(std::move(f)); }
std::uint64_t endpoint::post_at(std::chrono::steady_clock::time_point when,
                                std::function<void()> f) {
  return impl_->post_at(when, std::move(f));
}
void endpoint::cancel(std::uint64_t timer) { impl_->cancel(timer); }
void endpoint::allow_keys(std::vector<std::string> public_keys) { impl_->allow_keys(public_keys); }
void endpoint::share_reading() { impl_->share_reading(); }
endpoint::statistics endpoint::stats() const { return impl_->stats(); }

}  // namespace troupe::net
