#include "core/nvml.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <string>

namespace troupe::core {

// The library's interface, as its documentation has it; its header comes with no Debian package.
struct nvml::functions {
  static constexpr int success = 0;
  struct memory_info {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
  };
  struct pci_info {
    char legacy_bus_id[16];
    unsigned domain;
    unsigned bus;
    unsigned device;
    unsigned device_id;
    unsigned subsystem_id;
    char bus_id[32];
  };

  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, void**) = nullptr;
  int (*name)(void*, char*, unsigned) = nullptr;
  int (*uuid)(void*, char*, unsigned) = nullptr;
  int (*memory)(void*, memory_info*) = nullptr;
  int (*pci)(void*, pci_info*) = nullptr;
  int (*capability)(void*, int*, int*) = nullptr;
  int (*ecc_errors)(void*, int, int, unsigned long long*) = nullptr;

  explicit functions(void* loaded) : library(loaded) {
    find(init, "nvmlInit_v2");
    find(shutdown, "nvmlShutdown");
    find(count, "nvmlDeviceGetCount_v2");
    find(handle, "nvmlDeviceGetHandleByIndex_v2");
    find(name, "nvmlDeviceGetName");
    find(uuid, "nvmlDeviceGetUUID");
    find(memory, "nvmlDeviceGetMemoryInfo");
    find(pci, "nvmlDeviceGetPciInfo_v3");
    find(capability, "nvmlDeviceGetCudaComputeCapability");
    find(ecc_errors, "nvmlDeviceGetTotalEccErrors");
  }
  ~functions() {
    if (started) shutdown();
    ::dlclose(library);
  }
  functions(const functions&) = delete;
  functions& operator=(const functions&) = delete;

  bool start() {
    if (init == nullptr || shutdown == nullptr || count == nullptr || handle == nullptr ||
        uuid == nullptr) {
      return false;
    }
    started = init() == success;
    return started;
  }

 private:
  template <class F>
  void find(F& function, const char* symbol) {
    function = reinterpret_cast<F>(::dlsym(library, symbol));
  }

  void* library;
  bool started = false;
};

namespace {

/// The kernel knows the node by the bus id, whose domain NVML writes longer and in capitals.
int numa_node_of(std::string bus_id) {
  std::ranges::transform(bus_id, bus_id.begin(), [](unsigned char c) { return std::tolower(c); });
  int node = -1;
  std::ifstream("/sys/bus/pci/devices/" + bus_id + "/numa_node") >> node;
  return node;
}

}  // namespace

std::optional<nvml> nvml::load() {
  void* const library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  auto loaded = std::make_shared<functions>(library);
  if (!loaded->start()) return std::nullopt;
  return nvml(std::move(loaded));
}

std::vector<gpu_device> nvml::devices() const {
  std::vector<gpu_device> found;
  unsigned count = 0;
  if (loaded_->count(&count) != functions::success) return found;
  for (unsigned i = 0; i < count; ++i) {
    void* handle = nullptr;
    if (loaded_->handle(i, &handle) == functions::success) found.push_back(device(handle));
  }
  return found;
}

gpu_device nvml::device(void* handle) const {
  const functions& of = *loaded_;
  gpu_device result;
  char text[96] = {};
  if (of.uuid(handle, text, sizeof(text)) == functions::success) result.uuid = text;
  if (of.name != nullptr && of.name(handle, text, sizeof(text)) == functions::success) {
    result.name = text;
  }
  functions::memory_info memory{};
  if (of.memory != nullptr && of.memory(handle, &memory) == functions::success) {
    result.memory_bytes = memory.total;
    result.memory_used = memory.used;
  }
  functions::pci_info pci{};
  if (of.pci != nullptr && of.pci(handle, &pci) == functions::success) {
    std::string id(pci.bus_id, ::strnlen(pci.bus_id, sizeof(pci.bus_id)));
    if (id.size() > 12) id.erase(0, id.size() - 12);
    result.bus_id = id;
    result.numa_node = numa_node_of(id);
  }
  if (of.capability != nullptr) {
    of.capability(handle, &result.compute_major, &result.compute_minor);
  }
  constexpr int uncorrected = 1;
  constexpr int since_the_driver_was_loaded = 0;
  unsigned long long errors = 0;
  if (of.ecc_errors != nullptr && of.ecc_errors(handle, uncorrected, since_the_driver_was_loaded,
                                                &errors) == functions::success) {
    result.uncorrected_errors = errors;
  }
  return result;
}

}  // namespace troupe::core
