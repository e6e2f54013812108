/// Vectors in memory of the host that a device reads and writes at full speed.
#pragma once

#include <cstddef>
#include <vector>

#include <troupe/gpu/memory.hpp>

namespace troupe::gpu {

/// Allocates pinned memory. That is slow: keep such vectors and use them again.
template <class T>
class pinned_allocator {
 public:
  using value_type = T;
  pinned_allocator() noexcept = default;
  template <class U>
  pinned_allocator(const pinned_allocator<U>&) noexcept {}  // NOLINT: as every allocator
  T* allocate(std::size_t count) {
    return static_cast<T*>(detail::allocate_pinned(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t) noexcept { detail::free_pinned(memory); }
  bool operator==(const pinned_allocator&) const noexcept = default;
};

/// What `to_device` and `copy_to_host` move without an intermediate copy.
template <class T>
using host_vector = std::vector<T, pinned_allocator<T>>;

}  // namespace troupe::gpu
