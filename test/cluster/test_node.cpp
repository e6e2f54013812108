// ctest: TIMEOUT 240
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "net/introduction.hpp"
#include "net/spawn.hpp"
#include "test/support/catch.hpp"
#include "test/support/cluster_member.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

net::peer node_of_worker() {
  std::stringstream text(std::getenv("TROUPE_WORKER_NODE"));
  std::string id;
  net::peer node;
  std::getline(text, id, '|');
  std::getline(text, node.host, '|');
  std::getline(text, node.local, '|');
  std::getline(text, node.remote);
  node.id = std::stoull(id, nullptr, 16);
  return node;
}

std::string own_executable() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path));
  return {path, static_cast<std::size_t>(size)};
}

net::demand cpus(std::int64_t amount) { return {{"CPU", amount * 10'000}}; }

/// A driver whose workers are this executable, as the hidden test case below.
class driver : public cluster_member {
 public:
  explicit driver(const net::node_file& file, std::vector<std::string> environment = {},
                  std::string executable = own_executable(), std::int64_t pid = ::getpid())
      : cluster_member(file) {
    net::register_process hello;
    hello.role = net::process_role::driver;
    hello.pid = pid;
    hello.executable = std::move(executable);
    hello.arguments = {hello.executable, "[.worker]"};
    hello.environment = std::move(environment);
    hello.environment.emplace_back("TEST_PLAYS_WORKER=1");  // else its main would be a worker
    hello.working_dir = file.session_dir;
    if (const int fd = ::open(hello.executable.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0) {
      hello.executable_file = net::describe_file(fd);
      ::close(fd);
    }
    tell(hello);
    greeting = expect<net::registered>();
  }

  /// Asks the node, and whom it names instead, until one grants.
  net::lease_granted lease(net::request_lease wanted) {
    wanted.request = ++last_request_;
    wanted.job = greeting.job;
    net::peer at = node();
    for (;;) {
      tell(at.id, wanted);
      std::string refused;
      bool redirected = false;
      const auto answer = expect_answer(wanted.request, refused, redirected, at);
      if (answer) return *answer;
      if (!redirected) throw std::runtime_error(refused);
      ++wanted.redirections;
    }
  }
  net::lease_granted lease(std::int64_t amount) {
    net::request_lease wanted;
    wanted.wanted = cpus(amount);
    return lease(wanted);
  }

  net::registered greeting;

 private:
  std::optional<net::lease_granted> expect_answer(std::uint64_t request, std::string& refused,
                                                  bool& redirected, net::peer& at) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
      if (count<net::lease_granted>() > 0) {
        return expect<net::lease_granted>([&](const auto& g) { return g.request == request; });
      }
      if (count<net::lease_refused>() > 0) {
        refused = expect<net::lease_refused>().text;
        return std::nullopt;
      }
      if (count<net::lease_redirected>() > 0) {
        at = expect<net::lease_redirected>().node;
        endpoint().learn(at);
        redirected = true;
        return std::nullopt;
      }
      std::this_thread::yield();
    }
    throw std::runtime_error("the request has no answer");
  }

  std::uint64_t last_request_ = 0;
};

nlohmann::json status_of(const daemons& here) {
  const command_result result = here.troupe({"status", "--json"});
  REQUIRE(result.err == "");
  REQUIRE(result.code == 0);
  return nlohmann::json::parse(result.out);
}

std::int64_t pid_of(const net::lease_granted& granted, cluster_member& asks) {
  // The worker answers `ask_status` with its pid as the number of jobs.
  asks.endpoint().learn(granted.worker);
  asks.tell(granted.worker.id, net::ask_status{});
  return asks.expect<net::status>().jobs;
}

}  // namespace

TEST_CASE("a worker process of these tests", "[.worker]") {
  if (std::getenv("TROUPE_WORKER_TOKEN") == nullptr) return;
  if (std::getenv("TEST_FAILS_AT_START") != nullptr) {
    std::cerr << "no such luck" << std::endl;
    std::_Exit(3);
  }
  cluster_member self(std::getenv("TROUPE_SESSION_DIR"), std::getenv("TROUPE_KEY_FILE"),
                      node_of_worker());
  net::register_process hello;
  hello.role = net::process_role::worker;
  hello.pid = ::getpid();
  hello.start_token = std::stoull(std::getenv("TROUPE_WORKER_TOKEN"));
  self.tell(hello);
  self.expect<net::registered>();
  std::cout << "the worker is here" << std::endl;
  while (const auto message = self.next()) {
    const auto what = static_cast<net::kind>(message->second.kind);
    if (what == net::kind::end_process) break;
    if (what == net::kind::ask_status) {
      net::status answer;
      answer.jobs = static_cast<std::uint32_t>(::getpid());
      self.tell(message->first, answer);
    }
  }
  self.tell(net::goodbye{});
  self.endpoint().flush(std::chrono::seconds(1));
  std::_Exit(0);
}

TEST_CASE("a driver process of these tests", "[.driver]") {
  const char* const session = std::getenv("TEST_SESSION");
  if (session == nullptr) return;
  // Nobody reads what it prints: it must not wait for that.
  REQUIRE(std::freopen("/dev/null", "w", stderr) != nullptr);
  std::string why;
  const auto file = net::read_node_file(session, why);
  const bool with_pid = std::getenv("TEST_WITH_PID")[0] == '1';
  driver self(file.value(), {}, own_executable(), with_pid ? ::getpid() : 0);
  while (self.next()) {
  }
}

TEST_CASE("a head and a node start, show themselves and stop without leaving anything") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "2", "--labels", "zone=a"});
  const auto node =
      here.start_node("n", head.head, {"--num-cpus", "3", "--resources", "{\"disk\": 1.5}"});
  const auto status = status_of(here);
  REQUIRE(status["nodes"].size() == 2);
  CHECK(status["nodes"][0]["name"] == "h");
  CHECK(status["nodes"][0]["head"] == true);
  CHECK(status["nodes"][0]["labels"]["zone"] == "a");
  CHECK(status["nodes"][1]["resources"]["CPU"]["total"] == 3.0);
  CHECK(status["nodes"][1]["resources"]["disk"]["total"] == 1.5);

  CHECK(here.troupe({"stop"}).code == 2);
  const auto stopped = here.troupe({"stop", "--all"});
  CHECK(stopped.code == 0);
  CHECK(!process_lives(head.pid));
  CHECK(!process_lives(node.pid));
  CHECK(here.sockets().empty());
  CHECK(here.troupe({"stop"}).code == 5);
  CHECK(here.troupe({"status"}).code == 5);
}

