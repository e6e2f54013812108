/// The actor that serves the network.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend.hpp"

namespace inference_pool {

class model {
 public:
  /// On the GPU by this shared object; empty: on the CPU.
  model(const parameters& network, const std::string& gpu_library)
      : backend_(gpu_library.empty() ? make_cpu_backend(network)
                                     : make_gpu_backend(gpu_library, network)) {}

  std::vector<label> classify(std::span<const image> batch) {
    std::vector<label> results(batch.size());
    backend_->classify(batch, results);
    return results;
  }
  label classify_one(const image& one) { return classify({&one, 1}).front(); }
  std::string backend_name() const { return backend_->name(); }

 private:
  std::unique_ptr<backend> backend_;
};

}  // namespace inference_pool
