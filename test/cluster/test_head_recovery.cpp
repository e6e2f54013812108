// ctest: TIMEOUT 600
// Heads that are killed and started again: what their cluster had goes on.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"

using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/head_driver";

/// A head without CPUs, and nodes with the rest.
class mortal_head {
 public:
  explicit mortal_head(const std::string& faults = {}) {
    start({"--port=0"}, faults);
    const std::string head = cluster.file_of("h").head;
    port_ = head.substr(head.rfind(':') + 1);
  }

  void add_node(const std::string& name, const std::string& cpus = "2") const {
    cluster.start_node(name, cluster.file_of("h").head, {"--num-cpus=" + cpus, "--silence=4"});
  }
  void kill_head() const {
    const auto pid = cluster.file_of("h").pid;
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    REQUIRE(head_died());
  }
  bool head_died() const {
    return eventually([&] { return !troupe::net::node_runs(cluster.base() + "/h"); });
  }
  void start_again() const { start({"--port=" + port_}, {}); }
  nlohmann::json status() const {
    const auto said = cluster.troupe({"status", "--json"});
    INFO(said.err);
    REQUIRE(said.code == 0);
    return nlohmann::json::parse(said.out);
  }
  /// Nodes that are there, and are not only expected to come back.
  std::size_t nodes() const {
    std::size_t count = 0;
    const auto now = status();
    for (const auto& node : now["nodes"]) count += node["awaited"] ? 0 : 1;
    return count;
  }
  /// A program's node is not the head's, which dies.
  std::vector<std::string> environment(const std::string& node) const {
    return {"TROUPE_SESSION_BASE=" + cluster.base(),
            "TROUPE_ADDRESS=" + cluster.file_of(node).self.remote, "TROUPE_LOG_LEVEL=error"};
  }
  std::string run(const std::string& node, std::vector<std::string> words) const {
    words.insert(words.begin(), program);
    const command_result ran = run_command(words, environment(node));
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
    return ran.out;
  }
  /// A program that asks for things while there is no head, and gets them when there is one again.
  void passes_without_head(const std::string& node, std::vector<std::string> words) const {
    words.insert(words.begin(), program);
    started_program driver(words, environment(node));
    REQUIRE(driver.hear_number("ready") == 1);
    kill_head();
    driver.tell("on");
    REQUIRE(driver.hear_number("asked") == 1);
    start_again();
    driver.tell("on");
    CHECK_THAT(driver.said_to_end(), contains("ok"));
  }
  std::string notes() const { return (folder_.path() / "notes").string(); }
  /// Each life that the actor has begun.
  std::vector<std::string> lives() const {
    std::vector<std::string> all;
    std::ifstream file(notes());
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }

  const daemons cluster;

 private:
  void start(std::vector<std::string> words, const std::string& faults) const {
    words.insert(words.begin(),
                 {"start", "--head", "--node-name=h", "--num-cpus=0", "--silence=4"});
    std::vector<std::string> environment;
    if (!faults.empty()) environment.push_back("TROUPE_FAULTS=" + faults);
    const command_result began = cluster.troupe(words, environment);
    INFO(began.out << began.err);
    REQUIRE(began.code == 0);
  }

  temp_folder folder_;
  std::string port_;
};

long number_in(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word + " ");
  return at == std::string::npos ? 0 : std::stol(text.substr(at + word.size() + 1));
}

}  // namespace

TEST_CASE("a named actor lives on when the head is killed and started again, and again") {
  const mortal_head it;
  it.add_node("n1");
  const long pid = number_in(it.run("n1", {"make", it.notes()}), "pid");
  REQUIRE(pid != 0);
  for (int life = 2; life <= 4; ++life) {
    it.kill_head();
    it.start_again();
    CHECK(number_in(it.run("n1", {"find", std::to_string(pid)}), "sum") == life + 2);
    CHECK(it.status()["head_life"] == life);
    CHECK(it.status()["actors"].size() == 1);
  }
  CHECK(it.lives().size() == 1);
  it.run("n1", {"end_it"});
  CHECK(it.status()["actors"].empty());
}

TEST_CASE("a program's work goes on while the head is away, and its questions are answered after") {
  const mortal_head it;
  it.add_node("n1");
  it.passes_without_head("n1", {"goes_on", it.notes()});
  CHECK(it.lives().size() == 1);
}

TEST_CASE("a placement group and what runs in it outlive the head") {
  const mortal_head it;
  it.add_node("n1", "1");
  it.add_node("n2", "2");
  it.passes_without_head("n1", {"holds_group"});
  CHECK(eventually([&] { return it.status()["placement_groups"].empty(); }));
}

TEST_CASE("a node that dies while the head is away is found dead, and its actor begins elsewhere") {
  const mortal_head it;
  it.add_node("n1");
  const long pid = number_in(it.run("n1", {"make", it.notes(), "-1"}), "pid");
  it.add_node("n2");
  const auto node = it.cluster.file_of("n1").pid;
  it.kill_head();
  ::kill(static_cast<pid_t>(node), SIGKILL);
  REQUIRE(eventually([&] { return !process_lives(node); }));
  it.start_again();
  it.run("n2", {"find_elsewhere", std::to_string(pid)});
  const auto lives = it.lives();
  REQUIRE(lives.size() == 2);
  CHECK_THAT(lives[1], contains("life "));
}

