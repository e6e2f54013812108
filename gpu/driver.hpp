/// What gpu/ needs of CUDA, so that it can be tested where there is none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <troupe/gpu/device.hpp>

struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;
struct CUmemPoolHandle_st;

namespace troupe::gpu {

using stream_handle = CUstream_st*;
using event_handle = CUevent_st*;
using graph_handle = CUgraphExec_st*;
using pool_handle = CUmemPoolHandle_st*;
/// What names memory of a pool to another process that has the pool.
using pointer_export = std::array<std::byte, 64>;

/// Thread-safe, as CUDA is. Where not said otherwise a function throws `device_error`, and works on
/// the device that was made current on the thread.
class driver {
 public:
  virtual ~driver() = default;

  /// Never throws. `why` says why there is none.
  virtual int count_devices(std::string& why) noexcept = 0;
  virtual device_info describe(int device) = 0;
  virtual memory_use memory_of(int device) = 0;
  virtual void make_current(int device) = 0;

  virtual stream_handle make_stream() = 0;
  virtual event_handle make_event() = 0;
  virtual void free_event(event_handle event) noexcept = 0;
  virtual void record(event_handle event, stream_handle on) = 0;
  virtual void wait(stream_handle on, event_handle event) = 0;
  /// Whether it has happened.
  virtual bool query(event_handle event) = 0;
  /// Blocks until it has.
  virtual void synchronize(event_handle event) = 0;

  /// Null when there is not so much.
  virtual void* allocate(int device, std::size_t bytes, stream_handle on) = 0;
  virtual void free(void* memory, stream_handle on) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes, stream_handle on) = 0;
  /// Null when there is not so much.
  virtual void* allocate_pinned(std::size_t bytes) = 0;
  virtual void free_pinned(void* memory) noexcept = 0;
  virtual bool is_pinned(const void* memory) noexcept = 0;

  virtual void begin_capture(stream_handle on) = 0;
  /// Null instead of an exception when the capture broke off.
  virtual graph_handle end_capture(stream_handle on) = 0;
  virtual void launch_graph(graph_handle graph, stream_handle on) = 0;
  virtual void free_graph(graph_handle graph) noexcept = 0;

  /// Whether memory of `allocate` can be had by other processes of the machine.
  virtual bool can_share(int device) = 0;
  /// A descriptor of the pool of `allocate`, for another process; the caller closes it.
  virtual int export_pool(int device) = 0;
  virtual pointer_export export_pointer(void* memory) = 0;
  virtual pool_handle import_pool(int descriptor) = 0;
  virtual void free_pool(pool_handle pool) noexcept = 0;
  virtual void* import_pointer(pool_handle pool, const pointer_export& from) = 0;
};

/// The one over CUDA's runtime.
driver& cuda_driver();

}  // namespace troupe::gpu
