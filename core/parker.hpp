/// A thread's place to sleep: one waiter, any number of wakers, no lost wake-up.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>

namespace troupe::core {

/// While it lives, threads that its own thread wakes are let run together at its end: whoever
/// completes many things in a row is not interrupted after each by a thread that waits for the
/// next. The thread must not wait meanwhile for one that it has woken. Parkers woken inside must
/// come from the pool (`pooled_parker`). One inside another adds to the outer one.
class gathered_wakes {
 public:
  gathered_wakes() noexcept : outer_(current) {
    if (outer_ == nullptr) current = this;
  }
  ~gathered_wakes() {
    if (outer_ != nullptr) return;
    current = nullptr;
    for (std::size_t i = 0; i < count_; ++i) wake(sleepers_[i]);
  }
  gathered_wakes(const gathered_wakes&) = delete;
  gathered_wakes& operator=(const gathered_wakes&) = delete;

 private:
  friend class parker;
  static constexpr std::size_t most = 32;

  static void wake(std::atomic<std::uint32_t>* sleeper) noexcept {
    ::syscall(SYS_futex, sleeper, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  static void wake_or_gather(std::atomic<std::uint32_t>* sleeper) noexcept {
    if (current == nullptr || current->count_ == most) {
      wake(sleeper);
    } else {
      current->sleepers_[current->count_++] = sleeper;
    }
  }

  static inline thread_local gathered_wakes* current = nullptr;
  gathered_wakes* const outer_;
  std::size_t count_ = 0;
  std::array<std::atomic<std::uint32_t>*, most> sleepers_;
};

/// Binary semaphore on a futex. `park` is for the owning thread, `unpark` for all. Thread-safe.
/// `std::atomic::wait` spins and shares a waiter table between objects; this does neither.
class parker {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Returns after an `unpark`, also one that came before.
  void park() noexcept {
    while (!take()) sleep(nullptr);
  }

  /// As `park`, but gives up at `deadline`. False when it did.
  bool park_until(const time_point& deadline) noexcept {
    while (!take()) {
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left <= left.zero()) return take();
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timespec relative{static_cast<time_t>(seconds.count()),
                        static_cast<long>(std::chrono::nanoseconds(left - seconds).count())};
      sleep(&relative);
    }
    return true;
  }

  /// Without a deadline as `park`.
  bool park_until(const std::optional<time_point>& deadline) noexcept {
    if (deadline) return park_until(*deadline);
    park();
    return true;
  }

  void unpark() noexcept {
    switch (state_.exchange(woken, std::memory_order_release)) {
      case parked:
        gathered_wakes::wake_or_gather(&state_);
        break;
      case polling:
        tell_poller();
        break;
      default:
        break;
    }
  }

  // For an owner that waits in epoll instead.

  /// Readable when a thread that polls was unparked; shared by all of them, and never closed.
  static int poll_descriptor() noexcept;
  /// Takes an `unpark`; false when there was none.
  bool take() noexcept {
    std::uint32_t seen = woken;
    return state_.compare_exchange_strong(seen, idle, std::memory_order_acquire);
  }
  bool unparked() const noexcept { return state_.load(std::memory_order_relaxed) == woken; }
  /// Sleeps, as far as another thread can tell.
  bool sleeping() const noexcept {
    const std::uint32_t seen = state_.load(std::memory_order_relaxed);
    return seen == parked || seen == polling;
  }
  /// From now on `unpark` makes the descriptor readable. False when one came before.
  bool begin_polling() noexcept {
    std::uint32_t seen = idle;
    return state_.compare_exchange_strong(seen, polling, std::memory_order_seq_cst);
  }
  void end_polling() noexcept {
    std::uint32_t seen = polling;
    state_.compare_exchange_strong(seen, idle, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t idle = 0;
  static constexpr std::uint32_t woken = 1;
  static constexpr std::uint32_t parked = 2;
  static constexpr std::uint32_t polling = 3;

  static void tell_poller() noexcept;
  void sleep(const timespec* relative) noexcept {
    std::uint32_t seen = idle;
    if (!state_.compare_exchange_strong(seen, parked, std::memory_order_relaxed) && seen == woken) {
      return;
    }
    ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, parked, relative, nullptr, 0);
    seen = parked;  // not woken: back to idle, so that a later unpark does not call the kernel
    state_.compare_exchange_strong(seen, idle, std::memory_order_relaxed);
  }

  std::atomic<std::uint32_t> state_{idle};
};

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

/// Owns a parker whose memory is never freed, but used again: a waker may still touch it when the
/// thread that it woke has ended. So whoever parks must expect to be woken for nothing.
class pooled_parker {
 public:
  pooled_parker();
  ~pooled_parker();
  pooled_parker(const pooled_parker&) = delete;
  pooled_parker& operator=(const pooled_parker&) = delete;
  parker& operator*() const noexcept { return *own_; }
  parker* operator->() const noexcept { return own_; }

 private:
  parker* own_;
};

/// The parker of the calling thread, from that pool.
parker& this_thread_parker() noexcept;

}  // namespace troupe::core