TEST_CASE("stopping the head stops its nodes") {
  const daemons here;
  const auto head = here.start_head("h");
  const auto node = here.start_node("n", head.head);
  CHECK(here.troupe({"stop", "--node-name", "h"}).code == 0);
  CHECK(eventually([&] { return !process_lives(node.pid); }));
}

TEST_CASE("a driver gets leases on workers that its node starts, also of another node") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "1"});
  const auto node = here.start_node("n", head.head, {"--num-cpus", "1"});
  driver d(head);
  CHECK(d.greeting.refused == "");
  CHECK(d.greeting.job == 1);
  CHECK(d.greeting.node_name == "h");

  const auto first = d.lease(1);
  const auto second = d.lease(1);
  CHECK(first.node_name == "h");
  CHECK(second.node_name == "n");
  CHECK(first.worker.id != second.worker.id);
  // The workers' lines come to their driver.
  const auto output = d.expect<net::worker_output>(
      [](const auto& o) { return o.lines.back().text == "the worker is here"; });
  CHECK(!output.error);

  CHECK(eventually([&] {
    const auto status = status_of(here);
    return status["nodes"][0]["resources"]["CPU"]["used"] == 1.0 &&
           status["nodes"][1]["resources"]["CPU"]["used"] == 1.0;
  }));
  d.tell(net::return_lease{first.lease});
  CHECK(d.lease(1).worker.id == first.worker.id);
}

TEST_CASE("a worker that is killed is told of with its signal, and its lease is free again") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "1"});
  driver d(head);
  const auto granted = d.lease(1);
  const std::int64_t pid = pid_of(granted, d);
  ::kill(static_cast<pid_t>(pid), SIGKILL);
  const auto died = d.expect<net::process_died>();
  CHECK(died.process == granted.worker.id);
  CHECK_THAT(died.cause, contains("signal 9"));
  CHECK(!died.clean);
  CHECK(d.lease(1).worker.id != granted.worker.id);
}

