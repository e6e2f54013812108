// ctest: TIMEOUT 300
// Batched methods of actors that live in other processes.
#include <string>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"

using namespace troupe::test;

namespace {

void passes(const std::string& scenario) {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  const command_result ran = run_command(
      {TROUPE_TEST_BINARY_DIR "/test/batching_driver", scenario},
      {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}

}  // namespace

TEST_CASE("calls of several processes run in one batch of an actor that lives in another") {
  passes("calls");
}

TEST_CASE("calls of one caller keep their order over the network, batched or not") {
  passes("order");
}

TEST_CASE("a cancel and a kill reach calls that wait for a batch elsewhere") { passes("cancels"); }

TEST_CASE("when a batch kills its process each call fails, or is tried again alone") {
  passes("deaths");
}

TEST_CASE("pools gather batches of members in other processes") { passes("pools"); }
