// What a cluster's program gets that wants devices where there are none: whatever the machine has,
// its workers see none here.
#include <string>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"

using namespace troupe::test;

TEST_CASE("tasks with logical GPUs run in a cluster, and are told when they want a device") {
  const daemons cluster;
  const command_result started = cluster.troupe(
      {"start", "--head", "--port=0", "--node-name=head", "--num-cpus=2", "--num-gpus=2"},
      {"CUDA_VISIBLE_DEVICES="});
  INFO(started.out << started.err);
  REQUIRE(started.code == 0);
  const command_result ran = run_command(
      {TROUPE_TEST_BINARY_DIR "/test/gpu_array_driver", "no_device"},
      {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}
