/// What a store's threads share: the memory, an inbox, and workers for the disk.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/descriptor.hpp"
#include "net/store_region.hpp"

namespace troupe::net {

/// What outlives the store: frames that are on their way refer to the memory.
struct store_shared {
  explicit store_shared(std::uint64_t bytes)
      : region(bytes), wake_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  void post(std::function<void()> f) {
    {
      const std::lock_guard guard(mutex);
      if (closed) return;
      inbox.push_back(std::move(f));
      if (inbox.size() > 1) return;
    }
    wake();
  }
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_fd.get(), &one, sizeof(one));
  }

  store_region region;
  const core::descriptor wake_fd;
  std::mutex mutex;
  std::vector<std::function<void()>> inbox;  // guarded by mutex, as `closed`
  bool closed = false;
};

/// Threads for what waits for the disk.
class io_pool {
 public:
  explicit io_pool(std::uint32_t threads) {
    for (std::uint32_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
    }
  }
  void add(std::function<void()> f) {
    const std::lock_guard guard(mutex_);
    work_.push_back(std::move(f));
    changed_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    for (;;) {
      std::function<void()> next;
      {
        std::unique_lock guard(mutex_);
        if (!changed_.wait(guard, stop, [&] { return !work_.empty(); })) return;
        next = std::move(work_.front());
        work_.pop_front();
      }
      next();
    }
  }
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> work_;  // guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace troupe::net
