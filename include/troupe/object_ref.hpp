/// Refs to objects: the results of tasks and calls, values that were put; `get`, `wait`, `view`.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <troupe/array_view.hpp>
#include <troupe/detail/archivable.hpp>
#include <troupe/detail/copyable.hpp>
#include <troupe/detail/object_state.hpp>
#include <troupe/detail/remote_value.hpp>
#include <troupe/detail/sharing.hpp>
#include <troupe/detail/waiting.hpp>
#include <troupe/error.hpp>

namespace troupe {

namespace detail {

template <class T>
class ref_awaiter;

}  // namespace detail

/// A ref to an object of type `T` that exists or will. A value: copy it, keep it in containers,
/// pass it to tasks and actors; the object lives as long as any ref to it. One ref object is used
/// by one thread at a time, copies are independent.
template <class T>
class object_ref {
 public:
  using value_type = T;

  /// An empty ref. Using it is a `std::invalid_argument`.
  object_ref() noexcept = default;

  /// Whether the object is there, as a value or as a failure. Does not block.
  bool ready() const { return state().ready(); }
  /// Whether the object has failed. Does not block.
  bool failed() const {
    if (!state().has_failed()) return false;
    state().note_asked();
    return true;
  }
  /// Where the failure began, when the object has failed and a task or method threw it.
  std::shared_ptr<const failure_info> failure() const {
    return failed() ? state().why()->info : nullptr;
  }
  /// Runs `f(value)` (`f()` for void) as a task without CPUs when the object is ready, and gives a
  /// ref to its result. A failure passes on without running `f`. See <troupe/task.hpp>.
  template <class F>
  auto then(F f) const;

  explicit operator bool() const noexcept { return static_cast<bool>(pointer_); }
  friend bool operator==(const object_ref&, const object_ref&) noexcept = default;

  /// The object itself; for troupe's own parts.
  const detail::object_ptr& pointer() const& { return checked(); }
  detail::object_ptr pointer() && {
    checked();
    return std::move(pointer_);
  }
  detail::object_state& state() const { return *checked(); }
  explicit object_ref(detail::object_ptr pointer) noexcept : pointer_(std::move(pointer)) {}
  /// How a ref crosses a process: whoever reads it borrows the object from its owner.
  template <class Archive>
  void save(Archive& archive) const {
    detail::save_ref(archive, pointer_, detail::object_ops_of<T>());
  }
  template <class Archive>
  void load(Archive& archive) {
    pointer_ = detail::load_ref(archive, detail::object_ops_of<T>());
  }

  /// Inside a coroutine task or method: suspends it until the object is ready, without a thread.
  detail::ref_awaiter<T> operator co_await() const&;
  detail::ref_awaiter<T> operator co_await() &&;

 private:
  const detail::object_ptr& checked() const {
    if (!pointer_) detail::throw_empty_ref("object_ref");
    return pointer_;
  }
  detail::object_ptr pointer_;
};

/// A ref whose type is known at run time only. Made from any `object_ref<T>`.
class any_ref {
 public:
  any_ref() noexcept = default;
  template <class T>
  any_ref(const object_ref<T>& ref)  // NOLINT: every ref is one
      : type_(&typeid(T)), pointer_(ref.pointer()) {}

  bool ready() const { return state().ready(); }
  bool failed() const { return state().has_failed(); }
  const std::type_info& type() const noexcept { return *type_; }
  template <class T>
  bool is() const noexcept {
    return *type_ == typeid(T);
  }
  /// The typed ref. Throws `std::invalid_argument` when the object is of another type.
  template <class T>
  object_ref<T> as() const {
    if (!is<T>()) throw std::invalid_argument("any_ref::as: the object is of another type");
    return object_ref<T>(pointer_);
  }
  explicit operator bool() const noexcept { return static_cast<bool>(pointer_); }
  friend bool operator==(const any_ref& a, const any_ref& b) noexcept {
    return a.pointer_ == b.pointer_;
  }
  template <class T>
  friend bool operator==(const any_ref& a, const object_ref<T>& b) noexcept {
    return a == any_ref(b);
  }

  const detail::object_ptr& pointer() const& {
    if (!pointer_) detail::throw_empty_ref("any_ref");
    return pointer_;
  }
  detail::object_state& state() const { return *pointer(); }

