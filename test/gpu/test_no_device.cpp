// What a program gets where there is no device: the driver is CUDA's own, unless there is one.
#include <string>

#include <troupe/gpu.hpp>
#include <troupe/task.hpp>

#include "test/gpu/fake_driver.hpp"
#include "test/gpu/kernels.cuh"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
namespace gpu = troupe::gpu;

namespace {

int device_here() { return gpu::current_device(); }

template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const gpu::no_device_error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("CUDA starts without a driver and says what is missing") {
  std::string why;
  const int count = gpu::cuda_driver().count_devices(why);
  CHECK(count == gpu::device_count());
  CHECK(count == static_cast<int>(gpu::devices().size()));
  CHECK(why.empty() == (count > 0));
  CHECK(why == gpu::why_no_device());
}

TEST_CASE("without a device there are none, and whoever wants one is told why") {
  const fake_devices none(0);
  CHECK(gpu::device_count() == 0);
  CHECK(gpu::devices().empty());
  const auto says_why = contains("the fake driver has none");
  CHECK_THAT(gpu::why_no_device(), says_why);
  CHECK_THAT(refusal([] { gpu::current_device(); }), says_why);
  CHECK_THAT(refusal([] { gpu::array<int> one(10); }), says_why);
  CHECK_THAT(refusal([] { gpu::array<int> nothing(0); }), says_why);
  CHECK_THAT(refusal([] { gpu::to_device(std::vector<int>{1}); }), says_why);
  CHECK_THAT(refusal([] { gpu::run([](const gpu::stream&) {}); }), says_why);
  CHECK_THAT(refusal([] { gpu::launch<fill>(1, 1, gpu::array<int>(), 1, 1); }), says_why);
  CHECK_THAT(refusal([] { gpu::graph nothing([](const gpu::stream&) {}); }), says_why);
  CHECK_THAT(refusal([] { gpu::memory_of(0); }), says_why);
  CHECK_THAT(refusal([] { gpu::host_vector<int> pinned(1); }), says_why);
  CHECK_THAT(refusal([] { gpu::on_device first(0); }), says_why);
}

TEST_CASE("a task with a logical GPU runs, and is told when it wants a device") {
  const fake_devices none(0);
  const auto session =
      troupe::init({.num_cpus = 1, .num_gpus = 2, .log_level = troupe::log_level::off});
  const auto one = troupe::with({.num_gpus = 0.5});
  CHECK(fetch(one.remote<gpu::device_count>()) == 0);
  CHECK_THROWS_AS(fetch(one.remote<device_here>()), gpu::no_device_error);
}

TEST_CASE("every error of devices is one of troupe's") {
  CHECK_THROWS_AS(throw gpu::no_device_error("x"), troupe::error);
  CHECK_THROWS_AS(throw gpu::device_error("x", 1, false), troupe::error);
  CHECK_THROWS_AS(throw gpu::device_memory_error("x"), troupe::out_of_memory_error);
}
