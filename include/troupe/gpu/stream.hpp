/// A stream of a device: what is enqueued there runs in order.
#pragma once

#include <memory>

#include <troupe/detail/export.hpp>

struct CUstream_st;

namespace troupe::gpu {

template <class T>
class array;

namespace detail {

class lane;
class memory;
using memory_ptr = std::shared_ptr<memory>;
struct captured;

/// Lets what is enqueued next on the lane wait for what was enqueued elsewhere and uses the memory;
/// gives its address. With `into`, only notes the use there. Throws `device_error`.
TROUPE_API void* use(lane& on, const memory_ptr& what, bool write, captured* into);
TROUPE_API CUstream_st* native_stream(const lane& of) noexcept;
TROUPE_API int device_of(const lane& of) noexcept;

}  // namespace detail

/// What `gpu::run` and `gpu::graph` give to the function that enqueues. Valid during its call.
/// What the function enqueues there on arrays goes through `read` and `write`: they order it after
/// what other streams do with them, without a wait on the host.
class stream {
 public:
  /// The `cudaStream_t`, for kernels and libraries: `cublasSetStream(handle, on.native())`.
  CUstream_st* native() const noexcept { return detail::native_stream(*lane_); }
  operator CUstream_st*() const noexcept { return native(); }
  int device() const noexcept { return detail::device_of(*lane_); }

  /// The array's elements, for what is enqueued next and only reads them.
  template <class T>
  const T* read(const array<T>& from) const {
    return static_cast<const T*>(use(from.memory(), false));
  }
  /// The array's elements, for what is enqueued next and may write them.
  template <class T>
  T* write(const array<T>& to) const {
    return static_cast<T*>(use(to.memory(), true));
  }

  /// For troupe's own parts.
  void* use(const detail::memory_ptr& what, bool write) const {
    return detail::use(*lane_, what, write, into_);
  }
  explicit stream(detail::lane& of, detail::captured* into = nullptr) noexcept
      : lane_(&of), into_(into) {}

 private:
  detail::lane* lane_;
  detail::captured* into_;
};

}  // namespace troupe::gpu
