/// Kernels as tasks; includes CUDA's runtime API.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/detail/callable.hpp>
#include <troupe/gpu/array.hpp>
#include <troupe/gpu/work.hpp>
#include <troupe/object_ref.hpp>

namespace troupe::gpu {

/// An array that a kernel fills and that becomes the value of its ref: an argument of `launch`.
template <class T>
struct output {
  array<T> to;
};
/// A new one of so many elements on the current device, or an existing one.
template <class T>
output<T> out(std::size_t size) {
  return {array<T>(size)};
}
template <class T>
output<T> out(array<T> existing) {
  return {std::move(existing)};
}

/// Where a kernel runs: blocks, threads of each, and bytes of dynamic shared memory.
struct shape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;
};
/// Blocks of `threads` for `count` threads in all.
inline shape threads(std::size_t count, unsigned per_block = 256) {
  const std::size_t blocks = count == 0 ? 1 : (count + per_block - 1) / per_block;
  return {dim3(static_cast<unsigned>(blocks)), dim3(per_block)};
}

namespace detail {

/// Throws `device_error` for what a launch returned.
TROUPE_API void check_launch(std::string_view kernel, int code, const char* name, const char* text,
                             int device);

/// How an argument stands in for a kernel's parameter `P`: kept until it is enqueued, then turned
/// into what the kernel gets.
template <class P, class A>
struct kernel_argument {
  static_assert(std::is_convertible_v<A, P>,
                "troupe: an argument of gpu::launch does not convert to the kernel's parameter; "
                "for a pointer pass a gpu::array, a ref to one, or gpu::out");
  using kept = std::remove_cv_t<P>;
  static kept get(kept& from, const stream&) { return from; }
};
template <class E, class T>
inline constexpr bool fits_pointer =
    std::is_same_v<std::remove_cv_t<E>, T> || std::is_void_v<std::remove_cv_t<E>>;
template <class E, class T>
struct kernel_argument<E*, array<T>> {
  static_assert(fits_pointer<E, T>,
                "troupe: the array's elements are of another type than the kernel's parameter");
  using kept = array<T>;
  static E* get(const array<T>& from, const stream& on) {
    if constexpr (std::is_const_v<E>) {
      return on.read(from);
    } else {
      return on.write(from);
    }
  }
};
template <class E, class T>
struct kernel_argument<E*, output<T>> {
  using kept = output<T>;
  static E* get(const output<T>& from, const stream& on) {
    return kernel_argument<E*, array<T>>::get(from.to, on);
  }
};
template <class E, class T>
struct kernel_argument<E*, object_ref<array<T>>> {
  using kept = object_ref<array<T>>;
  static E* get(kept& from, const stream& on) {
    return kernel_argument<E*, array<T>>::get(kept_argument<kept>::value(from), on);
  }
};
template <class P, class U>
struct kernel_argument<P, object_ref<U>> {
  static_assert(std::is_convertible_v<const U&, P>,
                "troupe: the value of a ref does not convert to the kernel's parameter");
  using kept = object_ref<U>;
  static P get(kept& from, const stream&) {
    return static_cast<P>(kept_argument<kept>::value(from));
  }
};

template <class A>
inline constexpr bool is_output_v = false;
template <class T>
inline constexpr bool is_output_v<output<T>> = true;

/// What the ref of a launch gets: the array of its `out`, or nothing.
inline void result_among() {}
template <class T, class... Kept>
array<T> result_among(const output<T>& first, const Kept&...) {
  return first.to;
}
template <class First, class... Kept>
auto result_among(const First&, const Kept&... rest) {
  return result_among(rest...);
}

template <class F>
struct kernel_signature;
template <class... P>
struct kernel_signature<void (*)(P...)> {
  template <auto K, class... Kept, class... A>
  static void enqueue(const stream& on, const dim3& grid, const dim3& block, std::size_t shared,
                      std::type_identity<std::tuple<A...>>, Kept&... kept) {
    std::tuple<std::remove_cv_t<P>...> values{kernel_argument<P, A>::get(kept, on)...};
    std::apply(
        [&](auto&... value) {
          void* pointers[sizeof...(value) + 1] = {
              const_cast<void*>(static_cast<const volatile void*>(&value))..., nullptr};
          const cudaError_t code = cudaLaunchKernel(reinterpret_cast<const void*>(K), grid, block,
                                                    pointers, shared, on.native());
          if (code != cudaSuccess) {
            static_cast<void>(cudaGetLastError());  // it was told; the next call starts clean
            check_launch(troupe::detail::function_name<K>(), static_cast<int>(code),
                         cudaGetErrorName(code), cudaGetErrorString(code), on.device());
          }
        },
        values);
  }
  template <class... A>
  static auto keep(A&&... args) {
    static_assert(sizeof...(A) == sizeof...(P),
                  "troupe: the number of arguments is not the number of the kernel's parameters");
    return std::tuple<typename kernel_argument<P, std::decay_t<A>>::kept...>(
        std::forward<A>(args)...);
  }
};

/// A kernel with its arguments, as work.
template <auto Kernel, class Kept, class... A>
struct bound_launch {
  shape where;
  Kept kept;