 private:
  const std::type_info* type_ = &typeid(void);
  detail::object_ptr pointer_;
};

template <class T>
inline constexpr bool detail::archivable_v<object_ref<T>> = true;
template <>
inline constexpr bool detail::stays_in_process_v<any_ref> = true;

// -- put ------------------------------------------------------------------------------------------

/// Makes an object from a value. The value lives until the last ref to it goes.
/// In a cluster a large one goes to the node's store, in one copy, where all processes of the node
/// read it in place; without refs or handles in it.
///
/// @throws out_of_memory_error when the store has no room for it within a while.
template <class T>
requires(!std::is_lvalue_reference_v<T> || detail::copyable_v<std::decay_t<T>>)
    object_ref<std::decay_t<T>> put(
        T&& value, const std::source_location& place = std::source_location::current()) {
  using stored = std::decay_t<T>;
  static_assert(detail::archivable_v<stored>,
                "troupe: cereal cannot archive this type, so it cannot cross a process: give it a "
                "serialize() or wrap it in troupe::in_process<T>");
  if (detail::least_stored() != std::numeric_limits<std::size_t>::max()) {
    if (auto object = detail::put_into_store<stored>(value, place)) {
      return object_ref<stored>(std::move(object));
    }
  }
  return object_ref<stored>(detail::value_object<stored>::make(std::forward<T>(value)));
}

// -- get ------------------------------------------------------------------------------------------

namespace detail {

template <class T>
T read(const object_state& object, [[maybe_unused]] const deadline& until = {}) {
  if (object.has_failed()) throw_failure(object);
  if constexpr (!std::is_void_v<T>) {
    static_assert(copyable_v<T>,
                  "troupe: the type is move-only: use get(std::move(ref)) or view(ref)");
    if constexpr (storable_v<T>) {
      if (!object.value_is_here()) return copy_from_store<T>(object, until);
    }
    return *static_cast<const T*>(object.value());
  }
}

template <class T>
T take(object_state& object, [[maybe_unused]] const deadline& until = {}) {
  if (object.has_failed()) throw_failure(object);
  if constexpr (!std::is_void_v<T>) {
    if constexpr (storable_v<T>) {
      if (!object.value_is_here()) return copy_from_store<T>(object, until);
    }
    T& value = *static_cast<T*>(object.value());
    if (object.sole_ref()) return T(std::move(value));
    if constexpr (copyable_v<T>) {
      return value;
    } else {
      throw std::invalid_argument(
          "get: the type is move-only and other refs to the object exist; use view(ref)");
    }
  }
}

template <class T>
void wait_for_ref(const object_ref<T>& ref, const deadline& until) {
  if (!ref.ready()) wait_until_ready(ref.state(), until);
}

template <class T>
void wait_for_all(const std::vector<object_ref<T>>& refs, const deadline& until) {
  std::vector<object_state*> objects;
  objects.reserve(refs.size());
  for (const object_ref<T>& ref : refs) {
    object_state& object = ref.state();
    if (object.has_failed()) throw_failure(object);
    if (!object.ready()) objects.push_back(&object);
  }
  if (objects.empty()) return;
  if (object_state* failed = wait_until_all_ready(objects, until)) {
    throw_failure(*failed);
  }
}

}  // namespace detail

/// Waits for the object and gives its value, or throws what its task threw. A temporary or moved
/// ref that is the last one gives the value by move, others a copy.
///
/// @param timeout how long to wait; then `get_timeout_error`, and the task goes on. None: for ever.
/// @throws what the task threw; `task_cancelled_error` inside a task that is cancelled meanwhile.
template <class T>
T get(const object_ref<T>& ref, std::optional<std::chrono::nanoseconds> timeout = {}) {
  const detail::deadline until = detail::deadline_after(timeout);
  detail::wait_for_ref(ref, until);
  return detail::read<T>(ref.state(), until);
}
template <class T>
T get(object_ref<T>&& ref, std::optional<std::chrono::nanoseconds> timeout = {}) {
  const object_ref<T> own = std::move(ref);
  const detail::deadline until = detail::deadline_after(timeout);
  detail::wait_for_ref(own, until);
  return detail::take<T>(own.state(), until);
}

/// The values of many, in their order. Throws as soon as one has failed.
template <class T>
auto get(const std::vector<object_ref<T>>& refs,
         std::optional<std::chrono::nanoseconds> timeout = {}) {
  const detail::deadline until = detail::deadline_after(timeout);
  detail::wait_for_all(refs, until);
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> values;
    values.reserve(refs.size());
    for (const object_ref<T>& ref : refs) values.push_back(detail::read<T>(ref.state(), until));
    return values;
  } else {
    for (const object_ref<T>& ref : refs) detail::read<T>(ref.state());
  }
}
template <class T>
auto get(std::vector<object_ref<T>>&& refs, std::optional<std::chrono::nanoseconds> timeout = {}) {
  const detail::deadline until = detail::deadline_after(timeout);
  detail::wait_for_all(refs, until);
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> values;
    values.reserve(refs.size());
    for (object_ref<T>& ref : refs) {
      const object_ref<T> own = std::move(ref);
      values.push_back(detail::take<T>(own.state(), until));
    }
    return values;
  } else {
    for (const object_ref<T>& ref : refs) detail::read<T>(ref.state());
  }
}

