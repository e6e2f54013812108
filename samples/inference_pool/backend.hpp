/// What computes the network's answers for a batch: the CPU, or a GPU.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "network.hpp"

namespace inference_pool {

class backend {
 public:
  virtual ~backend() = default;
  virtual std::string name() const = 0;
  /// The class with the highest score for each image.
  virtual void classify(std::span<const image> batch, std::span<label> results) = 0;
};

/// Eigen on the CPU.
std::unique_ptr<backend> make_cpu_backend(std::span<const float> network);

/// cuBLAS on the current GPU, out of the shared object `library`. It is loaded at run time: this
/// program has no need of cuBLAS where there is no GPU.
std::unique_ptr<backend> make_gpu_backend(const std::string& library,
                                          std::span<const float> network);
/// Path of that shared object beside this program; empty when it was not built.
std::string gpu_library();

}  // namespace inference_pool
