// A network on a GPU, asked one request at a time through batches, beside a bare loop of cuBLAS.
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/gpu.hpp>
#include <troupe/runtime.hpp>

#include "test/bench/bench.hpp"

namespace troupe::bench {
namespace {

constexpr int inputs = 256;
constexpr int hidden = 4096;
constexpr int outputs = 16;
constexpr int batch_size = 256;
constexpr int batches = 100;

using request = std::array<float, inputs>;
using answer = std::array<float, outputs>;

void check(cudaError_t code) {
  if (code != cudaSuccess) throw std::runtime_error(cudaGetErrorString(code));
}
void check(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error("cuBLAS: status " + std::to_string(static_cast<int>(status)));
  }
}

/// cuBLAS, loaded when it is measured: the benchmarks run without it, too.
struct cublas {
  cublas() {
    const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
    for (const std::string& path : {name, TROUPE_BENCH_CUDA_LIBRARIES "/" + name}) {
      library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library != nullptr) break;
    }
    if (library == nullptr) return;
    find("cublasCreate_v2", create);
    find("cublasDestroy_v2", destroy);
    find("cublasSetStream_v2", set_stream);
    find("cublasSgemm_v2", sgemm);
  }
  template <class F>
  void find(const char* name, F& function) const {
    function = reinterpret_cast<F>(::dlsym(library, name));
    if (function == nullptr) throw std::runtime_error(std::string("cuBLAS has no ") + name);
  }
  static const cublas& get() {
    static const cublas one;
    return one;
  }

  void* library = nullptr;
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasDestroy_v2) destroy = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasSgemm_v2) sgemm = nullptr;
};

/// Three layers without offsets: what is measured are the products.
class network {
 public:
  network() {
    check(cublas::get().create(&blas_));
    std::vector<float> some(std::size_t{hidden} * hidden, 0.001F);
    first_ = gpu::to_device(std::span<const float>(some.data(), std::size_t{hidden} * inputs));
    second_ = gpu::to_device(some);
    third_ = gpu::to_device(std::span<const float>(some.data(), std::size_t{outputs} * hidden));
    check(cudaDeviceSynchronize());  // the arrays are used without troupe's order from here on
  }
  ~network() { cublas::get().destroy(blas_); }
  network(const network&) = delete;
  network& operator=(const network&) = delete;

  /// Copies in, three products, and copies out, all enqueued.
  void enqueue(cudaStream_t on, int count) {
    const auto n = static_cast<std::size_t>(count);
    check(cublas::get().set_stream(blas_, on));
    check(cudaMemcpyAsync(x_.data(), in.data(), n * sizeof(request), cudaMemcpyHostToDevice, on));
    multiply(first_, x_, a_, hidden, inputs, count);
    multiply(second_, a_, b_, hidden, hidden, count);
    multiply(third_, b_, y_, outputs, hidden, count);
    check(cudaMemcpyAsync(out.data(), y_.data(), n * sizeof(answer), cudaMemcpyDeviceToHost, on));
  }

  gpu::host_vector<request> in = gpu::host_vector<request>(batch_size);
  gpu::host_vector<answer> out = gpu::host_vector<answer>(batch_size);

 private:
  void multiply(const gpu::array<float>& weights, const gpu::array<float>& from,
                const gpu::array<float>& to, int rows, int columns, int count) {
    const float one = 1;
    const float zero = 0;
    check(cublas::get().sgemm(blas_, CUBLAS_OP_T, CUBLAS_OP_N, rows, count, columns, &one,
                              weights.data(), columns, from.data(), columns, &zero, to.data(),
                              rows));
  }

  cublasHandle_t blas_ = nullptr;
  gpu::array<float> first_;
  gpu::array<float> second_;
  gpu::array<float> third_;
  gpu::array<float> x_{std::size_t{inputs} * batch_size};
  gpu::array<float> a_{std::size_t{hidden} * batch_size};
  gpu::array<float> b_{std::size_t{hidden} * batch_size};
  gpu::array<float> y_{std::size_t{outputs} * batch_size};
};

struct served {
  std::vector<answer> infer(std::span<const request> batch) {
    std::copy(batch.begin(), batch.end(), what.in.begin());
    get(gpu::run_named("infer", [this, count = static_cast<int>(batch.size())](
                                    const gpu::stream& on) { what.enqueue(on.native(), count); }));
    return {what.out.begin(), what.out.begin() + static_cast<std::ptrdiff_t>(batch.size())};
  }
  network what;
};

std::vector<figure> batched_inference() {
  if (gpu::device_count() == 0) {
    std::fprintf(stderr, "gpu_batched_inference: skipped, there is no GPU: %s\n",
                 gpu::why_no_device().c_str());
    return {};
  }
  if (cublas::get().library == nullptr) {
    std::fprintf(stderr, "gpu_batched_inference: skipped, there is no cuBLAS: %s\n", ::dlerror());
    return {};
  }
  const auto session = init();
  const auto model =
      with({.num_gpus = 1, .max_batch_size = batch_size, .max_wait = std::chrono::milliseconds(1)})
          .remote<served>();
  get(model.ready());
  const request one{};
  const auto troupe_rate = [&] {
    std::vector<object_ref<answer>> refs;
    refs.reserve(std::size_t{batch_size} * batches);
    return batch_size * batches / seconds([&] {
             for (int i = 0; i < batch_size * batches; ++i) {
               refs.push_back(model.remote<batched<&served::infer>>(one));
             }
             keep(get(std::move(refs)));
           });
  };
  network bare;
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const auto bare_rate = [&] {
    return batch_size * batches / seconds([&] {
             for (int i = 0; i < batches; ++i) {
               bare.enqueue(stream, batch_size);
               check(cudaStreamSynchronize(stream));
             }
           });
  };
  const auto both = alternate(7, troupe_rate, bare_rate);
  cudaStreamDestroy(stream);
  return {{"gpu_batched_inference", both.value, "1/s", true, "bare cuBLAS loop, batches of 256",
           both.peer,
           gpu::devices().at(0).name + "; 256-4096-4096-16, one request a call; goal: 0.9"}};
}

const registered inference_benchmark{"gpu_batched_inference", batched_inference};

}  // namespace
}  // namespace troupe::bench
