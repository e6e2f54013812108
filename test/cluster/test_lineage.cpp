// ctest: TIMEOUT 300
// Values that were lost with their node: made again by their tasks, or an error that says why not.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;

namespace {

/// A head without CPUs, where the program is (it comes first by name), and two nodes that it kills.
void passes(const std::string& scenario, const std::vector<std::string>& settings = {}) {
  const daemons cluster;
  const auto head = cluster.start_head("a", {"--num-cpus=0", "--object-store-memory=64MiB"});
  for (const std::string name : {"b", "c"}) {
    cluster.start_node(name, head.head, {"--num-cpus=2", "--object-store-memory=64MiB"});
  }
  REQUIRE(eventually([&] {  // the program's node has heard of them
    return nlohmann::json::parse(cluster.troupe({"status", "--json"}).out).at("nodes").size() == 3;
  }));
  std::vector<std::string> environment = {"TROUPE_SESSION_BASE=" + cluster.base(),
                                          "TROUPE_ADDRESS=" + head.head, "TROUPE_LOG_LEVEL=error",
                                          "LINEAGE_RUNS=" + cluster.base() + "/runs"};
  environment.insert(environment.end(), settings.begin(), settings.end());
  const command_result ran =
      run_command({TROUPE_TEST_BINARY_DIR "/test/lineage_driver", scenario}, environment);
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
  CHECK(eventually([&] {
    const auto memory = nlohmann::json::parse(cluster.troupe({"memory", "--json"}).out);
    for (const auto& node : memory.at("nodes")) {
      if (node.at("used") != 0) return false;
    }
    return true;
  }));
}

}  // namespace

TEST_CASE("a result that was lost with its node is made again when it is read") {
  passes("result");
}

TEST_CASE("what a lost value was made from is made again as well") { passes("chain"); }

TEST_CASE("refs inside of arguments are found when a task runs again") { passes("refs_inside"); }

TEST_CASE("a process that has borrowed a lost value has its owner make it again, once") {
  passes("borrowed");
}

TEST_CASE("arguments that were given by value are kept for another run") {
  passes("own_arguments");
}

TEST_CASE("arguments for which there is no room are not kept, and the loss says so") {
  passes("too_much_lineage", {"TROUPE_MAX_LINEAGE_BYTES=100KiB"});
}

TEST_CASE("a lost result of a task without retries is an error that names task and node") {
  passes("no_retries");
}

TEST_CASE("a result is made again as often as its task has retries") { passes("retries_used"); }

TEST_CASE("a task that fails when it runs again gives its own failure") {
  passes("second_run_fails");
}

TEST_CASE("what an actor or a put made is lost with its node") { passes("not_of_a_task"); }

TEST_CASE("what would rebuild a value keeps no value alive") { passes("freed"); }
