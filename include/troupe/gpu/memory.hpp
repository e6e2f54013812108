/// The untyped half of device arrays: memory of a device, shared by who holds it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <troupe/detail/archive_error.hpp>
#include <troupe/detail/export.hpp>
#include <troupe/gpu/stream.hpp>

namespace troupe::detail {
class input_archive;
class output_archive;
}  // namespace troupe::detail

namespace troupe::gpu::detail {

/// From the pool of the current device, without initial value; null for no bytes. Throws
/// `no_device_error`, `device_memory_error`, `device_error`.
TROUPE_API memory_ptr allocate(std::size_t bytes);
TROUPE_API std::size_t size_of(const memory& of) noexcept;
TROUPE_API int device_of(memory& of);
/// Its address, without any order between streams.
TROUPE_API void* address_of(memory& of);
/// A copy on the same device, enqueued.
TROUPE_API memory_ptr clone(const memory_ptr& of);
/// One on the current device; the same when it lies there already.
TROUPE_API memory_ptr bring_here(const memory_ptr& of);

/// Opens memory of another process, which may wait for that; does nothing for others.
TROUPE_API void settle(const memory_ptr& of);

/// Copies from the host. `from` may change after the call.
TROUPE_API void upload(const memory_ptr& to, const void* from, std::size_t bytes);
/// Copies to the host, after what uses the memory now. Blocks; a task gives its CPU back meanwhile.
TROUPE_API void download(const memory_ptr& from, void* to, std::size_t bytes);
/// Enqueues a copy to pinned memory of the host, which must stay until the stream has come so far.
TROUPE_API void enqueue_download(const stream& on, const memory_ptr& from, void* to,
                                 std::size_t bytes);

/// How an array crosses a process: to one of this node by reference where the device allows it,
/// else with its content.
TROUPE_API void save(troupe::detail::output_archive& archive, const memory_ptr& what,
                     std::size_t count, std::size_t element_size);
struct loaded {
  memory_ptr what;
  std::size_t count;
};
TROUPE_API loaded load(troupe::detail::input_archive& archive, std::size_t element_size,
                       troupe::detail::name_view type);

/// Memory of the host that the device reads and writes at full speed. Throws as `allocate`.
TROUPE_API void* allocate_pinned(std::size_t bytes);
TROUPE_API void free_pinned(void* memory) noexcept;

}  // namespace troupe::gpu::detail
