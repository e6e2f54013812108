// ctest: TIMEOUT 300
// Every sample of the embedded runtime runs on a cluster as it is.
#include <string>

#include "test/support/catch.hpp"
#include "test/support/daemons.hpp"

using namespace troupe::test;

TEST_CASE("the samples run unchanged on a cluster") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  for (const std::string name :
       {"counter", "chef", "assistant", "square", "parallel", "actor_model", "parameter_server",
        "inference_pool", "pipeline", "supervised_service", "named_service", "broadcast"}) {
    const command_result ran = run_command(
        {TROUPE_TEST_BINARY_DIR "/samples/sample_" + name},
        {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"});
    INFO(name << ": " << ran.out << ran.err);
    CHECK(ran.code == 0);
  }
}
