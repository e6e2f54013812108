// ctest: LABELS gpu SKIP_RETURN_CODE 4
// A kernel that breaks its device: in a file, and so in a process, of its own, because the device
// is lost to it.
#include <troupe/gpu.hpp>

#include "test/gpu/kernels.cuh"
#include "test/gpu/needs_a_device.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
namespace gpu = troupe::gpu;

TEST_CASE("an illegal address is told with the kernel's name, and by all later work") {
  NEEDS_A_DEVICE
  const auto bad = gpu::launch<break_the_device>(1, 1, nullptr);
  try {
    fetch(bad);
    FAIL("it must throw");
  } catch (const gpu::device_error& error) {
    CHECK(error.fatal());
    CHECK_THAT(error.what(), contains("break_the_device") && contains("cudaErrorIllegalAddress"));
  }
  CHECK_THROWS_AS(fetch(gpu::run([](const gpu::stream&) {})), gpu::device_error);
  CHECK_THROWS_AS(gpu::array<int>(1), gpu::device_error);
}
