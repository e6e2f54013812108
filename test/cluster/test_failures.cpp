// ctest: TIMEOUT 300
// Real deaths and real breaks: what docs/cluster.md promises when something dies.
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/link_breaker.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/failure_driver";

/// A head with two CPUs and what runs on it.
class failing {
 public:
  failing() : head_(cluster_.start_head("head", {"--num-cpus=2"})) {}

  std::vector<std::string> environment() const {
    return {"TROUPE_SESSION_BASE=" + cluster_.base(), "TROUPE_ADDRESS=" + head_.head,
            "TROUPE_LOG_LEVEL=error"};
  }
  void passes(const std::vector<std::string>& words) const {
    std::vector<std::string> all = words;
    all.insert(all.begin(), program);
    const command_result ran = run_command(all, environment());
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
    CHECK_THAT(ran.out, contains("ok"));
  }
  nlohmann::json status() const {
    return nlohmann::json::parse(cluster_.troupe({"status", "--json"}).out);
  }
  const daemons& cluster() const { return cluster_; }
  const troupe::net::node_file& head() const { return head_; }

 private:
  daemons cluster_;
  troupe::net::node_file head_;
};

/// Breaks all connections of the driver and of its worker whenever its calls are on their way.
void check_unharmed_by_breaks(started_program& driver) {
  const std::int64_t worker = worker_of(driver);
  REQUIRE(worker != 0);
  const link_breaker of_driver(driver.pid());
  const link_breaker of_worker(worker);
  int breaks = 0;
  bool allowed = true;
  while (const auto line = driver.hear()) {
    if (*line != "sent" || !allowed) continue;
    const int broken = of_worker.break_all();
    allowed = broken >= 0 && of_driver.break_all() >= 0;
    if (broken > 0) ++breaks;
  }
  const std::string said = driver.said_to_end();
  INFO(said);
  CHECK_THAT(said, contains("ok"));
  if (!allowed) {
    WARN("this system does not let a test shut down another process's sockets: none was broken");
  } else {
    CHECK(breaks > 0);
  }
}

}  // namespace

TEST_CASE("each way to die ends tasks and actors with the cause and the last words") {
  failing().passes({"deaths"});
}

TEST_CASE("a worker that is killed with tasks and actors on it costs what the options say") {
  const failing on;
  started_program driver({program, "stranded"}, on.environment());
  const std::int64_t worker = worker_of(driver);
  REQUIRE(worker != 0);
  ::kill(static_cast<pid_t>(worker), SIGKILL);
  const std::string said = driver.said_to_end();
  INFO(said);
  CHECK_THAT(said, contains("ok"));
}

TEST_CASE("a driver that is killed leaves its detached actors and nothing else") {
  const failing on;
  std::int64_t worker = 0;
  {
    started_program driver({program, "leave_much"}, on.environment());
    worker = worker_of(driver);
    REQUIRE(worker != 0);
    CHECK(eventually([&] { return on.status()["nodes"][0]["resources"]["CPU"]["used"] == 1; }));
  }
  CHECK(eventually([&] { return !process_lives(worker); }));
  CHECK(eventually([&] {
    const auto now = on.status();
    return now["nodes"][0]["resources"]["CPU"]["used"] == 0 && now["jobs"] == 0 &&
           now["actors"].size() == 1;
  }));
  on.passes({"find_survivor"});
}

TEST_CASE("what a detached actor has got outlives the program that made it, and ends with it") {
  const failing on;
  on.cluster().start_node("n1", on.head().head, {"--num-cpus=2"});
  started_program maker({program, "leave_service"}, on.environment());
  const auto first = maker.hear_numbers("pids");
  REQUIRE(first.size() == 2);
  CHECK_THAT(maker.said_to_end(), contains("ok"));
  CHECK(eventually([&] { return on.status()["jobs"] == 0; }));
  started_program user({program, "use_service", std::to_string(first[0]), std::to_string(first[1])},
                       on.environment());
  const auto all = user.hear_numbers("pids");
  CHECK(all.size() == 4);
  CHECK_THAT(user.said_to_end(), contains("ok"));
  on.passes({"end_service"});
  for (const std::int64_t one : all) {
    CHECK(eventually([&] { return !process_lives(one); }));
  }
}

TEST_CASE("workers whose actors hold one another end with their program, and are not killed") {
  const failing on;
  started_program driver({program, "leave_nested"}, on.environment());
  const auto pids = driver.hear_numbers("pids");
  REQUIRE(pids.size() == 2);
  CHECK_THAT(driver.said_to_end(), contains("ok"));
  CHECK(eventually([&] { return !process_lives(pids[0]) && !process_lives(pids[1]); }));
  std::ifstream log(on.head().session_dir + "/logs/node.log");
  const std::string said{std::istreambuf_iterator<char>(log), {}};
  CHECK_THAT(said, !contains("signal 9"));
}

TEST_CASE("calls over links that break and come back run once and in order") {
  const failing on;
  started_program driver({program, "ordered_calls", "20"}, on.environment());
  check_unharmed_by_breaks(driver);
}

TEST_CASE("so do calls over TCP between two machines") {
  if (::geteuid() != 0) {
    WARN("only root can give a node another host name, so there is one machine here");
    return;
  }
  const failing on;
  // Another host name is another machine: its processes speak TCP with those of this one.
  const command_result started = run_command(
      {"/usr/bin/unshare", "--uts", "/bin/bash", "-c",
       "hostname elsewhere && exec '" TROUPE_TEST_BINARY_DIR "/tools/troupe' start --node-name=far"
       " --num-cpus=2 --address=" +
           on.head().head},
      {"TROUPE_SESSION_BASE=" + on.cluster().base()});
  INFO(started.out << started.err);
  REQUIRE(started.code == 0);
  started_program driver({program, "ordered_calls", "20", "far"}, on.environment());
  check_unharmed_by_breaks(driver);
}
