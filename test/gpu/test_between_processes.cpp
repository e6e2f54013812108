// ctest: LABELS gpu SKIP_RETURN_CODE 4
// Device arrays between the processes of a cluster, on a real device.
#include <string>

#include "test/gpu/needs_a_device.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"

using namespace troupe::test;

TEST_CASE("an array is read by other processes of the node, and outlives its maker's handle") {
  NEEDS_A_DEVICE
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=4", "--num-gpus=1"});
  const command_result ran = run_command(
      {TROUPE_TEST_BINARY_DIR "/test/gpu_array_driver", "arrays"},
      {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}
