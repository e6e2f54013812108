// The GPUs of a cluster's nodes: found by the management library (a stand-in here), and given to
// workers.
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"

using namespace troupe::test;

namespace {

const std::string fake_driver = "LD_LIBRARY_PATH=" TROUPE_TEST_BINARY_DIR "/test/fake_nvml";

std::string driver_says(const daemons& cluster, std::vector<std::string> environment = {}) {
  for (const char* const usual : {"TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"}) {
    environment.emplace_back(usual);
  }
  environment.push_back("TROUPE_SESSION_BASE=" + cluster.base());
  const command_result ran = run_command({TROUPE_TEST_BINARY_DIR "/test/gpu_driver"}, environment);
  INFO(ran.err);
  CHECK(ran.code == 0);
  return ran.out;
}

void start_head(const daemons& cluster, std::vector<std::string> environment,
                const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"start", "--head", "--port=0", "--node-name=head", "--num-cpus=2"};
  words.insert(words.end(), more.begin(), more.end());
  const command_result ran = cluster.troupe(words, std::move(environment));
  INFO(ran.out << ran.err);
  REQUIRE(ran.code == 0);
}

}  // namespace

TEST_CASE("a node has the GPUs of its machine when nobody says how many") {
  const daemons cluster;
  start_head(cluster, {fake_driver, "CUDA_VISIBLE_DEVICES=0,1"});
  const std::string said = driver_says(cluster, {"CUDA_VISIBLE_DEVICES=7"});
  CHECK_THAT(said, contains("GPUs: 2\n"));
  CHECK_THAT(said, contains("shared: 0,1\n"));  // the node's, not the program's
  CHECK_THAT(said, contains("isolated: 0\n"));
}

TEST_CASE("a node has what CUDA_VISIBLE_DEVICES leaves of its GPUs") {
  const daemons cluster;
  start_head(cluster, {fake_driver, "CUDA_VISIBLE_DEVICES=GPU-1"});
  const std::string said = driver_says(cluster);
  CHECK_THAT(said, contains("GPUs: 1\n"));
  CHECK_THAT(said, contains("shared: GPU-1\n"));
  CHECK_THAT(said, contains("isolated: GPU-1\n"));
  CHECK_THAT(said, contains("numbers: 0\n"));
}

TEST_CASE("the number of GPUs that a node is told counts, whatever its machine has") {
  const daemons cluster;
  start_head(cluster, {fake_driver, "CUDA_VISIBLE_DEVICES=0"}, {"--num-gpus=4"});
  CHECK_THAT(driver_says(cluster), contains("GPUs: 4\n"));
}

TEST_CASE("an embedded program has the GPUs of its machine, and says so when asked") {
  const command_result ran =
      run_command({TROUPE_TEST_BINARY_DIR "/test/gpu_driver"},
                  {fake_driver, "CUDA_VISIBLE_DEVICES=1", "TROUPE_NUM_CPUS=1"});
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("GPUs: 1\n"));
}
