// ctest: TIMEOUT 300
// Machines that a network joins, and that it cuts off with all sockets left open.
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/network_hosts.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"
#include "test/support/witnessed.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;

namespace {

const std::string command = TROUPE_TEST_BINARY_DIR "/tools/troupe";
const std::string program = TROUPE_TEST_BINARY_DIR "/test/recovery_driver";
const std::string head_program = TROUPE_TEST_BINARY_DIR "/test/head_driver";
constexpr int silence = 3;

/// A head, and machines with a CPU each. The session folder is shared, the network is not.
class machines {
 public:
  explicit machines(int seconds = silence) : silence_(seconds), hosts_({"head", "one", "two"}) {
    start_head();
    for (const std::string name : {"one", "two"}) {
      start(name, {"--address=" + head(), "--num-cpus=1"});
    }
  }

  void start_head() const { start("head", {"--head", "--port=6379", "--num-cpus=0"}); }
  /// It is dead when this returns.
  void kill_head() const {
    const auto pid = cluster_.file_of("head").pid;
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    REQUIRE(eventually([&] { return !process_lives(pid); }));
  }
  std::string head() const { return hosts_.address("head") + ":6379"; }
  std::vector<std::string> environment() const {
    return {"TROUPE_SESSION_BASE=" + cluster_.base(), "TROUPE_ADDRESS=" + head(),
            "TROUPE_LOG_LEVEL=error"};
  }
  std::vector<std::string> at_head(std::vector<std::string> words) const {
    return hosts_.at("head", std::move(words));
  }
  std::set<std::string> nodes() const {
    const command_result ran = run_command(at_head({command, "status", "--json"}), environment());
    std::set<std::string> names;
    if (ran.code != 0) return names;
    const nlohmann::json all = nlohmann::json::parse(ran.out);
    for (const auto& node : all.at("nodes")) names.insert(node.at("name"));
    return names;
  }
  /// The machine on which a worker runs.
  std::string machine_of(std::int64_t worker) const {
    std::ifstream file("/proc/" + std::to_string(worker) + "/status");
    for (std::string line; std::getline(file, line);) {
      if (line.rfind("PPid:", 0) != 0) continue;
      for (const std::string name : {"one", "two"}) {
        if (cluster_.file_of(name).pid == std::stoll(line.substr(5))) return name;
      }
    }
    return {};
  }
  /// What a program says that runs on a machine of the cluster, by that machine's node.
  std::string run_at(const std::string& machine, std::vector<std::string> words) const {
    auto by_node = environment();
    by_node[1] = "TROUPE_ADDRESS=" + cluster_.file_of(machine).self.remote;
    const command_result ran = run_command(hosts_.at(machine, std::move(words)), by_node);
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
    return ran.out;
  }
  const network_hosts& network() const { return hosts_; }

 private:
  void start(const std::string& name, std::vector<std::string> options) const {
    options.insert(options.begin(),
                   {command, "start", "--node-name=" + name, "--host=" + hosts_.address(name),
                    "--silence=" + std::to_string(silence_)});
    const command_result ran = run_command(hosts_.at(name, std::move(options)),
                                           {"TROUPE_SESSION_BASE=" + cluster_.base()});
    if (ran.code != 0) throw std::runtime_error("no node " + name + ": " + ran.out + ran.err);
  }

  const int silence_;
  network_hosts hosts_;
  daemons cluster_;  // ends before the network does
};

bool impossible() {
  std::string why;
  if (network_hosts::possible(why)) return false;
  WARN("no hosts can be made here: " << why);
  return true;
}

}  // namespace

TEST_CASE(
    "a machine that is cut off is noticed in time, its actor lives elsewhere and never twice") {
  if (impossible()) return;
  const machines on;
  const temp_folder folder;
  const std::string notes = (folder.path() / "notes").string();
  started_program driver(on.at_head({program, "witness", notes}), on.environment());
  const long first = driver.hear_number("pid");
  REQUIRE(first != 0);
  const std::string lost = on.machine_of(first);
  REQUIRE(!lost.empty());

  const auto cut_at = std::chrono::steady_clock::now();
  on.network().cut(lost);
  driver.tell("on");
  CHECK(eventually([&] { return on.nodes().count(lost) == 0; }));
  const auto noticed = std::chrono::steady_clock::now() - cut_at;
  const long second = driver.hear_number("again");
  REQUIRE(second != 0);
  INFO("noticed after " << std::chrono::duration<double>(noticed).count() << " s");
  // The deadline, and time for a slow test.
  CHECK(noticed < std::chrono::seconds(silence) + 5s);
  CHECK(witnessed_of(notes, first).last < witnessed_of(notes, second).first);
  CHECK(eventually([&] { return !process_lives(first); }));

  // The network heals: the machine is a new node, the actor stays where it is.
  on.network().heal(lost);
  CHECK(eventually([&] { return on.nodes().size() == 3; }));
  driver.tell("on");
  CHECK_THAT(driver.said_to_end(), contains("ok"));
  const command_result ran = run_command(on.at_head({program, "runs_on", lost}), on.environment());
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
}

TEST_CASE("a partition shorter than the deadline costs nothing") {
  if (impossible()) return;
  const machines on(20);
  const temp_folder folder;
  started_program driver(on.at_head({program, "steady", "one", "two"}), on.environment());
  REQUIRE(driver.hear_number("ready") == 1);
  on.network().cut("one");
  // Shorter than the time after which the node itself gives up, 3/5 of the silence, also where
  // everything is slow.
  driver.tell("on");
  REQUIRE(driver.hear_number("waits") == 1);
  on.network().heal("one");
  CHECK_THAT(driver.said_to_end(), contains("ok"));
  CHECK(on.nodes().size() == 3);
}

TEST_CASE("a program whose machine is cut off is told, and its job ends in the cluster") {
  if (impossible()) return;
  const machines on;
  // It runs on a machine of the cluster, by that machine's node.
  auto environment = on.environment();
  environment[1] = "TROUPE_ADDRESS=auto";
  started_program driver(on.network().at("two", {program, "cut_off", "two"}), environment);
  const long worker = driver.hear_number("ready");
  REQUIRE(worker != 0);
  on.network().cut("two");
  driver.tell("on");
  CHECK_THAT(driver.said_to_end(), contains("ok"));
  CHECK(eventually([&] { return !process_lives(worker); }));
  CHECK(eventually([&] { return on.nodes() == std::set<std::string>{"head", "one"}; }));
  on.network().heal("two");
  CHECK(eventually([&] { return on.nodes().size() == 3; }));
}

TEST_CASE("nodes of other machines come back to a head that was killed and started again") {
  if (impossible()) return;
  const machines on;
  const temp_folder folder;
  const std::string made =
      on.run_at("one", {head_program, "make", (folder.path() / "notes").string()});
  REQUIRE_THAT(made, contains("pid "));
  const std::string pid = made.substr(made.find("pid ") + 4);
  on.kill_head();
  on.start_head();
  // The same life of the actor, found from another machine.
  const std::string found =
      on.run_at("two", {head_program, "find", std::to_string(std::stol(pid))});
  CHECK_THAT(found, contains("sum 4"));
  CHECK(on.nodes() == std::set<std::string>{"head", "one", "two"});
}
