// ctest: TIMEOUT 300
// Nodes that the cluster has taken for dead, and that are not: they are fenced and come back as new
// ones.
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"
#include "test/support/witnessed.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/recovery_driver";

/// The programs' own node is the head, which stays.
std::vector<std::string> environment_of(const daemons& cluster) {
  return {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=" + cluster.file_of("h").head,
          "TROUPE_LOG_LEVEL=error"};
}

std::size_t nodes_of(const daemons& cluster) {
  const auto status = nlohmann::json::parse(cluster.troupe({"status", "--json"}).out);
  std::size_t count = 0;
  for (const auto& node : status["nodes"]) count += node["awaited"] ? 0 : 1;
  return count;
}

std::int64_t parent_of(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("PPid:", 0) == 0) return std::stoll(line.substr(5));
  }
  return 0;
}

}  // namespace

TEST_CASE("a node that was stopped past the deadline is fenced: nothing of it lives twice") {
  const daemons cluster;
  const auto head = cluster.start_head("h", {"--num-cpus=0", "--silence=3"});
  std::map<std::int64_t, std::string> names;
  for (const char* const name : {"n1", "n2"}) {
    const auto node = cluster.start_node(name, head.head, {"--num-cpus=1", "--silence=3"});
    names[node.pid] = name;
  }
  const temp_folder folder;
  const std::string notes = (folder.path() / "notes").string();
  started_program driver({program, "witness", notes}, environment_of(cluster));
  const long first = driver.hear_number("pid");
  REQUIRE(first != 0);
  const auto stopped = static_cast<pid_t>(parent_of(first));
  REQUIRE(names.count(stopped) == 1);
  ::kill(stopped, SIGSTOP);
  driver.tell("on");
  const long second = driver.hear_number("again");
  ::kill(stopped, SIGCONT);
  driver.tell("on");
  CHECK_THAT(driver.said_to_end(), contains("ok"));

  // The one life had ended before the other began.
  REQUIRE(witnessed_of(notes, second).first != 0);
  CHECK(witnessed_of(notes, first).last < witnessed_of(notes, second).first);

  // The daemon has ended what it had and is a new node now.
  CHECK(process_lives(stopped));
  CHECK(eventually([&] { return nodes_of(cluster) == 3; }));
  CHECK(!process_lives(first));
  const command_result ran =
      run_command({program, "runs_on", names.at(stopped)}, environment_of(cluster));
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
}

TEST_CASE("nodes join the head again that was killed and started anew at its address") {
  const daemons cluster;
  const auto head = cluster.start_head("h", {"--num-cpus=0", "--silence=3"});
  const std::string port = head.head.substr(head.head.rfind(':') + 1);
  const auto node = cluster.start_node("n1", head.head, {"--num-cpus=1", "--silence=3"});
  ::kill(static_cast<pid_t>(head.pid), SIGKILL);
  REQUIRE(eventually([&] { return !troupe::net::node_runs(head.session_dir); }));
  const command_result again = cluster.troupe(
      {"start", "--head", "--port=" + port, "--node-name=h", "--num-cpus=0", "--silence=3"});
  INFO(again.out << again.err);
  REQUIRE(again.code == 0);
  CHECK(eventually([&] { return nodes_of(cluster) == 2; }));
  CHECK(process_lives(node.pid));
  const command_result ran = run_command({program, "runs_on", "n1"}, environment_of(cluster));
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
}
