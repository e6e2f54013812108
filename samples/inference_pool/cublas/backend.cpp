// The network on a GPU: matrix products by cuBLAS, the rest by two kernels. Each batch is one piece
// of device work, for which its actor waits without a CPU.
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <troupe/gpu.hpp>
#include <troupe/troupe.hpp>

#include "backend.hpp"
#include "kernels.hpp"

namespace inference_pool {

namespace {

namespace gpu = troupe::gpu;

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(std::string(what) + ": " + cublasGetStatusString(status));
}
void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

class gpu_backend final : public backend {
 public:
  explicit gpu_backend(const float* network)
      : network_(gpu::to_device(std::span<const float>(network, layout::size))) {
    const gpu::on_device current(gpu::current_device());
    check(cublasCreate(&blas_), "cublasCreate");
  }
  ~gpu_backend() override { cublasDestroy(blas_); }

  std::string name() const override {
    return "GPU " + gpu::devices().at(static_cast<std::size_t>(network_.device())).name +
           " (cuBLAS)";
  }

  void classify(std::span<const image> batch, std::span<label> results) override {
    make_room(batch.size());
    std::copy(batch.begin(), batch.end(), input_.begin());
    const int count = static_cast<int>(batch.size());
    troupe::get(
        gpu::run_named("classify", [this, count](const gpu::stream& on) { enqueue(on, count); }));
    std::copy_n(answers_.begin(), batch.size(), results.begin());
  }

 private:
  /// Memory for the largest batch so far.
  void make_room(std::size_t images) {
    if (images <= input_.size()) return;
    input_.resize(images);
    answers_.resize(images);
    images_ = gpu::array<float>(images * image_pixels);
    hidden_ = gpu::array<float>(images * hidden_units);
    scores_ = gpu::array<float>(images * classes);
    results_ = gpu::array<label>(images);
  }

  void enqueue(const gpu::stream& on, int count) {
    float* const x = on.write(images_);
    float* const hidden = on.write(hidden_);
    float* const scores = on.write(scores_);
    label* const results = on.write(results_);
    const float* const network = on.read(network_);
    const auto n = static_cast<std::size_t>(count);
    check(cublasSetStream(blas_, on.native()), "cublasSetStream");
    check(cudaMemcpyAsync(x, input_.data(), n * sizeof(image), cudaMemcpyHostToDevice, on.native()),
          "copy of the images");
    // cuBLAS counts by columns: what is a row here is a column there.
    multiply(network + layout::w1, x, hidden, hidden_units, image_pixels, count);
    add_and_cut(on.native(), hidden, network + layout::b1, hidden_units, count * hidden_units);
    multiply(network + layout::w2, hidden, scores, classes, hidden_units, count);
    choose(on.native(), scores, network + layout::b2, results, count);
    check(cudaGetLastError(), "launch");
    check(cudaMemcpyAsync(answers_.data(), results, n * sizeof(label), cudaMemcpyDeviceToHost,
                          on.native()),
          "copy of the answers");
  }

  /// to = from * weights^T, `outputs` values for each of `count` rows.
  void multiply(const float* weights, const float* from, float* to, int outputs, int inputs,
                int count) {
    const float one = 1;
    const float zero = 0;
    check(cublasSgemm(blas_, CUBLAS_OP_T, CUBLAS_OP_N, outputs, count, inputs, &one, weights,
                      inputs, from, inputs, &zero, to, outputs),
          "cublasSgemm");
  }

  cublasHandle_t blas_ = nullptr;
  gpu::array<float> network_;
  gpu::host_vector<image> input_;
  gpu::host_vector<label> answers_;
  gpu::array<float> images_;
  gpu::array<float> hidden_;
  gpu::array<float> scores_;
  gpu::array<label> results_;
};

}  // namespace

}  // namespace inference_pool

extern "C" inference_pool::backend* make_inference_backend(const float* network) {
  return new inference_pool::gpu_backend(network);
}
