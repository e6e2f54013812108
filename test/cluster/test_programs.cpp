// ctest: TIMEOUT 300
// Programs on a cluster of real daemons: what works embedded works there, and what dies costs what
// the rules say.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/cluster_driver";

/// Runs scenarios of the driver on a head with two CPUs.
class programs {
 public:
  programs() : head_(cluster_.start_head("head", {"--num-cpus=2"})) {}

  std::vector<std::string> environment() const {
    return {"TROUPE_SESSION_BASE=" + cluster_.base(), "TROUPE_ADDRESS=auto",
            "TROUPE_LOG_LEVEL=error"};
  }
  void passes(const std::string& scenario) const {
    const command_result ran = run_command({program, scenario}, environment());
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
    CHECK_THAT(ran.out, contains("ok"));
  }
  const troupe::net::node_file& head() const { return head_; }
  troupe::net::node_file add_node(const std::string& name) const {
    return cluster_.start_node(name, head_.head, {"--num-cpus=2"});
  }

 private:
  daemons cluster_;
  troupe::net::node_file head_;
};

}  // namespace

TEST_CASE("tasks of a program run in its workers, nested, chained, with views and continuations") {
  programs().passes("tasks");
}

TEST_CASE("what a task throws in a worker is thrown where its result is asked for") {
  programs().passes("errors");
}

TEST_CASE("what no node can run fails at once if asked to, and else waits") {
  programs().passes("infeasible");
}

TEST_CASE("a generator's results come from its worker while it runs") {
  programs().passes("streams");
}

TEST_CASE("a cancel reaches the worker, and its CPU is free again") {
  programs().passes("cancels");
}

TEST_CASE("refs travel in arguments and results, and their objects live as long as they do") {
  programs().passes("objects");
}

TEST_CASE("actors live in workers; their calls keep order, and handles travel") {
  programs().passes("actors");
}

TEST_CASE("a name is one actor's in the whole cluster") { programs().passes("names"); }

TEST_CASE("a shared pool goes to tasks, is found by name and outlives its members' processes") {
  programs().passes("pools");
}

TEST_CASE("a detached actor outlives its program and is found by the next one") {
  const programs on;
  on.passes("leave_detached");
  on.passes("find_detached");
}

TEST_CASE("a task whose worker dies is run again, or fails with the cause of the death") {
  programs().passes("worker_deaths");
}

TEST_CASE("an actor whose process dies begins again as often as it may; its neighbours live on") {
  programs().passes("actor_deaths");
}

TEST_CASE("the workers of a driver that is killed end") {
  const programs on;
  started_program victim({program, "wait_to_be_killed"}, on.environment());
  const std::int64_t worker = worker_of(victim);
  REQUIRE(process_lives(worker));
  victim.kill(SIGKILL);
  CHECK(eventually([&] { return !process_lives(worker); }));
  on.passes("tasks");  // and the next one finds a cluster that works
}

TEST_CASE("a generator whose worker dies goes on in another one, and gives nothing twice") {
  programs().passes("stream_deaths");
}

TEST_CASE("a program whose node is killed gets errors, and ends") {
  const programs on;
  const bool is_head = GENERATE(true, false);
  const troupe::net::node_file node = is_head ? on.head() : on.add_node("n1");
  auto environment = on.environment();
  environment[1] = "TROUPE_ADDRESS=" + node.self.remote;
  started_program driver({program, "lose_node"}, environment);
  const std::int64_t worker = worker_of(driver);
  REQUIRE(worker != 0);
  ::kill(static_cast<pid_t>(node.pid), SIGKILL);
  CHECK_THAT(driver.said_to_end(), contains("ok"));
  CHECK(eventually([&] { return !process_lives(worker); }));
}

TEST_CASE("a program without a cluster says how to get one") {
  const temp_folder nothing;
  const command_result ran =
      run_command({program, "tasks"},
                  {"TROUPE_SESSION_BASE=" + nothing.path().string(), "TROUPE_ADDRESS=auto"});
  CHECK(ran.code != 0);
  CHECK_THAT(ran.err, contains("troupe start --head"));
}
