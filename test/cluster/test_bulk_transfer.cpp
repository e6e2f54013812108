// ctest: TIMEOUT 300
// Large objects between nodes that reach each other by TCP: over data connections, and what becomes
// of it when these are bad, blocked or not wanted.
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/started_program.hpp"
#include "test/support/tcp_proxy.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;

namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/object_driver";

/// Whether this user can give a node a machine of its own.
bool impossible() {
  if (::geteuid() == 0) return false;
  WARN("only root can make a node that takes itself for another machine");
  return true;
}

/// A head here, and a node that it reaches over loopback TCP.
class two_machines {
 public:
  explicit two_machines(const std::vector<std::string>& options = {},
                        const std::vector<std::string>& environment = {}) {
    head_ = cluster_.start_head("head", {"--num-cpus=1", "--object-store-memory=256MiB"});
    std::vector<std::string> all{"--num-cpus=1", "--object-store-memory=256MiB"};
    all.insert(all.end(), options.begin(), options.end());
    far_ = cluster_.start_elsewhere("far", head_.head, all, environment);
  }

  /// 64 MiB there and 64 MiB back, each number compared.
  void cross(int times = 1) const {
    // The driver is at home with the head: the node that is on its machine.
    const command_result ran =
        run_command({program, "crossing", "far", std::to_string(times)},
                    {"TROUPE_SESSION_BASE=" + cluster_.base(),
                     "TROUPE_ADDRESS=" + head_.self.remote, "TROUPE_LOG_LEVEL=error"});
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
    CHECK_THAT(ran.out, contains("ok"));
  }
  nlohmann::json memory_of(const std::string& node) const {
    const command_result ran = cluster_.troupe({"memory", "--json"});
    INFO(ran.out << ran.err);
    REQUIRE(ran.code == 0);
    const nlohmann::json all = nlohmann::json::parse(ran.out);
    for (const auto& one : all.at("nodes")) {
      if (one.at("node") == node) return one;
    }
    throw std::runtime_error("no node " + node);
  }
  bool all_free() const {
    return eventually(
        [&] { return memory_of("head").at("used") == 0 && memory_of("far").at("used") == 0; });
  }
  const daemons& cluster() const { return cluster_; }
  const troupe::net::node_file& far() const { return far_; }

 private:
  daemons cluster_;
  troupe::net::node_file head_;
  troupe::net::node_file far_;
};

/// A port that was free a moment ago.
std::uint16_t free_port() {
  const tcp_proxy one(1);
  const std::string address = one.address();
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

}  // namespace

TEST_CASE("large objects cross machines by data connections, and leave nothing there") {
  if (impossible()) return;
  const two_machines on;
  on.cross(2);
  for (const std::string name : {"head", "far"}) {
    const auto memory = on.memory_of(name);
    CHECK(memory.at("bulk_bytes") >= std::size_t{64} << 20);
    CHECK(memory.at("bulk_refused") == 0);
  }
  CHECK(on.all_free());
}

TEST_CASE("bytes that arrive wrong are refused, and the object is right all the same") {
  if (impossible()) return;
  const two_machines on({}, {"TROUPE_FAULTS=bulk.wrong_bit=once@30"});
  on.cross(2);
  CHECK(on.memory_of("head").at("bulk_refused") == 1);
  CHECK_THAT(on.cluster().log_of("head"), contains("what came is not what was sent"));
  CHECK(on.all_free());
}

TEST_CASE("a data connection that ends half-way costs nothing but its speed") {
  if (impossible()) return;
  const two_machines on({}, {"TROUPE_FAULTS=bulk.cut=once@2"});
  on.cross(2);
  CHECK_THAT(on.cluster().log_of("head"), contains("the other side has closed it"));
  CHECK(on.all_free());
}

TEST_CASE("where no data connection can be made large objects come by the link") {
  if (impossible()) return;
  const two_machines on({}, {"TROUPE_FAULTS=bulk.unreachable=always"});
  on.cross();
  CHECK(on.memory_of("far").at("bulk_bytes") == 0);
  CHECK_THAT(on.cluster().log_of("far"), contains("no data connection to the node at"));
  CHECK_THAT(on.cluster().log_of("far"), contains("--bulk-port"));
  CHECK(on.all_free());
}

TEST_CASE("a node without a data port gives and gets large objects by the link") {
  if (impossible()) return;
  const two_machines on({"--bulk-port=none"});
  on.cross();
  CHECK(on.memory_of("far").at("bulk_bytes") == 0);
  CHECK(on.memory_of("head").at("bulk_bytes") == 0);
}