/// The values of a tuple of refs, as a tuple. Refs to void have no value to give: wait for them.
template <class... T>
std::tuple<T...> get(const std::tuple<object_ref<T>...>& refs,
                     std::optional<std::chrono::nanoseconds> timeout = {}) {
  const detail::deadline until = detail::deadline_after(timeout);
  return std::apply(
      [&](const auto&... ref) {
        detail::object_state* objects[] = {&ref.state()...};
        if (auto* failed = detail::wait_until_all_ready(objects, until)) {
          detail::throw_failure(*failed);
        }
        return std::tuple<T...>(detail::read<T>(ref.state(), until)...);
      },
      refs);
}

/// `auto [a, b] = get(ref_a, ref_b)`: the values of several refs of any types.
template <class A, class B, class... Rest>
std::tuple<A, B, Rest...> get(const object_ref<A>& a, const object_ref<B>& b,
                              const object_ref<Rest>&... rest) {
  return get(std::tuple<object_ref<A>, object_ref<B>, object_ref<Rest>...>(a, b, rest...));
}

// -- view -----------------------------------------------------------------------------------------

/// Keeps an object and reads it in place. Thread-compatible.
template <class T>
class object_view {
 public:
  /// Requires that the object has a value.
  explicit object_view(object_ref<T> ref, const detail::deadline& until = {})
      : ref_(std::move(ref)), value_(static_cast<const T*>(ref_.state().value(until))) {}
  const T& operator*() const noexcept { return *value_; }
  const T* operator->() const noexcept { return value_; }

 private:
  object_ref<T> ref_;
  const T* value_;
};

/// The elements of an array of numbers, where they lie: also in the node's store.
template <class E>
requires detail::raw_element_v<E>
class object_view<std::vector<E>> {
 public:
  explicit object_view(object_ref<std::vector<E>> ref, const detail::deadline& until = {})
      : ref_(std::move(ref)), elements_(detail::read_in_place<E>(ref_.state(), pin_, until)) {}
  const array_view<E>& operator*() const noexcept { return elements_; }
  const array_view<E>* operator->() const noexcept { return &elements_; }

 private:
  object_ref<std::vector<E>> ref_;
  detail::mapping pin_;
  array_view<E> elements_;
};

/// Waits for the object and reads it without a copy. Throws as `get`.
template <class T>
object_view<T> view(const object_ref<T>& ref,
                    std::optional<std::chrono::nanoseconds> timeout = {}) {
  static_assert(!std::is_void_v<T>, "troupe: there is nothing to view in an object_ref<void>");
  const detail::deadline until = detail::deadline_after(timeout);
  detail::wait_for_ref(ref, until);
  if (ref.failed()) detail::throw_failure(ref.state());
  return object_view<T>(ref, until);
}

// -- wait -----------------------------------------------------------------------------------------

struct wait_options {
  /// How many shall be ready before `wait` returns; at most so many are returned as ready.
  std::size_t num_returns = 1;
  /// Return with fewer after this time. None: for ever.
  std::optional<std::chrono::nanoseconds> timeout{};
};

/// Refs of which some are still awaited, in input order. What `wait` leaves: pass it to the next
/// `wait` by `std::move` and draining n refs one by one costs O(n log n) in all, not O(n²).
/// A range of refs; converts to a vector. Thread-compatible, move-only.
template <class Ref>
class ref_set {
 public:
  ref_set() = default;
  /// Throws `std::invalid_argument` when a ref is empty or stands twice.
  explicit ref_set(std::vector<Ref> refs) : refs_(std::move(refs)), set_(pointers(refs_)) {}

  class iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Ref;
    using difference_type = std::ptrdiff_t;
    using pointer = const Ref*;
    using reference = const Ref&;

    iterator() = default;
    iterator(const ref_set* set, std::size_t at) : set_(set), at_(at) { skip(); }
    reference operator*() const { return set_->refs_[at_]; }
    pointer operator->() const { return &set_->refs_[at_]; }
    iterator& operator++() {
      ++at_;
      skip();
      return *this;
    }
    iterator operator++(int) {
      iterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const iterator& a, const iterator& b) { return a.at_ == b.at_; }

