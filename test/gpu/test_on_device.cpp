// ctest: LABELS gpu SKIP_RETURN_CODE 4
// Arrays, kernels, chains, graphs and errors on a real device, against a reference in double
// precision on the CPU.
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/gpu.hpp>
#include <troupe/task.hpp>

#include "test/gpu/kernels.cuh"
#include "test/gpu/needs_a_device.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::object_ref;
using troupe::remote;
namespace gpu = troupe::gpu;

namespace {

constexpr int count = 100'003;

std::vector<float> random_numbers(unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> between(-1, 1);
  std::vector<float> result(count);
  for (float& value : result) value = between(random);
  return result;
}

/// A part of the largest value that single precision may be wrong by.
double error_of(const std::vector<float>& got, const std::vector<double>& wanted) {
  double worst = 0;
  double largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(double{got[i]} - wanted[i]));
    largest = std::max(largest, std::abs(wanted[i]));
  }
  return worst / largest;
}

struct scaler {
  explicit scaler(std::vector<float> values) : values_(gpu::to_device(values)) {}
  gpu::array<float> scaled(float by) {
    return troupe::get(gpu::launch<scale>(gpu::threads(values_.size()),
                                          gpu::out<float>(values_.size()), values_, by,
                                          static_cast<int>(values_.size())));
  }
  gpu::array<float> values_;
};

}  // namespace

TEST_CASE("devices say what they are") {
  NEEDS_A_DEVICE
  for (const gpu::device_info& one : gpu::devices()) {
    CHECK_FALSE(one.name.empty());
    CHECK(one.uuid.substr(0, 4) == "GPU-");
    CHECK(one.memory_bytes > 0);
    CHECK(one.compute_major >= 8);
    CHECK(one.multiprocessors > 0);
  }
}

TEST_CASE("what goes to a real device comes back") {
  NEEDS_A_DEVICE
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, std::size_t{3'000'001}}) {
    std::vector<int> values(size);
    std::iota(values.begin(), values.end(), 0);
    CHECK(gpu::to_host(gpu::to_device(values)) == values);
    gpu::host_vector<int> pinned(values.begin(), values.end());
    const auto there = gpu::to_device(pinned);
    std::fill(pinned.begin(), pinned.end(), 0);
    gpu::copy_to_host(there, std::span<int>(pinned));
    CHECK(std::equal(pinned.begin(), pinned.end(), values.begin()));
  }
}

TEST_CASE("a kernel computes what the CPU computes in double precision") {
  NEEDS_A_DEVICE
  const std::vector<float> x = random_numbers(1);
  const auto y = gpu::launch<scale>(gpu::threads(count), gpu::out<float>(count), gpu::to_device(x),
                                    3.25F, count);
  std::vector<double> wanted(x.begin(), x.end());
  for (double& value : wanted) value *= 3.25;
  CHECK(error_of(gpu::to_host(fetch(y)), wanted) < 1e-6);
}

TEST_CASE("a chain of kernels runs in order, on one stream and on several") {
  NEEDS_A_DEVICE
  const std::vector<float> x = random_numbers(2);
  const gpu::array<float> one = gpu::to_device(x);
  auto sum = gpu::launch<scale>(gpu::threads(count), gpu::out<float>(count), one, 1.0F, count);
  for (int i = 0; i < 20; ++i) {
    const auto step = [&] {
      const auto scaled =
          gpu::launch<scale>(gpu::threads(count), gpu::out<float>(count), sum, 0.5F, count);
      sum = gpu::run(
          [](const gpu::stream& on, const gpu::array<float>& to, const gpu::array<float>& from) {
            gpu::enqueue<add_to>(on, gpu::threads(count), to, from, count);
            return to;
          },
          scaled, one);
    };
    if (i % 2 == 0) {
      step();
    } else {
      std::thread(step).join();
    }
  }
  std::vector<double> wanted(x.begin(), x.end());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    double value = double{x[i]};
    for (int turn = 0; turn < 20; ++turn) value = value * 0.5 + double{x[i]};
    wanted[i] = value;
  }
  CHECK(error_of(gpu::to_host(fetch(sum)), wanted) < 1e-6);
}

TEST_CASE("a ref is ready when the kernel has ended, and not before") {
  NEEDS_A_DEVICE
  const gpu::array<int> value = gpu::to_device(std::vector<int>{1});
  const auto ref = gpu::launch<spin>(1, 1, gpu::out(value), 20'000'000);
  CHECK_FALSE(ref.ready());
  fetch(ref);
  CHECK(ref.ready());
}

TEST_CASE("a graph computes what its parts compute, each time") {
  NEEDS_A_DEVICE
  const std::vector<float> x = random_numbers(3);
  const gpu::array<float> one = gpu::to_device(x);
  const gpu::array<float> sum = gpu::to_device(std::vector<float>(count, 0));
  const gpu::graph twice([&](const gpu::stream& on) {
    gpu::enqueue<add_to>(on, gpu::threads(count), sum, one, count);
    gpu::enqueue<add_to>(on, gpu::threads(count), sum, one, count);
  });
  for (int i = 0; i < 4; ++i) fetch(twice.launch());
  std::vector<double> wanted(x.begin(), x.end());
  for (double& value : wanted) value *= 8;
  CHECK(error_of(gpu::to_host(sum), wanted) < 1e-6);
}

TEST_CASE("actors keep arrays and launch kernels on streams of their own") {
  NEEDS_A_DEVICE
  const auto session =
      troupe::init({.num_cpus = 2, .num_gpus = 1, .log_level = troupe::log_level::off});
  const std::vector<float> x = random_numbers(4);
  const auto first = troupe::with({.num_gpus = 0.5}).remote<scaler>(x);
  const auto second = troupe::with({.num_gpus = 0.5}).remote<scaler>(x);
  const auto a = first.remote<&scaler::scaled>(2.0F);
  const auto b = second.remote<&scaler::scaled>(4.0F);
  std::vector<double> wanted(x.begin(), x.end());
  for (double& value : wanted) value *= 2;
  CHECK(error_of(gpu::to_host(fetch(a)), wanted) < 1e-6);
  for (double& value : wanted) value *= 2;
  CHECK(error_of(gpu::to_host(fetch(b)), wanted) < 1e-6);
}

TEST_CASE("a launch that the device refuses names the kernel") {
  NEEDS_A_DEVICE
  const gpu::array<int> some(10);
  const auto ref = gpu::launch<fill>(dim3(1), dim3(5000), gpu::out(some), 1, 10);
  CHECK_THROWS_WITH(fetch(ref), contains("fill") && contains("cudaErrorInvalid"));
  // The device goes on.
  CHECK(gpu::to_host(fetch(gpu::launch<fill>(1, 32, gpu::out(some), 7, 10)))[9] == 7);
}

TEST_CASE("more memory than the device has is refused with what there is") {
  NEEDS_A_DEVICE
  CHECK_THROWS_AS(gpu::array<std::byte>(gpu::devices()[0].memory_bytes * 2),
                  gpu::device_memory_error);
  CHECK(gpu::array<int>(10).size() == 10);
}

TEST_CASE("freed memory goes back to the pool") {
  NEEDS_A_DEVICE
  const auto used = [] { return gpu::memory_of(0).pool_used; };
  const auto before = used();
  {
    const gpu::array<std::byte> large(std::size_t{64} << 20);
    CHECK(used() >= before + (std::size_t{64} << 20));
  }
  fetch(gpu::run([](const gpu::stream&) {}));
  CHECK(eventually([&] { return used() <= before; }));
}