TEST_CASE("an isolated lease has a process of its own that ends with it") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "2"});
  driver d(head);
  const auto shared = d.lease(1);
  net::request_lease alone;
  alone.wanted = cpus(1);
  alone.isolated = true;
  const auto isolated = d.lease(alone);
  CHECK(isolated.worker.id != shared.worker.id);
  d.tell(net::return_lease{isolated.lease});
  const auto died = d.expect<net::process_died>();
  CHECK(died.process == isolated.worker.id);
  CHECK(died.clean);
}

TEST_CASE("a worker that cannot start refuses the request with what it said") {
  const daemons here;
  const auto head = here.start_head("h");
  driver fails(head, {"TEST_FAILS_AT_START=1"});
  CHECK_THROWS_WITH(fails.lease(1), contains("exit code 3") && contains("no such luck"));
  driver missing(head, {}, "/no/such/program");
  CHECK_THROWS_WITH(missing.lease(1), contains("/no/such/program"));
}

TEST_CASE("a driver that leaves ends its job and its workers on all nodes") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "1"});
  const auto node = here.start_node("n", head.head, {"--num-cpus", "1"});
  std::int64_t pids[2];
  {
    driver d(head);
    pids[0] = pid_of(d.lease(1), d);
    pids[1] = pid_of(d.lease(1), d);
    d.tell(net::goodbye{});
    d.endpoint().flush(std::chrono::seconds(10));
  }
  CHECK(eventually([&] { return !process_lives(pids[0]) && !process_lives(pids[1]); }));
  CHECK(eventually([&] { return status_of(here)["jobs"] == 0; }));
}

TEST_CASE("a node that is killed takes its workers with it, and the head tells") {
  const daemons here;
  // Its silence says nothing for long, but nothing listens where it was.
  const auto head = here.start_head("h", {"--num-cpus", "0", "--silence", "300"});
  const auto node = here.start_node("n", head.head, {"--num-cpus", "1"});
  driver d(head);
  const auto granted = d.lease(1);
  CHECK(granted.node_name == "n");
  const std::int64_t pid = pid_of(granted, d);
  ::kill(static_cast<pid_t>(node.pid), SIGKILL);
  const auto died =
      d.expect<net::process_died>([&](const auto& p) { return p.process == granted.worker.id; });
  CHECK_THAT(died.cause, contains("its node 'n' is gone"));
  CHECK(!process_lives(pid));
  CHECK(status_of(here)["nodes"].size() == 1);
  // Its place can be taken at once.
  here.start_node("n", head.head, {"--num-cpus", "1"});
  CHECK(d.lease(1).node_name == "n");
}

TEST_CASE("a node that hears nothing of its head any more ends with its workers") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "0"});
  const auto node =
      here.start_node("n", head.head, {"--num-cpus", "1", "--silence", "2", "--rejoin", "0"});
  driver d(node);
  const std::int64_t pid = pid_of(d.lease(1), d);
  ::kill(static_cast<pid_t>(head.pid), SIGKILL);
  CHECK(eventually([&] { return !process_lives(node.pid) && !process_lives(pid); }));
  CHECK_THAT(here.log_of("n"), contains("has ended and was not started again within 0 s"));
}

