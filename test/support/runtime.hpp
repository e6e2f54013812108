/// What tests of a running runtime share: starting one, waiting with a bound, counting values.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/object_ref.hpp>
#include <troupe/runtime.hpp>

namespace troupe::test {

/// How long a test waits for what must happen before it fails. Never how long a test takes.
inline constexpr std::chrono::seconds patience{60};

/// A runtime with so many CPUs that keeps its log to itself.
inline session start(double cpus = 2) {
  return init({.num_cpus = cpus, .log_level = log_level::off});
}

// -- waiting --------------------------------------------------------------------------------------

/// `get` that ends in an error where a broken runtime would hang.
template <class T>
T fetch(const object_ref<T>& ref) {
  return get(ref, patience);
}
template <class T>
T fetch(object_ref<T>&& ref) {
  return get(std::move(ref), patience);
}
template <class T>
auto fetch(const std::vector<object_ref<T>>& refs) {
  return get(refs, patience);
}

/// Waits for what has no event of its own, such as the end of a task after its result is there.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Counts events for whoever waits for them. Copies share the count. A task that waits for one
/// blocks its thread and keeps its CPU, as foreign code does. Thread-safe.
class signal {
 public:
  void raise() const {
    const std::lock_guard guard(state_->mutex);
    ++state_->count;
    state_->changed.notify_all();
  }
  /// False when so many did not come in time.
  bool wait(std::size_t times = 1) const {
    std::unique_lock guard(state_->mutex);
    return state_->changed.wait_for(guard, patience, [&] { return state_->count >= times; });
  }
  std::size_t count() const {
    const std::lock_guard guard(state_->mutex);
    return state_->count;
  }

 private:
  struct shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t count = 0;
  };
  std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

/// A ref that the test completes by hand. Copies share it.
template <class T>
class promise {
 public:
  object_ref<T> ref() const { return object_ref<T>(object_); }
  template <class... Args>
  void set(Args&&... args) const {
    object().set(std::forward<Args>(args)...);
  }
  template <class E>
  void fail(const E& error) const {
    object().set_failure(detail::make_failure(std::make_exception_ptr(error)));
  }

 private:
  detail::value_object<T>& object() const {
    return static_cast<detail::value_object<T>&>(*object_);
  }
  detail::object_ptr object_ = detail::object_ptr::adopt(new detail::value_object<T>);
};

// -- observing ------------------------------------------------------------------------------------

/// A value that counts how many of it are alive, and how often one was copied.
class tracked {
 public:
  explicit tracked(int value = 0) : value_(value) { ++alive_; }
  tracked(const tracked& other) : value_(other.value_) {
    ++alive_;
    ++copies_;
  }
  tracked(tracked&& other) noexcept : value_(std::exchange(other.value_, -1)) { ++alive_; }
  tracked& operator=(const tracked&) = default;
  ~tracked() { --alive_; }

  int value() const { return value_; }
  static int alive() { return alive_; }
  static int copies() { return copies_; }

 private:
  static inline std::atomic<int> alive_{0};
  static inline std::atomic<int> copies_{0};
  int value_;
};

/// Threads of this process.
inline std::size_t thread_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ++count;
  }
  return count;
}

/// The `what()` of the `Error` that `f` throws. Other exceptions pass.
template <class Error, class F>
std::string message_of(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// Runs in a destructor: shows when a frame or an argument ends.
class at_end {
 public:
  explicit at_end(signal ended) : ended_(std::move(ended)) {}
  at_end(at_end&& other) noexcept : ended_(std::exchange(other.ended_, std::nullopt)) {}
  at_end& operator=(at_end&&) = delete;
  ~at_end() {
    if (ended_) ended_->raise();
  }

 private:
  std::optional<signal> ended_;
};

}  // namespace troupe::test

// They never leave the process; troupe wants to know that they could.
template <>
inline constexpr bool troupe::detail::stays_in_process_v<troupe::test::signal> = true;
template <>
inline constexpr bool troupe::detail::stays_in_process_v<troupe::test::tracked> = true;
template <>
inline constexpr bool troupe::detail::stays_in_process_v<troupe::test::at_end> = true;
template <class T>
inline constexpr bool troupe::detail::stays_in_process_v<troupe::test::promise<T>> = true;