TEST_CASE("a data port that was named is used, and strangers there are refused") {
  if (impossible()) return;
  const std::uint16_t port = free_port();
  const two_machines on({"--bulk-port=" + std::to_string(port)});
  tcp_client stranger(port);
  stranger.send(std::string(200, 'x'));
  CHECK(stranger.ends_within(60s));
  CHECK(eventually([&] {
    return on.cluster().log_of("far").find("refused a data connection to port " +
                                           std::to_string(port)) != std::string::npos;
  }));
  on.cross();
  CHECK(on.memory_of("head").at("bulk_bytes") > 0);
}

TEST_CASE("a data port that is taken, or is none, is an error that names the option") {
  daemons cluster;
  const tcp_proxy taken(1);
  const std::string port = taken.address().substr(taken.address().rfind(':') + 1);
  for (const std::string& value : {port, std::string("70000"), std::string("some")}) {
    const command_result ran =
        cluster.troupe({"start", "--head", "--port=0", "--node-name=head", "--bulk-port=" + value});
    CHECK(ran.code != 0);
    CHECK_THAT(ran.err, contains("--bulk-port"));
    CHECK_THAT(ran.err, contains(value));
  }
}

// -- a source that dies in the middle -------------------------------------------------------------

namespace {

constexpr int value_mib = 384;

std::size_t descriptors_of(std::int64_t process) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(process) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// A head that reads, and machines that can make values.
struct dying_source {
  dying_source()
      : head(cluster.start_head("head", {"--num-cpus=1", memory})), source(start("source")) {}
  troupe::net::node_file start(const std::string& name) const {
    return cluster.start_elsewhere(name, head.head,
                                   {"--num-cpus=1", memory, "--resources={\"maker\": 1}"});
  }
  /// The program, once its value is made.
  std::unique_ptr<started_program> made(const std::string& again) const {
    auto driver = std::make_unique<started_program>(
        std::vector<std::string>{program, "source_dies", std::to_string(value_mib), again},
        std::vector<std::string>{"TROUPE_SESSION_BASE=" + cluster.base(),
                                 "TROUPE_ADDRESS=" + head.self.remote, "TROUPE_LOG_LEVEL=error"});
    REQUIRE(driver->hear_number("made") > 0);
    return driver;
  }
  /// Of the head's store.
  nlohmann::json use() const {
    const command_result ran = cluster.troupe({"memory", "--json"});
    if (ran.code != 0) return nlohmann::json::object();
    const nlohmann::json all = nlohmann::json::parse(ran.out);
    for (const auto& one : all.at("nodes")) {
      if (one.at("node") == "head") return one;
    }
    return nlohmann::json::object();
  }
  /// Kills the source while the head's store receives its value. False when that was over already.
  bool kill_in_the_middle() const {
    CHECK(eventually([&] { return use().value("used", 0) > 0; }));
    ::kill(static_cast<pid_t>(source.pid), SIGKILL);
    return use().value("pulls", 1) == 0;
  }

  const std::string memory = "--object-store-memory=" + std::to_string(value_mib + 64) + "MiB";
  daemons cluster;
  troupe::net::node_file head;
  troupe::net::node_file source;
};

}  // namespace

TEST_CASE(
    "when a source dies in the middle its value is made again elsewhere, and nothing is left") {
  if (impossible()) return;
  const dying_source on;
  const std::size_t descriptors = descriptors_of(on.head.pid);
  const auto driver = on.made("again");
  static_cast<void>(on.start("spare"));
  driver->tell("on");
  on.kill_in_the_middle();
  const std::string said = driver->said_to_end();
  CHECK_THAT(said, contains("read ok"));
  CHECK(eventually([&] { return on.use().value("used", 1) == 0; }));
  // Those to the node that came are kept for a while.
  CHECK(eventually([&] { return descriptors_of(on.head.pid) <= descriptors + 8; }));
}

TEST_CASE("when a source dies in the middle of what cannot be made again, its reader is told") {
  if (impossible()) return;
  const dying_source on;
  const auto driver = on.made("never");
  driver->tell("on");
  const bool in_the_middle = on.kill_in_the_middle();
  const std::string said = driver->said_to_end();
  INFO(said);
  CHECK_THAT(said, contains("ok"));
  if (in_the_middle) CHECK_THAT(said, contains("lost: "));
  CHECK(eventually([&] { return on.use().value("used", 1) == 0; }));
}
