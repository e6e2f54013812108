// Which device of a process one of the node's GPU numbers means.
#include "gpu/local_device.hpp"
#include "test/support/catch.hpp"

using troupe::gpu::local_device;

TEST_CASE("a process that sees all devices of its node numbers them as the node does") {
  CHECK(local_device(0, 2, nullptr) == 0);
  CHECK(local_device(1, 2, nullptr) == 1);
}

TEST_CASE("a logical GPU is no device") {
  CHECK_FALSE(local_device(2, 2, nullptr));
  CHECK_FALSE(local_device(0, 0, nullptr));
  CHECK_FALSE(local_device(-1, 2, nullptr));
}

TEST_CASE("an isolated worker counts its devices from 0") {
  CHECK(local_device(5, 2, "2,5") == 1);
  CHECK(local_device(2, 2, "2,5") == 0);
  CHECK_FALSE(local_device(0, 2, "2,5"));
  CHECK_FALSE(local_device(5, 1, "2,5"));  // the number is a logical one
  CHECK_FALSE(local_device(0, 1, ""));
}
