#include <cuda_runtime_api.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <troupe/gpu/error.hpp>

#include "gpu/driver.hpp"

namespace troupe::gpu {
namespace {

/// After these every further call fails alike, until the process ends.
bool is_fatal(cudaError_t code) {
  switch (code) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

void check(cudaError_t code, std::string_view what) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // it is told here; later calls start clean
  int device = -1;
  static_cast<void>(cudaGetDevice(&device));
  throw device_error(std::string(what) + " failed on device " + std::to_string(device) + ": " +
                         cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ")",
                     static_cast<int>(code), is_fatal(code));
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "asking for a device's properties");
  return value;
}

std::string uuid_text(const cudaUUID_t& uuid) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(uuid.bytes[i]);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

int numa_node_of(std::string bus_id) {
  std::ranges::transform(bus_id, bus_id.begin(), [](unsigned char c) { return std::tolower(c); });
  int node = -1;
  std::ifstream("/sys/bus/pci/devices/" + bus_id + "/numa_node") >> node;
  return node;
}

class runtime_driver final : public driver {
 public:
  int count_devices(std::string& why) noexcept override {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return count;
    static_cast<void>(cudaGetLastError());
    if (code == cudaErrorInsufficientDriver) {
      int version = 0;
      why = cudaDriverGetVersion(&version) == cudaSuccess && version > 0
                ? "the NVIDIA driver is older than CUDA " + std::to_string(CUDART_VERSION / 1000) +
                      "." + std::to_string(CUDART_VERSION % 1000 / 10) + " needs"
                : "no NVIDIA driver is installed here";
    } else if (code == cudaSuccess || code == cudaErrorNoDevice) {
      const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
      why = visible == nullptr
                ? "the NVIDIA driver finds no device"
                : "CUDA_VISIBLE_DEVICES is '" + std::string(visible) + "' and leaves no device";
    } else {
      why = std::string("CUDA does not start: ") + cudaGetErrorString(code) + " (" +
            cudaGetErrorName(code) + ")";
    }
    return 0;
  }

  device_info describe(int device) override {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking for a device's properties");
    device_info result;
    result.index = device;
    result.name = properties.name;
    result.uuid = uuid_text(properties.uuid);
    char bus_id[32] = {};
    if (cudaDeviceGetPCIBusId(bus_id, sizeof(bus_id), device) == cudaSuccess) {
      result.bus_id = bus_id;
      result.numa_node = numa_node_of(bus_id);
    }
    result.memory_bytes = properties.totalGlobalMem;
    result.compute_major = properties.major;
    result.compute_minor = properties.minor;
    result.multiprocessors = properties.multiProcessorCount;
    return result;
  }

