// ctest: TIMEOUT 300
// Large objects on real nodes: read in place, spilled, pulled, and freed with whoever dies.
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/object_driver";

std::vector<std::string> variables(const daemons& cluster) {
  return {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"};
}

void passes(const daemons& cluster, std::vector<std::string> words) {
  words.insert(words.begin(), program);
  const command_result ran = run_command(words, variables(cluster));
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}

nlohmann::json memory_of(const daemons& cluster) {
  const command_result ran = cluster.troupe({"memory", "--json"});
  INFO(ran.out << ran.err);
  REQUIRE(ran.code == 0);
  return nlohmann::json::parse(ran.out).at("nodes");
}

/// A head that spills to a disk of so many mebibytes, which it alone sees. False where only root
/// can mount one.
bool start_with_disk(const daemons& cluster, const std::string& place, int mebibytes,
                     int store_patience) {
  const command_result started =
      run_command({"/usr/bin/unshare", "--mount", "/bin/bash", "-c",
                   "mount -t tmpfs -o size=" + std::to_string(mebibytes) + "m none '" + place +
                       "' && exec '" + TROUPE_TEST_BINARY_DIR +
                       "/tools/troupe' start --head --port=0 --node-name=head --num-cpus=1"
                       " --object-store-memory=1MiB --store-patience=" +
                       std::to_string(store_patience) + " --spill-dir='" + place + "'"},
                  {"TROUPE_SESSION_BASE=" + cluster.base()});
  if (started.code != 0) WARN("only root can mount a small disk: " << started.err);
  return started.code == 0;
}

/// Whether nothing is left in any store, within a while: processes that ended are noticed.
bool all_free(const daemons& cluster) {
  return eventually([&] {
    for (const auto& node : memory_of(cluster)) {
      if (node.at("used") != 0 || node.at("spilled") != 0) return false;
    }
    return true;
  });
}

}  // namespace

TEST_CASE("arrays are read in place in the memory that all processes of the node share") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=256MiB"});
  passes(cluster, {"in_place"});
  CHECK(all_free(cluster));
}

TEST_CASE("large values of all kinds cross processes by the store and leave nothing there") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=256MiB"});
  passes(cluster, {"values"});
  CHECK(all_free(cluster));
}

TEST_CASE("short values, and where large ones lie, come with their refs: the owner is not asked") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=64MiB"});
  passes(cluster, {"along"});
  CHECK(all_free(cluster));
}

TEST_CASE("nobody can write to a value that is sealed") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=64MiB"});
  passes(cluster, {"sealed"});
}

TEST_CASE("a worker that is killed while it writes or reads leaves nothing behind") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=128MiB"});
  passes(cluster, {"deaths"});
  CHECK(all_free(cluster));
}

TEST_CASE("a task that finds its node's store gone has died with the node, and runs again") {
  daemons cluster;
  // Its workers are not ended by the kernel: those that find nothing end by this.
  const std::string silence = "--silence=3";
  const auto head = cluster.start_head("head", {"--num-cpus=1", silence});
  const auto node = cluster.start_node("n1", head.head, {"--num-cpus=1", silence});
  const temp_folder folder;
  started_program driver({program, "outlives", folder / "begun", "n1"},
                         {"TROUPE_SESSION_BASE=" + cluster.base(),
                          "TROUPE_ADDRESS=" + head.self.remote, "TROUPE_LOG_LEVEL=error"});
  REQUIRE(driver.hear_number("running") == 1);
  ::kill(static_cast<pid_t>(node.pid), SIGKILL);
  driver.tell("on");
  CHECK_THAT(driver.said_to_end(), contains("ok"));
}

TEST_CASE("a tiny store holds far more than its memory, by the disk") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=1MiB"});
  passes(cluster, {"spill"});
  CHECK(memory_of(cluster).at(0).at("spills") > 0);
  CHECK(memory_of(cluster).at(0).at("restores") > 0);
  CHECK(all_free(cluster));
}