TEST_CASE("values of a node that dies while the head is away are lost at once") {
  const mortal_head it;
  it.add_node("n1", "0");
  it.add_node("n2", "1");
  started_program driver({program, "loses_values"}, it.environment("n1"));
  REQUIRE(driver.hear_number("ready") == 1);
  const auto node = it.cluster.file_of("n2").pid;
  it.kill_head();
  ::kill(static_cast<pid_t>(node), SIGKILL);
  REQUIRE(eventually([&] { return !process_lives(node); }));
  driver.tell("on");
  CHECK_THAT(driver.said_to_end(), contains("ok"));
}

TEST_CASE("a program that dies while the head is away leaves nothing behind") {
  const mortal_head it;
  it.add_node("n1");
  started_program driver({program, "waits"}, it.environment("n1"));
  const long pid = driver.hear_number("ready");
  REQUIRE(pid != 0);
  it.kill_head();
  ::kill(static_cast<pid_t>(pid), SIGKILL);
  driver.said_to_end();
  it.start_again();
  CHECK(eventually([&] {
    const auto now = it.status();
    double used = 0;
    for (const auto& node : now["nodes"]) {
      if (node["name"] == "n1") used += node["resources"]["CPU"]["used"].get<double>();
    }
    return now["jobs"] == 0 && now["actors"].empty() && used == 0 && it.nodes() == 2;
  }));
}

TEST_CASE("a node ends when its head was not started again in time, and says so") {
  const mortal_head it;
  it.cluster.start_node("n1", it.cluster.file_of("h").head, {"--num-cpus=1", "--rejoin=1"});
  const long worker = number_in(it.run("n1", {"make", it.notes()}), "pid");
  REQUIRE(process_lives(worker));
  const auto node = it.cluster.file_of("n1").pid;
  it.kill_head();
  CHECK(eventually([&] { return !process_lives(node) && !process_lives(worker); }));
  CHECK_THAT(it.cluster.log_of("n1"), contains("was not started again within 1 s"));
}

TEST_CASE("the head may die at any step of an actor's creation: there is one life of it") {
  const std::string step =
      GENERATE("head.exit_at_adoption", "head.exit_before_asking_lease", "head.exit_before_reply",
               "head.exit_after_reply", "head.exit_at_grant", "head.exit_before_creation",
               "head.exit_after_creation", "head.exit_at_created", "head.exit_before_publishing");
  INFO(step);
  const mortal_head it(step + "=once");
  it.add_node("n1");
  started_program driver({program, "make", it.notes()}, it.environment("n1"));
  REQUIRE(it.head_died());
  it.start_again();
  const std::string said = driver.said_to_end();
  CHECK_THAT(said, contains("ok"));
  CHECK(it.lives().size() == 1);
  CHECK(number_in(it.run("n1", {"find"}), "sum") == 4);
  CHECK(it.status()["actors"].size() == 1);
}

TEST_CASE("a cluster that was stopped is not taken up again") {
  const mortal_head it;
  it.add_node("n1");
  it.run("n1", {"make", it.notes()});
  const bool by_force = GENERATE(false, true);
  std::vector<std::string> words{"stop", "--all"};
  if (by_force) words.emplace_back("--force");
  REQUIRE(it.cluster.troupe(words).code == 0);
  it.start_again();
  it.add_node("n1");
  CHECK(it.status()["head_life"] == 1);
  it.run("n1", {"is_gone"});
}

TEST_CASE("a head whose store cannot be used says what is wrong with it, and what to do") {
  const daemons cluster;
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  const auto start = [&] {
    return cluster.troupe({"start", "--head", "--port=0", "--node-name=h", "--store=" + path});
  };
  REQUIRE(start().code == 0);
  const auto pid = cluster.file_of("h").pid;

  SECTION("another head has it open") {
    const command_result second =
        cluster.troupe({"start", "--head", "--port=0", "--node-name=h2", "--store=" + path});
    CHECK(second.code == 1);
    CHECK_THAT(second.err, contains("does a head run with this store already?"));
  }
  SECTION("it is damaged") {
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    REQUIRE(eventually([&] { return !troupe::net::node_runs(cluster.base() + "/h"); }));
    std::ofstream(path, std::ios::trunc) << std::string(10'000, 'x');
    std::filesystem::remove(path + "-wal");  // from which SQLite would mend it
    const command_result again = start();
    CHECK(again.code == 1);
    CHECK_THAT(again.err, contains(path) && contains("damaged") && contains("move it away"));
  }
  SECTION("it lies where nothing can be written") {
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    REQUIRE(eventually([&] { return !troupe::net::node_runs(cluster.base() + "/h"); }));
    const command_result nowhere = cluster.troupe(
        {"start", "--head", "--port=0", "--node-name=h", "--store=/no/such/folder/store"});
    CHECK(nowhere.code == 1);
    CHECK_THAT(nowhere.err, contains("/no/such/folder/store") && contains("--store"));
  }
}
