#include "core/timers.hpp"

#include <pthread.h>

#include <optional>

namespace troupe::core {

timers::id timers::call_at(time_point due, std::function<void()> f) {
  const std::lock_guard guard(mutex_);
  if (stopping_) return 0;
  const bool first = !heap_.next() || due < *heap_.next();
  const id timer = heap_.add(due, std::move(f));
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { run(); });
  } else if (first) {
    wake_.notify_one();
  }
  return timer;
}

timers::id timers::call_after(std::chrono::nanoseconds delay, std::function<void()> f) {
  const auto now = std::chrono::steady_clock::now();
  const auto longest = time_point::max() - now;
  return call_at(delay < longest ? now + delay : time_point::max(), std::move(f));
}

bool timers::cancel(id timer) {
  std::unique_lock guard(mutex_);
  return heap_.cancel(timer);
}

void timers::stop() noexcept {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  const std::lock_guard guard(mutex_);
  heap_ = {};
}

void timers::run() {
  pthread_setname_np(pthread_self(), "troupe.timers");
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    const std::optional<time_point> next = heap_.next();
    if (!next) {
      wake_.wait(guard);
      continue;
    }
    std::function<void()> f;
    if (!heap_.pop_due(std::chrono::steady_clock::now(), f)) {
      // Far timers would overflow the clock of the kernel's wait.
      const auto far = std::chrono::steady_clock::now() + std::chrono::hours(1);
      wake_.wait_until(guard, *next < far ? *next : far);
      continue;
    }
    guard.unlock();
    f();
    f = nullptr;
    guard.lock();
  }
}

}  // namespace troupe::core
