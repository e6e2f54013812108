// ctest: TIMEOUT 300
// Placement groups on real daemons.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/placement_driver";

std::vector<std::string> environment_of(const daemons& cluster) {
  return {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"};
}

void passes(const daemons& cluster, const std::string& scenario) {
  const command_result ran = run_command({program, scenario}, environment_of(cluster));
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}

/// A head and two nodes with one CPU each.
struct three_nodes {
  three_nodes() {
    const auto head = cluster.start_head("n1", {"--num-cpus=1", "--silence=3s"});
    cluster.start_node("n2", head.head, {"--num-cpus=1"});
    cluster.start_node("n3", head.head, {"--num-cpus=1"});
  }
  daemons cluster;
};

}  // namespace

TEST_CASE("a group on one node reserves, runs, captures and says why it waits") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  passes(cluster, "one_node");
}

TEST_CASE("what runs and waits in a group that is removed ends with placement_error") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  passes(cluster, "removal");
}

TEST_CASE("a detached group outlives its program, and a scoped one does not") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  passes(cluster, "leave_detached");
  const auto status = nlohmann::json::parse(cluster.troupe({"status", "--json"}).out);
  REQUIRE(status["placement_groups"].size() == 1);
  CHECK(status["placement_groups"][0]["name"] == "kept");
  CHECK(status["placement_groups"][0]["bundles"][0]["node"] == "head");
  CHECK_THAT(cluster.troupe({"status"}).out, contains("kept") && contains("PACK"));
  passes(cluster, "find_detached");
}

TEST_CASE("bundles lie on several nodes by their strategy, and groups that race all get theirs") {
  const three_nodes on;
  passes(on.cluster, "several_nodes");
  passes(on.cluster, "races");
}

TEST_CASE("the bundle of a node that is killed is placed anew, and its actor begins again in it") {
  const three_nodes on;
  // By the head's node, which stays.
  auto environment = environment_of(on.cluster);
  environment[1] = "TROUPE_ADDRESS=" + on.cluster.file_of("n1").self.remote;
  started_program driver({program, "node_loss"}, environment);
  std::string first;
  std::string second;
  std::istringstream names(driver.hear().value_or(""));
  REQUIRE(names >> first >> second);
  // The head stays: it is the control.
  const std::string victim = first == "n1" ? second : first;
  ::kill(static_cast<pid_t>(on.cluster.file_of(victim).pid), SIGKILL);
  driver.tell(victim);
  CHECK_THAT(driver.said_to_end(), contains("ok"));
}
