#include "net/listener_watch.hpp"

#include <chrono>
#include <utility>

#include "net/address.hpp"
#include "net/connection_attempt.hpp"

namespace troupe::net {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(1);

bool has_ended(const std::string& address) {
  const auto parts = parse_address(address);
  if (!parts) return false;
  std::string why;
  const auto numeric = look_up(*parts, why);
  return numeric && connection_attempt(*numeric).wait(clock::now() + patience) ==
                        connection_attempt::result::refused;
}

}  // namespace

listener_watch::listener_watch(std::function<void(process_id)> ended)
    : ended_(std::move(ended)), thread_([this] { run(); }) {}

listener_watch::~listener_watch() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void listener_watch::look_for(const std::vector<peer>& quiet) {
  std::set<process_id> still;
  bool news = false;
  const std::lock_guard guard(mutex_);
  for (const peer& one : quiet) {
    if (!looked_at_.contains(one.id)) {
      wanted_[one.id] = one.remote;
      news = true;
    }
    still.insert(one.id);
  }
  looked_at_ = std::move(still);
  if (news) changed_.notify_one();
}

void listener_watch::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !wanted_.empty(); });
    if (stopping_) return;
    const auto [id, address] = *wanted_.begin();
    wanted_.erase(wanted_.begin());
    lock.unlock();
    if (has_ended(address)) ended_(id);
    lock.lock();
  }
}

}  // namespace troupe::net
