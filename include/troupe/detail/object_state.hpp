/// The state behind an object ref: reference counts, whether the value is there, and who waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <typeinfo>
#include <utility>

#include <troupe/detail/assert.hpp>
#include <troupe/detail/export.hpp>
#include <troupe/detail/stored_value.hpp>
#include <troupe/error.hpp>

namespace troupe::detail {

class object_state;

/// Something that shall happen when an object is ready. The owner of the node keeps it alive until
/// it has fired or `object_state::forget` returned true. `fire` runs on the completing thread and
/// must not block, run user code or throw.
struct continuation {
  using function = void (*)(continuation& self, object_state& object) noexcept;
  function fire = nullptr;
  object_state* object = nullptr;
  continuation* next = nullptr;
  continuation* previous = nullptr;
};

/// Why an object has no value. Immutable, shared by every object that the failure reaches.
struct failure {
  std::exception_ptr thrown;                 ///< what `get` throws
  std::shared_ptr<const failure_info> info;  ///< null for failures of troupe itself
};
using failure_ptr = std::shared_ptr<const failure>;

/// A failure of troupe itself with that exception.
TROUPE_API failure_ptr make_failure(std::exception_ptr thrown);

/// Base of every object: a value that was put, the result of a task, an item of a stream.
///
/// Thread-safe. Two counts in one word keep it alive: refs (handles of users, arguments) and pins
/// (the runtime while a task is queued or runs). The value is written once, by whoever claims it.
class TROUPE_API object_state {
 public:
  object_state(const object_state&) = delete;
  object_state& operator=(const object_state&) = delete;

  // -- reference counts ---------------------------------------------------------------------------

