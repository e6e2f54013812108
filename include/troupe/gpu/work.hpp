/// Work on a device as an object: it needs no thread while it runs.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/gpu/array.hpp>
#include <troupe/gpu/stream.hpp>
#include <troupe/object_ref.hpp>

namespace troupe::gpu {

namespace detail {

using troupe::detail::object_ptr;
using troupe::detail::object_state;

class engine;
class deferral;

/// A piece of device work, and the object that it makes: an ephemeral actor. It is enqueued by
/// whoever submits it, or by the stage when its arguments are there. Its value is there for other
/// device work from then on, and for everybody when the device has done it. Thread-safe.
class TROUPE_API work : public object_state {
 public:
  /// Enqueues the work now, if every argument is there or is device work that is enqueued; else
  /// when they are. Never blocks for the device. A failure fails the object.
  void submit(std::vector<object_ptr> arguments);
  /// Without arguments, on that lane.
  void submit_to(lane& on);

  bool enqueued() const noexcept { return enqueued_.load(std::memory_order_acquire); }
  /// The value, from when it is enqueued.
  virtual void* early_value() noexcept = 0;

  void assist() noexcept override;
  bool cancel(bool force, bool recursive) override;
  std::string_view describe() const noexcept override { return name_; }

 protected:
  /// `name` outlives the work.
  explicit work(std::string_view name) noexcept : object_state(0), name_(name) {}
  ~work() override;

  /// Sees to what may wait for other processes, before the streams' order is locked. Once; may
  /// throw.
  virtual void prepare() = 0;
  /// Enqueues what is to be done. Once; may throw.
  virtual void enqueue(const stream& on) = 0;
  /// Publishes the value. After a claim.
  virtual void publish() noexcept = 0;
  /// Drops what was needed until the device had done it.
  virtual void drop() noexcept = 0;

 private:
  friend class engine;
  friend class deferral;

  std::string_view name_;
  std::atomic<bool> enqueued_{false};
  lane* on_ = nullptr;     ///< set by `submit`
  object_ptr on_its_way_;  ///< of deferred work: ready when it is enqueued
};

/// Work that `f(stream)` enqueues; what that returns is the object's value.
template <class R, class F>
class typed_work final : public work {
 public:
  typed_work(std::string_view name, F f) : work(name), function_(std::move(f)) {}
  void* early_value() noexcept override { return made_ ? result_.get() : nullptr; }

 private:
  ~typed_work() override {
    if (made_) result_.destroy();
  }
  void prepare() override {
    if constexpr (requires { function_->prepare(); }) function_->prepare();
  }
  void enqueue(const stream& on) override {
    if constexpr (std::is_void_v<R>) {
      (*function_)(on);
    } else {
      result_.emplace_from([&] { return (*function_)(on); });
    }
    made_ = true;
  }
  void publish() noexcept override { complete(result_.get()); }
  void drop() noexcept override { function_.reset(); }

  std::optional<F> function_;
  bool made_ = false;
  [[no_unique_address]] troupe::detail::result_slot<R> result_;
};

template <class F>
auto start(std::string_view name, F f, std::vector<object_ptr> arguments) {
  using result = std::invoke_result_t<F&, const stream&>;
  auto* const made = new typed_work<result, F>(name, std::move(f));
  object_ref<result> ref(object_ptr::adopt(made));
  made->submit(std::move(arguments));
  return ref;
}

/// The value of an argument of work that is being enqueued. Throws what the object failed with.
TROUPE_API const void* argument_value(object_state& of);

/// What the enqueuing function gets for an argument of `run`: values as they are, refs resolved.
template <class A>
struct kept_argument {
  static decltype(auto) value(A& from) { return (from); }
  static void add_to(std::vector<object_ptr>&, const A&) {}
  static void prepare(A& from) {
    if constexpr (is_array_v<A>) settle(from.memory());
  }
};
template <class T>
struct kept_argument<object_ref<T>> {
  static const T& value(object_ref<T>& from) {
    return *static_cast<const T*>(argument_value(from.state()));
  }
  static void add_to(std::vector<object_ptr>& all, const object_ref<T>& ref) {
    all.push_back(ref.pointer());
  }
  static void prepare(object_ref<T>& from) {
    if constexpr (is_array_v<T>) settle(value(from).memory());
  }
};

/// A function and what it is called with, after the stream.
template <class F, class... A>
struct bound_work {
  F function;
  std::tuple<A...> arguments;

  void prepare() {
    std::apply([](A&... each) { (kept_argument<A>::prepare(each), ...); }, arguments);
  }
  decltype(auto) operator()(const stream& on) {
    return std::apply(
        [&](A&... each) -> decltype(auto) {
          return function(on, kept_argument<A>::value(each)...);
        },
        arguments);
  }
};

}  // namespace detail

/// Runs `f(stream, args...)` as soon as the arguments are there: now, when they are values, ready
/// refs or refs of device work, which is not waited for. `f` enqueues work on the stream and
/// returns; it must not wait for anything. The ref gets what `f` returns when the device has done
/// all that; until then other device work can already take it. `name` shows in errors.
///
/// An actor's work goes to a stream of its own; other threads have one each.
template <class F, class... A>
auto run_named(std::string_view name, F f, A... args) {
  std::vector<detail::object_ptr> refs;
  (detail::kept_argument<A>::add_to(refs, args), ...);
  return detail::start(
      name, detail::bound_work<F, A...>{std::move(f), std::tuple<A...>(std::move(args)...)},
      std::move(refs));
}
template <class F, class... A>
auto run(F f, A... args) {
  return run_named("gpu::run", std::move(f), std::move(args)...);
}

}  // namespace troupe::gpu
