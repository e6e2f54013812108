/// Coroutine tasks and methods: `troupe::async<T>` that may `co_await` refs without holding a
/// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <troupe/detail/invocation.hpp>
#include <troupe/object_ref.hpp>

namespace troupe {

template <class T>
class async;

namespace detail {

/// Suspends a coroutine until an object is ready or its call is cancelled.
class TROUPE_API object_awaiter {
 public:
  explicit object_awaiter(object_ptr object) noexcept : object_(std::move(object)) {}
  object_awaiter(const object_awaiter&) = delete;
  object_awaiter& operator=(const object_awaiter&) = delete;
  ~object_awaiter();

  bool await_ready() const noexcept { return object_->ready(); }
  bool await_suspend(std::coroutine_handle<> self);

 protected:
  /// Ends the wait: throws `task_cancelled_error` if it ended by cancellation.
  void settle();
  object_state& object() const noexcept { return *object_; }

 private:
  struct waker final : continuation {
    invocation* call = nullptr;
    std::atomic<bool> fired{false};
  };
  static void on_ready(continuation& self, object_state&) noexcept;
  void unlink() noexcept;

  object_ptr object_;
  waker waker_;
  bool waiting_ = false;
};

template <class T>
class ref_awaiter final : public object_awaiter {
 public:
  ref_awaiter(object_ptr object, bool may_move) noexcept
      : object_awaiter(std::move(object)), may_move_(may_move) {}
  T await_resume() {
    settle();
    if constexpr (copyable_v<T> || std::is_void_v<T>) {
      return may_move_ ? take<T>(object()) : read<T>(object());
    } else {
      return take<T>(object());
    }
  }

 private:
  bool may_move_;
};

/// What all coroutines of troupe have in common: who continues when they end.
struct async_promise_base {
  std::coroutine_handle<> parent = nullptr;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      const std::coroutine_handle<> next = self.promise().parent;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() noexcept { return {}; }
};

template <class T>
struct async_promise : async_promise_base {
  std::variant<std::monostate, T, std::exception_ptr> result;

  async<T> get_return_object();
  template <class U>
  requires std::constructible_from<T, U>
  void return_value(U&& value) { result.template emplace<1>(std::forward<U>(value)); }
  void unhandled_exception() noexcept { result.template emplace<2>(std::current_exception()); }
  T take() {
    if (result.index() == 2) std::rethrow_exception(std::get<2>(result));
    return std::move(std::get<1>(result));
  }
};

template <>
struct async_promise<void> : async_promise_base {
  std::exception_ptr thrown;

  inline async<void> get_return_object();
  void return_void() noexcept {}
  void unhandled_exception() noexcept { thrown = std::current_exception(); }
  void take() {
    if (thrown) std::rethrow_exception(thrown);
  }
};

}  // namespace detail

/// The result type of a coroutine task or method. Inside one, `co_await` waits for refs
/// (`co_await remote<f>(x)`), for other coroutines of this type, and for `after(duration)`; the
/// thread does other work meanwhile. Take parameters by value: they live as long as the coroutine.
///
/// A coroutine that is called directly (not by `remote`) does nothing until it is awaited.
template <class T>
class [[nodiscard]] async {
 public:
  using promise_type = detail::async_promise<T>;

  async(async&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  async& operator=(async&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~async() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) noexcept {
    handle_.promise().parent = parent;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

  std::coroutine_handle<promise_type> release() noexcept { return std::exchange(handle_, nullptr); }
  explicit async(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
async<T> detail::async_promise<T>::get_return_object() {
  return async<T>(std::coroutine_handle<async_promise>::from_promise(*this));
}
inline async<void> detail::async_promise<void>::get_return_object() {
  return async<void>(std::coroutine_handle<async_promise>::from_promise(*this));
}

/// `co_await after(10ms)` inside a coroutine task: goes on after that time, without a thread.
TROUPE_API object_ref<void> after(std::chrono::nanoseconds delay);

namespace detail {

/// Owns the outermost frame of a coroutine call.
template <class T>
class async_frame {
 public:
  async_frame() = default;
  async_frame(const async_frame&) = delete;
  async_frame& operator=(const async_frame&) = delete;
  ~async_frame() { destroy(); }

  bool started() const noexcept { return static_cast<bool>(handle_); }
  void start(async<T> coroutine) noexcept {
    handle_ = coroutine.release();
    current_invocation()->set_resume_point(handle_.address());
  }
  /// Runs until it ends (true) or suspends.
  bool resume() {
    std::coroutine_handle<>::from_address(current_invocation()->take_resume_point()).resume();
    return handle_.done();
  }
  T take_result() {
    struct guard {
      async_frame& frame;
      ~guard() { frame.destroy(); }
    } ended{*this};
    return handle_.promise().take();
  }
  void destroy() noexcept {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

 private:
  std::coroutine_handle<async_promise<T>> handle_;
};

}  // namespace detail

template <class T>
detail::ref_awaiter<T> object_ref<T>::operator co_await() const& {
  return detail::ref_awaiter<T>(pointer(), false);
}
template <class T>
detail::ref_awaiter<T> object_ref<T>::operator co_await() && {
  return detail::ref_awaiter<T>(std::move(*this).pointer(), true);
}

}  // namespace troupe
