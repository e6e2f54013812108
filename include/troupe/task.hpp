/// Tasks: functions called elsewhere, and options for them.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <troupe/async.hpp>
#include <troupe/detail/invoke.hpp>
#include <troupe/detail/stored_options.hpp>
#include <troupe/generator.hpp>
#include <troupe/object_ref.hpp>
#include <troupe/options.hpp>

namespace troupe {

namespace core {
class off_stage;
}

namespace detail {

using options_ptr = std::shared_ptr<const stored_options>;

template <auto F, class... A>
auto submit_task(options_ptr options, A&&... args) {
  using target = function_target<F>;
  auto* call = make_call<task, target>(std::forward<A>(args)...);
  auto result = result_of<target>(call);
  call->submit(std::move(options));
  return result;
}

/// Gives each element of a tuple object an object of its own.
class TROUPE_API tuple_splitter {
 public:
  /// Makes `count` objects that `fill(source value, index, target)` completes when `source` is
  /// ready. Each keeps `source` until then and cancels it when it is cancelled itself.
  using fill_function = void (*)(void* source_value, object_state& element, std::size_t index);
  static void connect(object_ptr source, object_state* const* elements, std::size_t count,
                      fill_function fill);
};

/// One element of a tuple result.
template <class T>
class element_object final : public object_state {
 public:
  explicit element_object(object_ptr source) noexcept
      : object_state(1), source_(std::move(source)) {}
  void set(T&& value) {
    if (!claim()) return;
    complete(slot_.emplace(std::move(value)));
  }
  void assist() noexcept override { source_->assist(); }
  bool cancel(bool force, bool recursive) override {
    if (ready()) return false;
    const bool stopped = source_->cancel(force, recursive);
    return stopped;
  }

 private:
  ~element_object() override {
    if (has_value()) slot_.destroy();
  }
  object_ptr source_;
  result_slot<T> slot_;
};

template <class T>
object_ref<T> adopted_ref(object_state* object) {
  return object_ref<T>(object_ptr::adopt(object));
}

template <class... T>
std::tuple<object_ref<T>...> split(object_ref<std::tuple<T...>> source) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    object_ptr whole = std::move(source).pointer();
    object_state* elements[] = {new element_object<T>(whole)...};
    std::tuple<object_ref<T>...> refs(adopted_ref<T>(elements[I])...);
    tuple_splitter::connect(
        std::move(whole), elements, sizeof...(T),
        [](void* value, object_state& element, std::size_t index) {
          auto& tuple = *static_cast<std::tuple<T...>*>(value);
          ((index == I ? static_cast<element_object<T>&>(element).set(std::move(std::get<I>(tuple)))
                       : void()),
           ...);
        });
    return refs;
  }
  (std::index_sequence_for<T...>{});
}

template <class F, class T>
struct continuation_result : std::invoke_result<F, const T&> {};
template <class F>
struct continuation_result<F, void> : std::invoke_result<F> {};

/// Runs a callable of the caller's process on the value of an object.
template <class F, class T>
struct continuation_target {
  using result = typename continuation_result<F, T>::type;
  static constexpr std::string_view name = "then";
  template <class Slots>
  static decltype(auto) call(void*, Slots& slots, invocation&, bool keep) {
    F& function = std::get<0>(slots).function;
    if constexpr (std::is_void_v<T>) {
      return function();
    } else {
      return function(std::get<1>(slots).take(keep));
    }
  }
};

/// Holds a callable as if it were an argument.
template <class F>
struct callable_slot {
  static constexpr bool refers = false;
  static constexpr bool repeatable = true;
  F function;
};
/// Holds a ref that is waited for without reading a value.
class void_argument {
 public:
  static constexpr bool refers = true;
  static constexpr bool repeatable = true;
  explicit void_argument(object_ptr object) : object_(std::move(object)) {}
  object_state& object() noexcept { return *object_; }
  dependency& node() noexcept { return node_; }

