/// Something that most objects never need: made by whoever needs it first.
#pragma once

#include <atomic>

namespace troupe::core {

/// Owns a value that does not exist until `make`. Thread-safe, but for the value itself.
template <class T>
class lazy {
 public:
  lazy() = default;
  lazy(const lazy&) = delete;
  lazy& operator=(const lazy&) = delete;
  ~lazy() { delete value_.load(std::memory_order_acquire); }

  /// The value; made now if nobody has made it.
  T& make() {
    T* known = value_.load(std::memory_order_acquire);
    if (known != nullptr) return *known;
    T* const fresh = new T;
    if (value_.compare_exchange_strong(known, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
    return *known;
  }
  explicit operator bool() const noexcept {
    return value_.load(std::memory_order_acquire) != nullptr;
  }
  T* operator->() const noexcept { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<T*> value_{nullptr};
};

}  // namespace troupe::core
