// Which GPUs a process may use, by what CUDA_VISIBLE_DEVICES says.
#include <string>
#include <vector>

#include "core/gpu_devices.hpp"
#include "test/support/catch.hpp"

using troupe::core::count_visible_gpus;

namespace {

const std::vector<std::string> three{"GPU-aa11", "GPU-aa22", "GPU-bb33"};

}  // namespace

TEST_CASE("without the variable all devices are visible") {
  CHECK(count_visible_gpus(three, nullptr) == 3);
  CHECK(count_visible_gpus({}, nullptr) == 0);
}

TEST_CASE("an empty variable hides all devices") { CHECK(count_visible_gpus(three, "") == 0); }

TEST_CASE("devices are visible by number, by UUID and by its beginning") {
  CHECK(count_visible_gpus(three, "2") == 1);
  CHECK(count_visible_gpus(three, "2,0") == 2);
  CHECK(count_visible_gpus(three, " 1 , GPU-bb33") == 2);
  CHECK(count_visible_gpus(three, "GPU-b,0") == 2);
}

TEST_CASE("what follows a word that means no device, several or one again is hidden") {
  CHECK(count_visible_gpus(three, "0,3,1") == 1);
  CHECK(count_visible_gpus(three, "-1,0") == 0);
  CHECK(count_visible_gpus(three, "NoDevFiles") == 0);
  CHECK(count_visible_gpus(three, "1,GPU-a,0") == 1);
  CHECK(count_visible_gpus(three, "1,1,0") == 1);
  CHECK(count_visible_gpus(three, "1,GPU-aa22,0") == 1);
  CHECK(count_visible_gpus(three, "0,1x") == 1);
}

TEST_CASE("parts of a device count, where there is one") {
  CHECK(count_visible_gpus(three, "MIG-1,MIG-2") == 2);
  CHECK(count_visible_gpus({}, "MIG-1") == 0);
}