   private:
    void skip() {
      while (at_ < set_->refs_.size() && !set_->set_.slots()[at_]) ++at_;
    }
    const ref_set* set_ = nullptr;
    std::size_t at_ = 0;
  };

  iterator begin() const { return iterator(this, 0); }
  iterator end() const { return iterator(this, refs_.size()); }
  std::size_t size() const noexcept { return set_.size(); }
  bool empty() const noexcept { return size() == 0; }
  /// The refs that are left, in input order.
  std::vector<Ref> to_vector() const { return std::vector<Ref>(begin(), end()); }
  operator std::vector<Ref>() const { return to_vector(); }  // NOLINT: `refs = rest` reads well

  /// Waits as `troupe::wait` and removes what it returns.
  std::vector<Ref> take(const wait_options& options = {}) {
    if (empty()) return {};
    check(options, size());
    const auto taken = set_.take(options.num_returns, detail::deadline_after(options.timeout));
    std::vector<Ref> ready;
    ready.reserve(taken.size());
    for (const std::size_t at : taken) ready.push_back(std::move(refs_[at]));
    return ready;
  }

  static void check(const wait_options& options, std::size_t size) {
    if (options.num_returns == 0 || options.num_returns > size) {
      throw std::invalid_argument("wait: num_returns is " + std::to_string(options.num_returns) +
                                  " for " + std::to_string(size) +
                                  " refs; it must be at least 1 and at most their number");
    }
  }

 private:
  static std::vector<detail::object_ptr> pointers(const std::vector<Ref>& refs) {
    std::vector<detail::object_ptr> result;
    result.reserve(refs.size());
    for (const Ref& ref : refs) result.push_back(ref.pointer());
    return result;
  }

  std::vector<Ref> refs_;
  detail::wait_set set_;
};

template <class Ref>
struct wait_result {
  std::vector<Ref> ready;  ///< failed objects count as ready
  ref_set<Ref> rest;
};

/// Waits until `num_returns` of the refs are ready, as values or failures, and splits them: both
/// parts are in input order. With a timeout it may return fewer; it never throws for that.
///
/// @throws std::invalid_argument for an empty ref, a ref that stands twice, or a `num_returns` that
///   is 0 or above the number of refs. `task_cancelled_error` inside a task that is cancelled.
template <class Ref>
wait_result<Ref> wait(ref_set<Ref> refs, const wait_options& options = {}) {
  std::vector<Ref> ready = refs.take(options);
  return {std::move(ready), std::move(refs)};
}
template <class T>
wait_result<object_ref<T>> wait(std::vector<object_ref<T>> refs, const wait_options& options = {}) {
  return wait(ref_set<object_ref<T>>(std::move(refs)), options);
}
/// Refs of several types: `wait({a, b, c}, {.num_returns = 2})`.
inline wait_result<any_ref> wait(std::vector<any_ref> refs, const wait_options& options = {}) {
  return wait(ref_set<any_ref>(std::move(refs)), options);
}
inline wait_result<any_ref> wait(std::initializer_list<any_ref> refs,
                                 const wait_options& options = {}) {
  return wait(std::vector<any_ref>(refs), options);
}

/// The refs in the order in which they become ready: `for (auto& ref : as_completed(refs))`.
template <class T>
class completion_range {
 public:
  explicit completion_range(std::vector<object_ref<T>> refs) : set_(std::move(refs)) {}

  struct sentinel {};
  class iterator {
   public:
    explicit iterator(completion_range* range) : range_(range) { ++*this; }
    const object_ref<T>& operator*() const { return current_; }
    iterator& operator++() {
      auto next = range_->set_.take();
      done_ = next.empty();
      if (!done_) current_ = std::move(next.front());
      return *this;
    }
    friend bool operator==(const iterator& at, sentinel) { return at.done_; }

   private:
    completion_range* range_;
    object_ref<T> current_;
    bool done_ = false;
  };
  iterator begin() { return iterator(this); }
  sentinel end() { return {}; }

 private:
  ref_set<object_ref<T>> set_;
};

template <class T>
completion_range<T> as_completed(std::vector<object_ref<T>> refs) {
  return completion_range<T>(std::move(refs));
}

// -- cancel ---------------------------------------------------------------------------------------

struct cancel_options {
  /// Give the task's resources back at once, also when its code goes on for a while. Not for calls
  /// of actors.
  bool force = false;
  /// Cancel what the task has started, too.
  bool recursive = true;
};

/// Cancels the task or call behind the ref. `get` throws `task_cancelled_error` from now on. What
/// has not begun never runs; what runs gets a stop request (`this_task::stop_requested`, a
/// `std::stop_token` parameter) and every wait of troupe inside it throws `task_cancelled_error`.
/// False when the object was ready, or is no result of a task.
template <class T>
bool cancel(const object_ref<T>& ref, const cancel_options& options = {}) {
  return ref.state().cancel(options.force, options.recursive);
}
inline bool cancel(const any_ref& ref, const cancel_options& options = {}) {
  return ref.state().cancel(options.force, options.recursive);
}

}  // namespace troupe

template <class T>
struct std::hash<troupe::object_ref<T>> {
  std::size_t operator()(const troupe::object_ref<T>& ref) const noexcept {
    return std::hash<const void*>{}(ref ? ref.pointer().get() : nullptr);
  }
};
