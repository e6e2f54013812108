// ctest: TIMEOUT 300
// Worker processes on a cluster of real daemons: what they print, which GPUs they have, and what
// they are started with.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/worker_env_driver";

std::vector<std::string> environment_of(const daemons& cluster) {
  return {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"};
}

void passes(const daemons& cluster, const std::string& scenario,
            const std::vector<std::string>& more = {}, const std::string& file = program) {
  std::vector<std::string> variables = more;  // the first of a name counts
  for (const std::string& usual : environment_of(cluster)) variables.push_back(usual);
  const command_result ran = run_command({file, scenario}, variables);
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}

started_program start_program(const daemons& cluster, std::vector<std::string> words,
                              const std::vector<std::string>& more = {}) {
  std::vector<std::string> variables = environment_of(cluster);
  variables.insert(variables.end(), more.begin(), more.end());
  return {std::move(words), variables};
}

/// Lines that it has said that begin with this and end with that, whatever is between.
std::size_t count(const started_program& driver, const std::string& begin, const std::string& end) {
  std::istringstream all(driver.said());
  std::size_t found = 0;
  for (std::string line; std::getline(all, line);) {
    found += line.starts_with(begin) && line.ends_with(end) ? 1 : 0;
  }
  return found;
}

/// All that lies in the worker logs of a node.
std::string worker_logs(const daemons& cluster, const std::string& node) {
  std::string text;
  for (const auto& entry :
       std::filesystem::directory_iterator(cluster.base() + "/" + node + "/logs")) {
    if (entry.path().filename().string().rfind("worker-", 0) != 0) continue;
    std::ostringstream all;
    all << std::ifstream(entry.path()).rdbuf();
    text += all.str();
  }
  return text;
}

}  // namespace

TEST_CASE("a line of a worker comes with the function or actor that printed it") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  started_program driver = start_program(cluster, {program, "output"});
  REQUIRE(driver.says("parrot says 5"));
  REQUIRE(driver.says("ok\n"));
  INFO(driver.said());
  CHECK(count(driver, "(by_printf pid=", " node=head) printf says 1, whole") == 1);
  CHECK(count(driver, "(by_streams pid=", " node=head) cout says 2") == 1);
  CHECK(count(driver, "(by_streams pid=", " node=head) cerr says 2") == 1);
  CHECK(count(driver, "(worker_env_driver pid=", " node=head) write says it") == 1);
  CHECK(count(driver, "(parrot pid=", " node=head) parrot says 4") == 1);
  CHECK(count(driver, "(polly pid=", " node=head) parrot says 5") == 1);
  const std::string logs = worker_logs(cluster, "head");
  CHECK_THAT(logs, contains("printf says 1, whole\n"));
  CHECK_THAT(logs, contains("cerr says 2\n"));
  CHECK(logs.find('\x1e') == std::string::npos);
}

TEST_CASE("lines of tasks that print at once stay whole") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=4"});
  started_program driver = start_program(cluster, {program, "output_of_many"});
  REQUIRE(driver.says("ok\n"));
  const auto whole = [&] {
    std::size_t lines = 0;
    for (int n = 0; n < 4; ++n) {
      for (const int i : {0, 1'000, 1'999}) {
        lines += count(driver, "(many_lines pid=",
                       ") half " + std::to_string(n) + "-" + std::to_string(i) + " and half");
      }
    }
    return lines;
  };
  CHECK(eventually([&] { return whole() == 12; }));
  CHECK(count(driver, "(many_lines pid=", " and half") == 8'000);
}

TEST_CASE("a line that many workers print is shown once, unless that is switched off") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  {
    started_program driver = start_program(cluster, {program, "output_repeated"});
    CHECK(driver.says("the same everywhere [repeated 3x across cluster]"));
    CHECK(count(driver, "(same_line pid=", "the same everywhere") == 1);
  }
  started_program driver =
      start_program(cluster, {program, "output_repeated"}, {"TROUPE_DEDUP_OUTPUT=false"});
  CHECK(eventually([&] { return count(driver, "(same_line pid=", "the same everywhere") == 4; }));
}

TEST_CASE("the logs of workers are of bounded size and number") {
  const daemons cluster;
  cluster.start_head("head",
                     {"--num-cpus=4", "--log-bytes=8k", "--log-files=2", "--worker-logs=2"});
  {
    started_program driver = start_program(cluster, {program, "output_of_many"});
    REQUIRE(driver.says("half 3-1999 and half"));
    // While others still print, what is read may be a file that is just being renamed.
    CHECK(eventually([&] {
      const std::string logs = worker_logs(cluster, "head");
      return logs.size() <= 16'384 && logs.find("-1999 and half\n") != std::string::npos;
    }));
  }
  started_program driver = start_program(cluster, {program, "output_repeated"});
  REQUIRE(driver.says("ok\n"));
  // Isolated workers end with their lease; the logs of the last two are kept, and the living one's.
  const auto logs = [&] {
    std::size_t out = 0;
    for (const auto& entry : std::filesystem::directory_iterator(cluster.base() + "/head/logs")) {
      out += entry.path().extension() == ".out" ? 1 : 0;
    }
    return out;
  };
  CHECK(eventually([&] { return logs() == 3; }));
}