  void prepare() {
    std::apply([]<class... One>(One&... each) { (kept_argument<One>::prepare(each), ...); }, kept);
  }
  auto operator()(const stream& on) {
    return std::apply(
        [&](auto&... each) {
          kernel_signature<decltype(Kernel)>::template enqueue<Kernel>(
              on, where.grid, where.block, where.shared_bytes,
              std::type_identity<std::tuple<A...>>{}, each...);
          return result_among(each...);
        },
        kept);
  }
};

}  // namespace detail

/// Enqueues a kernel on a stream: inside `run` and `graph`. Arguments as for `launch`, without refs
/// that are not ready. Throws `device_error`.
template <auto Kernel, class... A>
void enqueue(const stream& on, const shape& where, A&&... args) {
  using signature = detail::kernel_signature<decltype(Kernel)>;
  auto kept = signature::keep(std::forward<A>(args)...);
  std::apply(
      [&](auto&... each) {
        signature::template enqueue<Kernel>(on, where.grid, where.block, where.shared_bytes,
                                            std::type_identity<std::tuple<std::decay_t<A>...>>{},
                                            each...);
      },
      kept);
}

/// Launches a kernel as a task: `launch<saxpy>(gpu::threads(n), n, 2.0f, x, y)`. For a pointer pass
/// a `gpu::array`, a ref to one, or `gpu::out`, which also becomes the value of the ref that is
/// returned; other arguments convert to their parameters, or are refs. A `const T*` parameter is
/// read only: kernels that read one array can run beside each other.
///
/// Returns at once; no thread waits for the device. Refs of other device work are ordered on the
/// device. Errors of the launch and of the kernel fail the ref with a `device_error` that names the
/// kernel. In files that nvcc compiles, or, with the kernel declared, in others.
template <auto Kernel, class... A>
auto launch(const shape& where, A&&... args) {
  using signature = detail::kernel_signature<decltype(Kernel)>;
  static_assert((detail::is_output_v<std::decay_t<A>> + ... + 0) <= 1,
                "troupe: gpu::launch takes one gpu::out; use gpu::run for several");
  std::vector<detail::object_ptr> refs;
  (detail::kept_argument<std::decay_t<A>>::add_to(refs, args), ...);
  auto kept = signature::keep(std::forward<A>(args)...);
  return detail::start(
      troupe::detail::function_name<Kernel>(),
      detail::bound_launch<Kernel, decltype(kept), std::decay_t<A>...>{where, std::move(kept)},
      std::move(refs));
}
template <auto Kernel, class... A>
auto launch(const dim3& grid, const dim3& block, A&&... args) {
  return launch<Kernel>(shape{grid, block}, std::forward<A>(args)...);
}

}  // namespace troupe::gpu
