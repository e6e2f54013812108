// ctest: TIMEOUT 300
// Strangers at the port of a real head: each is refused and logged, and the cluster goes on
// working.
#include <fstream>
#include <list>
#include <string>

#include "net/endpoint.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"
#include "test/support/tcp_proxy.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;

namespace {

/// The first twelve bytes of a greeting of ZMTP 3.0.
const std::string signature("\xff\0\0\0\0\0\0\0\1\x7f\3\0", 12);
/// A whole greeting that asks for CURVE, as a client.
std::string greeting() { return signature + "CURVE" + std::string(64 - 12 - 5, '\0'); }

/// A head that listens by TCP, and a program that comes by it.
class fortress {
 public:
  fortress() : head_(cluster_.start_head("head", {"--num-cpus=2"})) {}

  std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(head_.head.substr(head_.head.rfind(':') + 1)));
  }
  const troupe::net::node_file& head() const { return head_; }
  const daemons& cluster() const { return cluster_; }

  /// Whether the log names a stranger of this machine. Who ends at once may be gone before anybody
  /// could ask where it came from; so the attempt is made again.
  template <class Attempt>
  bool logs(Attempt&& attempt) const {
    return eventually([&] {
      attempt();
      return cluster_.log_of("head").find("refused what came to " + head_.head +
                                          " from 127.0.0.1") != std::string::npos;
    });
  }
  bool logs() const {
    return logs([] {});
  }
  std::uint64_t resident_bytes() const {
    std::ifstream file("/proc/" + std::to_string(head_.pid) + "/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  /// A program runs tasks, and one of another machine, which TCP alone leads to the head, is heard.
  void stands() const {
    const command_result ran = run_command({TROUPE_TEST_BINARY_DIR "/test/cluster_driver", "tasks"},
                                           {"TROUPE_SESSION_BASE=" + cluster_.base(),
                                            "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"});
    INFO(ran.out << ran.err);
    CHECK(ran.code == 0);
    const temp_folder elsewhere;
    const command_result asked =
        run_command({TROUPE_TEST_BINARY_DIR "/tools/troupe", "status", "--address=" + head_.head,
                     "--key-file=" + head_.key_file},
                    {"TROUPE_SESSION_BASE=" + elsewhere.path().string()});
    INFO(asked.err);
    CHECK(asked.code == 0);
  }

 private:
  daemons cluster_;
  troupe::net::node_file head_;
};

}  // namespace

TEST_CASE("a program with another key is refused, told why, and logged") {
  const fortress it;
  const temp_folder elsewhere;
  const std::string key = troupe::net::make_cluster_key();
  const command_result asked = run_command(
      {TROUPE_TEST_BINARY_DIR "/tools/troupe", "status", "--address=" + it.head().head},
      {"TROUPE_SESSION_BASE=" + elsewhere.path().string(), "TROUPE_CLUSTER_KEY=" + key});
  CHECK(asked.code == 4);
  CHECK_THAT(asked.err, contains("cluster key"));
  CHECK(it.logs());
  it.stands();
}

TEST_CASE("a program without a key is refused before it connects") {
  const fortress it;
  const temp_folder elsewhere;
  const command_result ran =
      run_command({TROUPE_TEST_BINARY_DIR "/test/cluster_driver", "tasks"},
                  {"TROUPE_SESSION_BASE=" + elsewhere.path().string(),
                   "TROUPE_ADDRESS=" + it.head().head, "TROUPE_LOG_LEVEL=error"});
  CHECK(ran.code != 0);
  CHECK_THAT(ran.err, contains("cluster key"));
  it.stands();
}

TEST_CASE("HTTP, garbage, a greeting without encryption and silence are cut off and logged") {
  const fortress it;
  const std::string says =
      GENERATE(as<std::string>(), "GET / HTTP/1.1\r\nHost: head\r\n\r\n", std::string(5'000, 'x'),
               signature + "NULL" + std::string(64 - 12 - 4, '\0'), "");
  CHECK(it.logs([&] {
    tcp_client client(it.port());
    client.send(says);
    CHECK(client.read_to_end());
  }));
  it.stands();
}

TEST_CASE("who sends its greeting byte by byte is cut off in time") {
  const fortress it;
  tcp_client slow(it.port());
  const std::string text = greeting();
  const auto begin = std::chrono::steady_clock::now();
  bool cut = false;
  for (std::size_t i = 0; i < text.size() && !cut; ++i) {
    slow.send(text.substr(i, 1));
    cut = slow.ends_within(500ms);
  }
  CHECK(cut);
  CHECK(std::chrono::steady_clock::now() - begin < 30s);  // the greeting alone would take longer
  CHECK(it.logs());
  it.stands();
}

TEST_CASE("who sends without end before it has shown a key fills no memory") {
  const fortress it;
  const std::uint64_t before = it.resident_bytes();
  const std::string megabyte(1 << 20, 'x');
  // A command of a length that nobody has, and one of the longest that is allowed.
  const std::string huge("\x06\x3f\xff\xff\xff\xff\xff\xff\xff", 9);
  const std::string long_command("\x06\0\0\0\0\0\x7f\xff\xff", 9);
  const std::string starts[] = {"", greeting() + huge, greeting() + long_command};
  std::uint64_t most = 0;
  for (const std::string& start : starts) {
    std::list<tcp_client> clients;
    for (int i = 0; i < 8; ++i) clients.emplace_back(it.port()).send(start);
    for (int i = 0; i < 64; ++i) {
      for (tcp_client& client : clients) client.send(megabyte);
      most = std::max(most, it.resident_bytes());
    }
  }
  INFO(before << " bytes before, " << most << " at most");
  CHECK(most < before + (std::uint64_t{100} << 20));  // of 1,536 MiB: 8 MiB for each of 8
  CHECK(it.logs());
  it.stands();
}

TEST_CASE("the bytes of a program that was let in, sent again, let nobody in") {
  const fortress it;
  tcp_proxy proxy(it.port());
  const temp_folder elsewhere;
  const command_result asked =
      run_command({TROUPE_TEST_BINARY_DIR "/tools/troupe", "status", "--address=" + proxy.address(),
                   "--key-file=" + it.head().key_file},
                  {"TROUPE_SESSION_BASE=" + elsewhere.path().string()});
  INFO(asked.err);
  REQUIRE(asked.code == 0);
  const std::string recorded = proxy.recorded();
  REQUIRE(recorded.size() > 300);
  CHECK(it.logs([&] {
    tcp_client client(it.port());
    client.send(recorded);
    CHECK(client.read_to_end());
  }));
  it.stands();
}
