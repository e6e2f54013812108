// ctest: TIMEOUT 300
// Each fault point armed in real processes: what DESIGN promises holds all the same.
#include <algorithm>
#include <string>

#include "core/fault.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/failure_driver";

/// Runs the driver with faults in it and in its workers.
command_result run_with(const daemons& cluster, const std::string& faults,
                        std::vector<std::string> words) {
  words.insert(words.begin(), program);
  return run_command(words, {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto",
                             "TROUPE_LOG_LEVEL=warn", "TROUPE_FAULTS=" + faults});
}

void passes_with(const std::string& faults, const std::vector<std::string>& words) {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  const command_result ran = run_with(cluster, faults, words);
  INFO(faults << ": " << ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
  for (std::size_t begin = 0; begin < faults.size();) {
    const std::size_t end = std::min(faults.find(',', begin), faults.size());
    const std::string entry = faults.substr(begin, end - begin);
    CHECK_THAT(ran.err, contains("the fault " + entry.substr(0, entry.find('=')) + " happens"));
    begin = end + 1;
  }
}

/// Of links: often, but not always, so that something comes through.
const std::vector<std::string> link_faults{
    "link.duplicate=0.3@1",      "link.lost_batch=0.1@2",   "link.lost_ack=0.5@3",
    "link.cut_after_send=0.1@4", "link.tiny_buffer=always", "owner.lease_returned_at_once=always"};

}  // namespace

TEST_CASE("calls run once and in order whatever a link does to their messages") {
  const std::string fault = GENERATE(from_range(link_faults));
  passes_with(fault, {"ordered_calls", "3"});
}

TEST_CASE("calls are answered although threads that read for others are held up when they leave") {
  passes_with("endpoint.held_up_at_leaving=always", {"ordered_calls", "3"});
}

TEST_CASE("tasks that must not run again run once whatever a link does to their messages") {
  const std::string fault = GENERATE(from_range(link_faults));
  const temp_folder folder;
  passes_with(fault, {"strict_tasks", folder / "ran"});
}

TEST_CASE("all faults of links at once change nothing either") {
  const temp_folder folder;
  passes_with(
      "link.duplicate=0.1@1,link.lost_batch=0.02@2,link.lost_ack=0.2@3,link.cut_after_send=0.01@4,"
      "link.tiny_buffer=0.5@5",
      {"strict_tasks", folder / "ran"});
}

TEST_CASE("a result that is lost with its worker is made again, or is an error") {
  const temp_folder folder;
  passes_with("worker.exit_before_reply=once@3", {"lost_result", folder / "ran"});
}

TEST_CASE("an actor's result that is lost with its process is made again, or is an error") {
  const temp_folder folder;
  passes_with("worker.exit_before_call_reply=once@3", {"lost_call_result", folder / "ran"});
}

TEST_CASE("a worker that exits when its lease begins costs an attempt and no more") {
  passes_with("worker.exit_at_lease=once@2,owner.lease_returned_at_once=always", {"persistent"});
}

TEST_CASE(
    "workers that exit before they have registered fail what waits for them, with the cause") {
  passes_with("worker.exit_at_start=always", {"stillborn"});
}

TEST_CASE("a node that is late with its heartbeats is not given up") {
  const daemons cluster;
  const auto head = cluster.start_head("head", {"--num-cpus=1", "--silence=5"});
  const command_result started = cluster.troupe(
      {"start", "--node-name=late", "--num-cpus=2", "--address=" + head.head, "--silence=5"},
      {"TROUPE_FAULTS=node.slow_heartbeat=0.7@1"});
  REQUIRE(started.code == 0);
  const temp_folder folder;
  for (int i = 0; i < 3; ++i) {
    const command_result ran =
        run_with(cluster, "", {"strict_tasks", folder / ("ran" + std::to_string(i))});
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
  }
  CHECK(cluster.log_of("head").find("late' is gone") == std::string::npos);
  CHECK_THAT(cluster.troupe({"status"}).out, contains("late"));
}

TEST_CASE("a fault that does not exist is an error at the start") {
  const daemons cluster;
  const command_result started = cluster.troupe({"start", "--head", "--port=0", "--node-name=head"},
                                                {"TROUPE_FAULTS=link.typo=once"});
  CHECK(started.code == 2);
  CHECK_THAT(started.err, contains("TROUPE_FAULTS: \"link.typo\" is no fault point") &&
                              contains("link.lost_batch"));
  cluster.start_head("head");
  const command_result ran = run_with(cluster, "link.typo=once", {"persistent"});
  CHECK(ran.code != 0);
  CHECK_THAT(ran.err, contains("TROUPE_FAULTS: \"link.typo\" is no fault point"));
}