TEST_CASE("tasks and actors of a cluster know their GPUs") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--num-gpus=4"});
  passes(cluster, "gpus");
}

TEST_CASE("a program whose file is gone, or another one by now, comes to nodes from the program") {
  const daemons cluster;
  const auto head = cluster.start_head("head", {"--num-cpus=2"});
  cluster.start_node("second", head.head, {"--num-cpus=2"});
  for (const char* const scenario : {"deleted", "replaced"}) {
    const temp_folder folder;
    const std::string copy = folder / "moved_program";
    std::filesystem::copy_file(program, copy);
    passes(cluster, scenario, {"TROUPE_ADDRESS=" + head.head}, copy);
  }
  // Both had the same content: one copy, which only its owner can enter and run.
  std::size_t copies = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(cluster.base() + "/second/packages")) {
    ++copies;
    CHECK((entry.status().permissions() & std::filesystem::perms::all) ==
          std::filesystem::perms::owner_all);
  }
  CHECK(copies == 1);
}

TEST_CASE("a node that is told so runs checked copies only") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--copies-only"});
  passes(cluster, "copied");
  passes(cluster, "copied");
}

TEST_CASE("a package that a node has no room for is an error that says so") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2", "--copies-only", "--package-bytes=10k"});
  const command_result ran = run_command({program, "copied"}, environment_of(cluster));
  CHECK(ran.code != 0);
  CHECK_THAT(ran.out, contains("could not be fetched") && contains("this node keeps"));
}

TEST_CASE("a detached actor begins anew when its program is gone from every disk") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  const temp_folder folder;
  const std::string copy = folder / "leaving_program";
  std::filesystem::copy_file(program, copy);
  const command_result left = run_command({copy, "leave_survivor"}, environment_of(cluster));
  INFO(left.out << left.err);
  REQUIRE(left.code == 0);
  std::filesystem::remove(copy);
  const pid_t host = std::stoi(left.out.substr(left.out.find("host ") + 5));
  ::kill(host, SIGKILL);
  passes(cluster, "find_survivor");
}

namespace {

/// What the scenarios of environments find in $TEST_FOLDER.
struct given_files {
  given_files() {
    folder.write("data/one.txt", "one");
    folder.write("data/sub/two.txt", "two");
    folder.write("three.txt", "three");
    std::filesystem::create_symlink("one.txt", folder / "data/link.txt");
    folder.write("big/file", std::string(200'000, 'x'));
    std::filesystem::create_directory(folder / "escape");
    std::filesystem::create_symlink("../three.txt", folder / "escape/link.txt");
  }
  std::string variable() const { return "TEST_FOLDER=" + folder.path().string(); }
  temp_folder folder;
};

const std::string library = TROUPE_TEST_BINARY_DIR "/test/libservice_library.so";

}  // namespace

TEST_CASE("tasks and actors get the environment that they ask for, in workers of its own") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  const given_files files;
  passes(cluster, "environment", {files.variable()});
}

TEST_CASE("an environment that cannot be had is an error with its cause, for all who need it") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  const given_files files;
  passes(cluster, "bad_environments", {files.variable()});
}

TEST_CASE("a job's environment is that of its workers") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  passes(cluster, "job_environment");
}

TEST_CASE("a job whose tasks are in a shared library brings it to its workers") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=2"});
  passes(cluster, "libraries", {"TEST_LIBRARY=" + library});
}

TEST_CASE("the generic worker hosts the actors of a library for other programs") {
  const daemons cluster;
  const auto head = cluster.start_head("head", {"--num-cpus=2"});
  SECTION("as long as it runs") {
    started_program host = start_program(
        cluster, {TROUPE_TEST_BINARY_DIR "/tools/troupe", "worker", "--load", library});
    REQUIRE(host.says("serving"));
    passes(cluster, "use_service");
    host.kill(SIGTERM);
    CHECK(host.ended_within(started_program::patience));
  }
  SECTION("and after it, when they are detached") {
    const command_result started =
        cluster.troupe({"worker", "--load", library, "--once", "--address", head.head});
    INFO(started.out << started.err);
    REQUIRE(started.code == 0);
    passes(cluster, "use_service");
  }
}

TEST_CASE("the generic worker says what it lacks") {
  const daemons cluster;
  CHECK(cluster.troupe({"worker"}).code == 2);
  CHECK_THAT(cluster.troupe({"worker", "--help"}).out, contains("troupe_start"));
  cluster.start_head("head", {"--num-cpus=1"});
  const command_result missing = cluster.troupe({"worker", "--load", "/no/such.so"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, contains("/no/such.so"));
}