namespace {

/// A program that has a job at that node, which knows its pid or only its link.
struct spawned_driver {
  spawned_driver(const daemons& here, const net::node_file& node, bool with_pid)
      : process(net::spawn(own_executable(), {own_executable(), "[.driver]"},
                           {"TEST_SESSION=" + node.session_dir,
                            std::string("TEST_WITH_PID=") + (with_pid ? "1" : "0")},
                           node.session_dir)) {
    REQUIRE(process.pid > 0);
    CHECK(eventually([&] { return status_of(here)["jobs"] == 1; }));
  }
  ~spawned_driver() {
    ::kill(process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
  }
  spawned_driver(const spawned_driver&) = delete;
  spawned_driver& operator=(const spawned_driver&) = delete;

  net::spawned process;
};

}  // namespace

TEST_CASE("a driver that is killed ends its job, also when nothing but its socket tells") {
  const bool with_pid = GENERATE(true, false);
  const daemons here;
  const auto head = here.start_head("h", {"--silence", "300"});
  { const spawned_driver killed(here, head, with_pid); }
  CHECK(eventually([&] { return status_of(here)["jobs"] == 0; }));
}

TEST_CASE("a driver that only its link tells of, and that is silent, ends its job") {
  const daemons here;
  const auto head = here.start_head("h", {"--silence", "2"});
  const spawned_driver stopped(here, head, false);
  ::kill(stopped.process.pid, SIGSTOP);
  CHECK(eventually([&] { return status_of(here)["jobs"] == 0; }));
}

TEST_CASE("what no node has waits, shows in the status, and is granted when a node brings it") {
  const daemons here;
  const auto head = here.start_head("h", {"--num-cpus", "1"});
  driver d(head);
  net::request_lease wanted;
  wanted.wanted = {{"disk", 10'000}};
  wanted.name = "crunch";
  wanted.request = 77;
  wanted.job = d.greeting.job;
  d.tell(wanted);
  CHECK(eventually([&] {
    const auto waiting = status_of(here)["nodes"][0]["waiting"];
    return waiting.size() == 1 && waiting[0]["demand"]["disk"] == 1.0 && waiting[0]["count"] == 1;
  }));
  CHECK_THAT(here.log_of("h"), contains("'crunch' needs 1 disk"));
  here.start_node("n", head.head, {"--resources", "{\"disk\": 1}"});
  const auto sent_on = d.expect<net::lease_redirected>();
  CHECK(sent_on.request == 77);
}

TEST_CASE("wrong use of the command is told with what is wrong") {
  const daemons here;
  const auto unknown = here.troupe({"start", "--head", "--prt", "0"});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, contains("--prt"));
  CHECK(here.troupe({"start"}).code == 2);
  CHECK(here.troupe({"start", "--head", "word"}).code == 2);
  CHECK(here.troupe({"begin"}).code == 2);
  CHECK(here.troupe({"start", "--head", "--num-cpus", "-1"}).code == 2);
  CHECK(here.troupe({"start", "--head", "--resources", "[1]"}).code == 2);
  CHECK(here.troupe({"start", "--head", "--node-name", "../x"}).code == 2);
  for (const char* command : {"start", "stop", "status"}) {
    const auto help = here.troupe({command, "--help"});
    CHECK(help.code == 0);
    CHECK_THAT(help.out, contains("Exit codes"));
  }
  CHECK(here.troupe({"version"}).code == 0);
}

TEST_CASE("a second node of a name, and a port in use, are errors that say so") {
  const daemons here;
  const auto head = here.start_head("h");
  const auto again = here.troupe({"start", "--head", "--port", "0", "--node-name", "h"});
  CHECK(again.code == 1);
  CHECK_THAT(again.err,
             contains("'h' runs on this machine already") && contains(std::to_string(head.pid)));
  const std::string port = head.head.substr(head.head.rfind(':') + 1);
  const auto taken = here.troupe({"start", "--head", "--port", port, "--node-name", "other"});
  CHECK(taken.code == 1);
  CHECK_THAT(taken.err, contains("in use") && contains(port));
  const auto forced =
      here.troupe({"start", "--head", "--port", "0", "--node-name", "h", "--force"});
  CHECK(forced.code == 0);
  CHECK(!process_lives(head.pid));
}

TEST_CASE("a node or a tool with another key gets in nowhere and is told why") {
  const daemons here;
  const daemons elsewhere;
  const auto head = here.start_head("h");
  elsewhere.start_head("other");
  const auto node = elsewhere.troupe({"start", "--address", head.head, "--node-name", "n"});
  CHECK(node.code == 4);
  CHECK_THAT(node.err, contains("key"));
  const auto asked = elsewhere.troupe({"status", "--address", head.head});
  CHECK(asked.code == 4);
  CHECK_THAT(asked.err, contains("key"));
  CHECK(here.troupe({"status", "--address", "127.0.0.1:1"}).code == 3);
  CHECK(status_of(here)["nodes"].size() == 1);
}