  memory_use memory_of(int device) override {
    make_current(device);
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for a device's memory");
    memory_use result{total, free, 0, 0};
    const cudaMemPool_t pool = pool_of(device);
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &result.pool_reserved),
          "asking for a pool's memory");
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &result.pool_used),
          "asking for a pool's memory");
    return result;
  }

  void make_current(int device) override {
    check(cudaSetDevice(device), "making device " + std::to_string(device) + " current");
  }

  stream_handle make_stream() override {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    return stream;
  }
  event_handle make_event() override {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync),
          "making an event");
    return event;
  }
  void free_event(event_handle event) noexcept override {
    static_cast<void>(cudaEventDestroy(event));
  }
  void record(event_handle event, stream_handle on) override {
    check(cudaEventRecord(event, on), "recording an event");
  }
  void wait(stream_handle on, event_handle event) override {
    check(cudaStreamWaitEvent(on, event, 0), "ordering two streams");
  }
  bool query(event_handle event) override {
    const cudaError_t code = cudaEventQuery(event);
    if (code == cudaErrorNotReady) return false;
    check(code, "work");
    return true;
  }
  void synchronize(event_handle event) override { check(cudaEventSynchronize(event), "work"); }

  void* allocate(int device, std::size_t bytes, stream_handle on) override {
    void* memory = nullptr;
    const cudaError_t code = cudaMallocFromPoolAsync(&memory, bytes, pool_of(device), on);
    if (code == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      return nullptr;
    }
    check(code, "allocating " + std::to_string(bytes) + " bytes");
    return memory;
  }
  void free(void* memory, stream_handle on) override {
    check(cudaFreeAsync(memory, on), "freeing memory");
  }
  void copy(void* to, const void* from, std::size_t bytes, stream_handle on) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, on), "copying");
  }
  void* allocate_pinned(std::size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t code = cudaHostAlloc(&memory, bytes, cudaHostAllocPortable);
    if (code == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      return nullptr;
    }
    check(code, "pinning " + std::to_string(bytes) + " bytes");
    return memory;
  }
  void free_pinned(void* memory) noexcept override { static_cast<void>(cudaFreeHost(memory)); }
  bool is_pinned(const void* memory) noexcept override {
    cudaPointerAttributes attributes{};
    const cudaError_t code = cudaPointerGetAttributes(&attributes, memory);
    if (code != cudaSuccess) static_cast<void>(cudaGetLastError());
    return code == cudaSuccess && attributes.type == cudaMemoryTypeHost;
  }

  void begin_capture(stream_handle on) override {
    check(cudaStreamBeginCapture(on, cudaStreamCaptureModeThreadLocal), "beginning a graph");
  }
  graph_handle end_capture(stream_handle on) override {
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(on, &graph) != cudaSuccess || graph == nullptr) {
      static_cast<void>(cudaGetLastError());
      return nullptr;
    }
    cudaGraphExec_t ready = nullptr;
    const cudaError_t code = cudaGraphInstantiate(&ready, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    check(code, "making a graph");
    return ready;
  }
  void launch_graph(graph_handle graph, stream_handle on) override {
    check(cudaGraphLaunch(graph, on), "launching a graph");
  }
  void free_graph(graph_handle graph) noexcept override {
    static_cast<void>(cudaGraphExecDestroy(graph));
  }

  bool can_share(int device) override {
    return (attribute(cudaDevAttrMemoryPoolSupportedHandleTypes, device) &
            cudaMemHandleTypePosixFileDescriptor) != 0;
  }
  int export_pool(int device) override {
    int descriptor = -1;
    check(cudaMemPoolExportToShareableHandle(&descriptor, pool_of(device),
                                             cudaMemHandleTypePosixFileDescriptor, 0),
          "exporting a pool");
    return descriptor;
  }
  pointer_export export_pointer(void* memory) override {
    cudaMemPoolPtrExportData data{};
    check(cudaMemPoolExportPointer(&data, memory), "exporting memory");
    pointer_export result{};
    static_assert(sizeof(data) == sizeof(result));
    std::memcpy(result.data(), &data, sizeof(data));
    return result;
  }
  pool_handle import_pool(int descriptor) override {
    cudaMemPool_t pool = nullptr;
    check(cudaMemPoolImportFromShareableHandle(
              &pool, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)),
              cudaMemHandleTypePosixFileDescriptor, 0),
          "importing a pool");
    int device = 0;
    check(cudaGetDevice(&device), "asking for the device");
    cudaMemAccessDesc access{};
    access.location.type = cudaMemLocationTypeDevice;
    access.location.id = device;
    access.flags = cudaMemAccessFlagsProtReadWrite;
    check(cudaMemPoolSetAccess(pool, &access, 1), "opening a pool");
    return pool;
  }
  void free_pool(pool_handle pool) noexcept override {
    static_cast<void>(cudaMemPoolDestroy(pool));
  }
  void* import_pointer(pool_handle pool, const pointer_export& from) override {
    cudaMemPoolPtrExportData data{};
    std::memcpy(&data, from.data(), sizeof(data));
    void* memory = nullptr;
    check(cudaMemPoolImportPointer(&memory, pool, &data), "importing memory");
    return memory;
  }

 private:
  /// A pool of our own, not the device's default one: that cannot be shared with other processes.
  /// It keeps what is freed, so that the next allocation needs no system call.
  cudaMemPool_t pool_of(int device) {
    const std::lock_guard guard(mutex_);
    const auto known = pools_.find(device);
    if (known != pools_.end()) return known->second;
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    if (can_share(device)) properties.handleTypes = cudaMemHandleTypePosixFileDescriptor;
    cudaMemPool_t pool = nullptr;
    check(cudaMemPoolCreate(&pool, &properties), "making a memory pool");
    std::uint64_t keep_all = static_cast<std::uint64_t>(-1);
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep_all),
          "setting up a memory pool");
    pools_.emplace(device, pool);
    return pool;
  }

  std::mutex mutex_;
  std::map<int, cudaMemPool_t> pools_;  // guarded by mutex_
};

}  // namespace

driver& cuda_driver() {
  // Never destroyed: arrays may outlive main.
  static auto& only = *new runtime_driver;
  return only;
}

}  // namespace troupe::gpu
