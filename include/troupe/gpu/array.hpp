/// Arrays in the memory of a device.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <troupe/detail/archivable.hpp>
#include <troupe/gpu/memory.hpp>

namespace troupe::gpu {

/// A handle of elements in device memory. Copies of the handle share the elements, as those of a
/// `std::shared_ptr` do; the memory goes back to the pool with the last of them, after the device
/// has done with it. Passed to tasks and actors of this process, and in an `object_ref`, nothing is
/// copied. To another process of the node the elements go by reference where the device allows it,
/// elsewhere with their content. Distinct handles may be used by distinct threads.
template <class T>
class array {
  static_assert(std::is_trivially_copyable_v<T> && std::is_same_v<T, std::remove_cvref_t<T>>,
                "troupe: gpu::array<T> holds plain values that can be copied byte by byte");

 public:
  using value_type = T;

  /// No elements, and no device.
  array() noexcept = default;
  /// On the current device (see `current_device`), without initial values. Throws
  /// `no_device_error`, `device_memory_error`.
  explicit array(std::size_t size) : memory_(detail::allocate(checked_bytes(size))), size_(size) {}

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t bytes() const noexcept { return size_ * sizeof(T); }
  /// The device that it lies on; -1 without elements.
  int device() const { return memory_ ? detail::device_of(*memory_) : -1; }

  /// The address on the device, for code that sees to the order itself. Work that troupe enqueues
  /// gets it from `stream::read` and `write`, or as an argument of a kernel.
  T* data() const { return memory_ ? static_cast<T*>(detail::address_of(*memory_)) : nullptr; }

  /// Elements of its own, on the same device. Does not wait.
  array clone() const { return array(detail::clone(memory_), size_); }
  /// On the current device: itself when it lies there, else a copy. Does not wait.
  array here() const { return array(detail::bring_here(memory_), size_); }

  /// Whether both are handles of the same elements.
  friend bool operator==(const array& a, const array& b) noexcept {
    return a.memory_ == b.memory_ && a.size_ == b.size_;
  }

  template <class Archive>
  void save(Archive& archive) const {
    detail::save(archive, memory_, size_, sizeof(T));
  }
  template <class Archive>
  void load(Archive& archive) {
    detail::loaded from = detail::load(archive, sizeof(T), troupe::detail::type_name<array<T>>());
    memory_ = std::move(from.what);
    size_ = from.count;
  }

  /// For troupe's own parts.
  const detail::memory_ptr& memory() const noexcept { return memory_; }
  array(detail::memory_ptr memory, std::size_t size) noexcept
      : memory_(std::move(memory)), size_(size) {}

 private:
  static std::size_t checked_bytes(std::size_t size) {
    if (size > static_cast<std::size_t>(-1) / sizeof(T)) {
      throw std::length_error("gpu::array: so many elements have no size in bytes");
    }
    return size * sizeof(T);
  }

  detail::memory_ptr memory_;
  std::size_t size_ = 0;
};

template <class T>
inline constexpr bool is_array_v = false;
template <class T>
inline constexpr bool is_array_v<array<T>> = true;

}  // namespace troupe::gpu

template <class T>
inline constexpr bool troupe::detail::archivable_v<troupe::gpu::array<T>> = true;