  void add_ref() noexcept { counts_.fetch_add(one_ref, std::memory_order_relaxed); }
  void release() noexcept { drop(one_ref); }
  /// A ref from nothing, for those who know the object's address only. False when it is going.
  bool try_add_ref() noexcept {
    std::uint64_t seen = counts_.load(std::memory_order_relaxed);
    while (seen != 0) {
      if (counts_.compare_exchange_weak(seen, seen + one_ref, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void pin() noexcept { counts_.fetch_add(one_pin, std::memory_order_relaxed); }
  void unpin() noexcept { drop(one_pin); }
  /// Whether the caller's ref is the only one. Then nobody else can come to read the value.
  bool sole_ref() const noexcept {
    return (counts_.load(std::memory_order_acquire) & ref_mask) == one_ref;
  }

  // -- reading ------------------------------------------------------------------------------------

  bool ready() const noexcept { return (state_.load(std::memory_order_acquire) & ready_mask) != 0; }
  bool has_value() const noexcept {
    return (state_.load(std::memory_order_acquire) & is_value) != 0;
  }
  bool has_failed() const noexcept {
    return (state_.load(std::memory_order_acquire) & is_failed) != 0;
  }
  /// The value; null for `void` results. Requires `has_value()`. One that lies in a store is read
  /// from there first, which may block and throw.
  void* value(const std::optional<std::chrono::steady_clock::time_point>& until = {}) const {
    void* const here = value_.load(std::memory_order_acquire);
    return here != nullptr || !is_in_store() ? here : const_cast<object_state*>(this)->load(until);
  }
  /// Whether there is a value in this process's own memory. Requires `has_value()`.
  bool value_is_here() const noexcept { return value_.load(std::memory_order_acquire) != nullptr; }
  /// Where the value lies in a store; null when it does not.
  stored_ptr stored() const noexcept;
  /// The failure. Requires `has_failed()`.
  const failure_ptr& why() const noexcept { return failure_; }
  /// Somebody has asked, so that the failure need not be told when the object goes.
  void note_asked() const noexcept { asked_.store(true, std::memory_order_relaxed); }
  bool was_asked() const noexcept { return asked_.load(std::memory_order_relaxed); }

  // -- completing ---------------------------------------------------------------------------------

  /// True for the one caller who may complete the object; all others come too late.
  bool claim() noexcept {
    return (state_.fetch_or(is_claimed, std::memory_order_acq_rel) & is_claimed) == 0;
  }
  bool claimed() const noexcept {
    return (state_.load(std::memory_order_acquire) & is_claimed) != 0;
  }
  /// Publishes a value. Requires a successful `claim`; the caller holds a ref or a pin.
  void complete(void* value) noexcept;
  /// Publishes a value that lies in a store. As above.
  void complete_stored(stored_ptr where) noexcept;
  /// A value that is here lies in a store as well from now on.
  void keep_stored(stored_ptr where) noexcept;
  /// Publishes a failure. Requires a successful `claim`; the caller holds a ref or a pin.
  void fail(failure_ptr why) noexcept;

  // -- waiting ------------------------------------------------------------------------------------

  /// Fires `node` when the object is ready. False, and nothing happens, when it already is.
  bool when_ready(continuation& node) noexcept;
  /// Takes `node` back. False when it has fired or is about to.
  bool forget(continuation& node) noexcept;

  // -- what the object is -------------------------------------------------------------------------

  /// Tells the producer to hurry: called by a thread that is about to wait. A task that has not
  /// begun may be run in place.
  virtual void assist() noexcept {}
  /// Asks the producer to stop; see `troupe::cancel`. False when there is nothing to cancel.
  virtual bool cancel(bool force, bool recursive);
  /// What the object is, for messages: `task 'parse'`, `call 'counter::increment'`, `object`.
  virtual std::string_view describe() const noexcept { return "object"; }

 protected:
  /// Starts with one ref and `pins` pins.
  explicit object_state(std::uint32_t pins) noexcept : counts_(one_ref + pins * one_pin) {}
  virtual ~object_state();
  /// Makes the value from what `stored()` has; gives its address. Called under a lock, once.
  virtual void* read_stored(const mapped_value& from);

 private:
  static constexpr std::uint64_t one_ref = 1;
  static constexpr std::uint64_t ref_mask = 0xffff'ffff;
  static constexpr std::uint64_t one_pin = std::uint64_t{1} << 32;

  static constexpr std::uint32_t is_value = 1;
  static constexpr std::uint32_t is_failed = 2;
  static constexpr std::uint32_t ready_mask = is_value | is_failed;
  static constexpr std::uint32_t is_claimed = 4;
  static constexpr std::uint32_t is_locked = 8;
  static constexpr std::uint32_t has_waiters = 16;
  static constexpr std::uint32_t in_store = 32;

  void drop(std::uint64_t count) noexcept {
    if (counts_.fetch_sub(count, std::memory_order_acq_rel) == count) destroy();
  }
  bool is_in_store() const noexcept {
    return (state_.load(std::memory_order_acquire) & in_store) != 0;
  }
  void* load(const std::optional<std::chrono::steady_clock::time_point>& until);
  void destroy() noexcept;
  void publish(std::uint32_t outcome) noexcept;
  void lock() noexcept;
  void lock() const noexcept { const_cast<object_state*>(this)->lock(); }
  void unlock() const noexcept { const_cast<object_state*>(this)->unlock(); }
  void unlock() noexcept { state_.fetch_and(~is_locked, std::memory_order_release); }

  std::atomic<std::uint64_t> counts_;
  std::atomic<std::uint32_t> state_{0};
  mutable std::atomic<bool> asked_{false};
  std::atomic<void*> value_{nullptr};
  continuation* waiters_ = nullptr;
  failure_ptr failure_;
  stored_ptr stored_;  ///< guarded by the lock once the object is ready
};

/// Intrusive owner of one ref. Thread-compatible, as a `shared_ptr`.
class object_ptr {
 public:
  constexpr object_ptr() noexcept = default;
  /// Takes over a ref that the caller holds.
  static object_ptr adopt(object_state* state) noexcept { return object_ptr(state); }
  static object_ptr share(object_state* state) noexcept {
    if (state != nullptr) state->add_ref();
    return object_ptr(state);
  }
  object_ptr(const object_ptr& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_ref();
  }
  object_ptr(object_ptr&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  object_ptr& operator=(object_ptr other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~object_ptr() {
    if (state_ != nullptr) state_->release();
  }

  object_state* get() const noexcept { return state_; }
  object_state* operator->() const noexcept { return state_; }
  object_state& operator*() const noexcept { return *state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }
  object_state* detach() noexcept { return std::exchange(state_, nullptr); }
  friend bool operator==(const object_ptr&, const object_ptr&) noexcept = default;

 private:
  explicit object_ptr(object_state* state) noexcept : state_(state) {}
  object_state* state_ = nullptr;
};

/// The elements of an object's `std::vector<E>` where they lie; `pin` keeps them there. Requires a
/// value.
template <class E>
std::span<const E> read_in_place(
    const object_state& object, mapping& pin,
    const std::optional<std::chrono::steady_clock::time_point>& until = {}) {
  if (!object.value_is_here()) {
    if (const stored_ptr where = object.stored()) {
      pin = where->map(until);
      const raw_array raw = view_raw_array(*pin, sizeof(E), alignof(E));
      return {static_cast<const E*>(raw.data), raw.count};
    }
  }
  return *static_cast<const std::vector<E>*>(object.value());
}

/// Room for a value that is made later, or never.
template <class T>
class result_slot {
 public:
  result_slot() noexcept {}
  ~result_slot() {}
  template <class... Args>
  T* emplace(Args&&... args) {
    return ::new (static_cast<void*>(&value_)) T(std::forward<Args>(args)...);
  }
  /// Constructs from what `make()` returns, without a move.
  template <class Make>
  T* emplace_from(Make&& make) {
    return ::new (static_cast<void*>(&value_)) T(std::forward<Make>(make)());
  }
  void destroy() noexcept { value_.~T(); }
  T* get() noexcept { return &value_; }
  const T* get() const noexcept { return &value_; }

 private:
  union {
    T value_;
  };
};

template <>
class result_slot<void> {
 public:
  void destroy() noexcept {}
  void* get() noexcept { return nullptr; }
};

/// An object that holds its value from the start or is completed by hand.
template <class T>
class value_object final : public object_state {
 public:
  value_object() noexcept : object_state(0) {}

  template <class... Args>
  static object_ptr make(Args&&... args) {
    auto object = object_ptr::adopt(new value_object);
    static_cast<value_object*>(object.get())->set(std::forward<Args>(args)...);
    return object;
  }

  /// Completes the object unless somebody already has.
  template <class... Args>
  void set(Args&&... args) {
    if (!claim()) return;
    if constexpr (std::is_void_v<T>) {
      complete(nullptr);
    } else {
      try {
        complete(slot_.emplace(std::forward<Args>(args)...));
      } catch (...) {
        fail(make_failure(std::current_exception()));
      }
    }
  }
  void set_failure(failure_ptr why) {
    if (claim()) fail(std::move(why));
  }

 private:
  ~value_object() override {
    if (has_value()) slot_.destroy();
  }
  result_slot<T> slot_;
};

/// An object that has failed already.
template <class T>
object_ptr failed_object(failure_ptr why) {
  auto object = object_ptr::adopt(new value_object<T>);
  static_cast<value_object<T>*>(object.get())->set_failure(std::move(why));
  return object;
}

}  // namespace troupe::detail
