// Finds and loads the shared object that computes on a GPU.
#include <dlfcn.h>

#include <filesystem>
#include <stdexcept>

#include "backend.hpp"

namespace inference_pool {

std::string gpu_library() {
  const auto path =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "inference_pool_gpu.so";
  return std::filesystem::exists(path) ? path.string() : std::string();
}

std::unique_ptr<backend> make_gpu_backend(const std::string& library,
                                          std::span<const float> network) {
  void* const loaded = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) throw std::runtime_error(std::string("no GPU backend: ") + ::dlerror());
  using maker = backend* (*)(const float*);
  const auto make = reinterpret_cast<maker>(::dlsym(loaded, "make_inference_backend"));
  if (make == nullptr) throw std::runtime_error(library + " is not the GPU backend");
  return std::unique_ptr<backend>(make(network.data()));
}

}  // namespace inference_pool