TEST_CASE("a value larger than the store is an error that says what to do") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=1", "--object-store-memory=1MiB"});
  passes(cluster, {"too_large"});
}

TEST_CASE("a put waits for memory that is being read, and fails when none comes free") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=1", "--object-store-memory=1MiB", "--store-patience=2"});
  passes(cluster, {"pinned"});
  CHECK(all_free(cluster));
}

TEST_CASE("a spill folder that cannot be written is refused when the node starts") {
  daemons cluster;
  const command_result ran =
      cluster.troupe({"start", "--head", "--port=0", "--node-name=head", "--spill-dir=/proc/none"});
  CHECK(ran.code != 0);
  CHECK_THAT(ran.err, contains("/proc/none"));
  CHECK_THAT(ran.err, contains("--spill-dir"));
}

TEST_CASE("a full disk is an error of the put that finds no room, and costs no value") {
  daemons cluster;
  const temp_folder disk;
  const std::string place = disk.path().string();
  if (!start_with_disk(cluster, place, 1, 2)) return;
  passes(cluster, {"full_disk"});
  CHECK_THAT(cluster.log_of("head"), contains("cannot spill an object to " + place));
  CHECK(all_free(cluster));
}

TEST_CASE("a disk that fills up later costs no value, and is used again when it has room") {
  daemons cluster;
  const temp_folder disk;
  const std::string place = disk.path().string();
  if (!start_with_disk(cluster, place, 8, 3)) return;
  const std::string node = std::to_string(cluster.file_of("head").pid);
  const auto there = [&](const std::string& command) {
    return run_command(
        {"/usr/bin/nsenter", "--mount", "--target=" + node, "/bin/bash", "-c", command});
  };
  started_program driver({program, "filling"}, variables(cluster));
  REQUIRE(driver.hear_number("spilled") == 12);
  there("cat /dev/zero > '" + place + "/filler'");  // until the disk is full
  driver.tell("on");
  REQUIRE(driver.hear_number("full") >= 10);
  CHECK_THAT(cluster.log_of("head"), contains("cannot spill an object to " + place));
  REQUIRE(there("rm '" + place + "/filler'").code == 0);
  driver.tell("on");
  CHECK_THAT(driver.said_to_end(), contains("ok"));
  CHECK(all_free(cluster));
}

TEST_CASE("a spill folder that is removed while the node runs costs nothing") {
  daemons cluster;
  const temp_folder disk;
  const std::string place = disk.path().string() + "/spill";
  cluster.start_head("head", {"--num-cpus=1", "--object-store-memory=1MiB", "--store-patience=3",
                              "--spill-dir=" + place});
  std::filesystem::remove_all(place);
  passes(cluster, {"spill"});
  CHECK(all_free(cluster));
}

TEST_CASE("without a store values travel in messages, as on a node that has none") {
  daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=0"});
  passes(cluster, {"values"});
}

TEST_CASE("a task runs where its large arguments lie, unless it is told where to run") {
  daemons cluster;
  // Many CPUs: leases that linger must not make a node look half used.
  const auto head = cluster.start_head("head", {"--num-cpus=16", "--object-store-memory=64MiB"});
  cluster.start_node("b", head.head, {"--num-cpus=16", "--object-store-memory=64MiB"});
  passes(cluster, {"follow", "b", "head"});  // it connects to the node that was started last
  CHECK(all_free(cluster));
}

TEST_CASE("each node gets a value once, however many of its tasks ask, and frees it in the end") {
  daemons cluster;
  const auto head = cluster.start_head("head", {"--num-cpus=2", "--object-store-memory=256MiB"});
  for (const std::string name : {"b", "c", "d"}) {
    cluster.start_node(name, head.head, {"--num-cpus=2", "--object-store-memory=256MiB"});
  }
  passes(cluster, {"nodes", "head", "b", "c", "d"});
  for (const auto& node : memory_of(cluster)) {
    INFO(node.dump());
    CHECK(node.at("pulls") <= 2);  // there are two values
  }
  CHECK(all_free(cluster));
}