 private:
  object_ptr object_;
  dependency node_;
};

template <class T>
struct continuation_argument {
  using type = object_argument<const T&, T>;
};
template <>
struct continuation_argument<void> {
  using type = void_argument;
};

/// Options of `then`: no CPUs.
TROUPE_API options_ptr continuation_options();

}  // namespace detail

template <class T>
template <class F>
auto object_ref<T>::then(F f) const {
  using target = detail::continuation_target<F, T>;
  using argument = typename detail::continuation_argument<T>::type;
  using slots = std::tuple<detail::callable_slot<F>, argument>;
  using call_type = detail::call_type<detail::task, target, slots, true>;
  auto* call = new call_type(detail::callable_slot<F>{std::move(f)}, pointer());
  auto result = detail::result_of<target>(call);
  call->submit(detail::continuation_options());
  return result;
}

/// Calls a function as a task: `remote<f>(args...)`. Returns at once with a ref to its result
/// (`object_ref<R>`; `object_stream<T>` for a generator).
///
/// `F` is a free function, a static member function, a captureless lambda, an instance of a
/// function template, or an overload chosen by a cast. Each argument converts to its parameter here
/// and now, or is an `object_ref<T>` where a `T` is expected: then the task runs when the object is
/// there, and does not run when it has failed but fails alike. A parameter that is an `object_ref`
/// gets the ref. A `std::stop_token` parameter is filled in.
///
/// @throws connection_error when the runtime is not running; placement_error when the task asks for
///   more than there is; pending_calls_limit_error when too many tasks wait. Thread-safe.
template <auto F, class... A>
auto remote(A&&... args) {
  return detail::submit_task<F>(nullptr, std::forward<A>(args)...);
}

/// As `remote`, for a function that returns a `std::tuple`: each element becomes an object of its
/// own. `auto [quotient, rest] = remote_each<divide>(7, 2);`
template <auto F, class... A>
auto remote_each(A&&... args) {
  return detail::split(detail::submit_task<F>(nullptr, std::forward<A>(args)...));
}

/// About the task or call that runs on this thread. All throw `std::logic_error` outside of one,
/// where not said otherwise.
namespace this_task {

/// Whether this thread runs a task or a call. Never throws.
TROUPE_API bool running() noexcept;
/// Its name.
TROUPE_API std::string name();
/// Its number, unique in the process.
TROUPE_API std::uint64_t id();
/// 0 for the first attempt, 1 for the first retry, ...
TROUPE_API int attempt();
/// Whether it was asked to stop. False outside of a task.
TROUPE_API bool stop_requested() noexcept;
/// A token for code that takes one. Outside of a task: one that never stops.
TROUPE_API std::stop_token stop_token();
/// Throws `task_cancelled_error` when it was asked to stop. Does nothing outside of a task.
TROUPE_API void check_stop();

}  // namespace this_task

/// Sleeps; a task gives its CPU back meanwhile, and is woken with `task_cancelled_error` when it is
/// cancelled. In coroutines use `co_await after(...)`.
TROUPE_API void sleep_for(std::chrono::nanoseconds duration);
TROUPE_API void sleep_until(std::chrono::steady_clock::time_point time);

/// Runs `f`, which blocks outside of troupe (a socket, a lock, a child process), while the task's
/// CPU and thread go to others.
template <class F>
decltype(auto) blocking(F&& f);

namespace detail {

/// While it lives, the thread counts as blocked.
class TROUPE_API blocking_scope {
 public:
  blocking_scope();
  ~blocking_scope();
  blocking_scope(const blocking_scope&) = delete;
  blocking_scope& operator=(const blocking_scope&) = delete;

 private:
  std::unique_ptr<core::off_stage> away_;
};

}  // namespace detail

template <class F>
decltype(auto) blocking(F&& f) {
  const detail::blocking_scope scope;
  return std::forward<F>(f)();
}

}  // namespace troupe
