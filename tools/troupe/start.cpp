// `troupe start`.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "core/cpu_limits.hpp"
#include "core/fault.hpp"
#include "core/gpu_devices.hpp"
#include "core/node_name.hpp"
#include "core/resources.hpp"
#include "core/units.hpp"
#include "net/session_files.hpp"
#include "tools/troupe/command_line.hpp"
#include "tools/troupe/commands.hpp"
#include "tools/troupe/daemon.hpp"
#include "tools/troupe/resources_option.hpp"
#include "tools/troupe/stop_nodes.hpp"

namespace troupe::tools {
namespace {

const std::vector<option> known = {
    {"head", "", "start the first node of a new cluster"},
    {"address", "HOST:PORT", "join the cluster with this head"},
    {"port", "NUMBER", "listen there; default: 6379 for a head, else any free one"},
    {"host", "HOST",
     "listen at this address of the machine; default: 127.0.0.1 for a\nhead (0.0.0.0 lets other "
     "machines in), else the one that reaches\nthe head"},
    {"bulk-port", "NUMBER",
     "other nodes fetch large objects there; default: any free port; none:\nby the other "
     "connections, which is slower"},
    {"advertise", "HOST", "what other machines call this one; default: from --host"},
    {"node-name", "NAME", "default: the host's name"},
    {"num-cpus", "AMOUNT", "CPUs for tasks; default: what this process may use"},
    {"num-gpus", "AMOUNT",
     "GPUs for tasks; default: what the machine has and\nCUDA_VISIBLE_DEVICES leaves"},
    {"memory", "BYTES", "for tasks that ask for it, such as 4GiB; default: 70 %"},
    {"resources", "JSON", "further ones by name, such as '{\"disk\": 1}'"},
    {"object-store-memory", "BYTES",
     "shared memory for large objects, such as 4GiB; default: 30 %, at\nmost 200GiB; 0: none, they "
     "travel in messages"},
    {"spill-dir", "FOLDER",
     "where objects go when that memory is full; default: the node's\nfolder; none: nowhere"},
    {"store-patience", "SECONDS", "how long `put` and `get` wait for that memory; default: 30"},
    {"labels", "KEY=VALUE,...", "for tasks that ask for a label"},
    {"session-dir", "FOLDER",
     "where nodes keep their files; default: $TROUPE_SESSION_BASE,\nor "
     "/tmp/troupe-UID"},
    {"key-file", "FILE",
     "the cluster's key; default: $TROUPE_CLUSTER_KEY, or cluster.key\nin the "
     "session folder, which a head makes"},
    {"idle-after", "SECONDS", "a worker process without work ends then; default: 60"},
    {"silence", "SECONDS", "another node is taken for dead after so long a silence; default: 10"},
    {"store", "FILE", "of a head: its durable store; default: head.sqlite in the node's folder"},
    {"rejoin", "SECONDS",
     "a node that has lost its head tries so long to join again;\n0: it ends; default: 60"},
    {"grace", "SECONDS", "what workers get to end when the node is stopped; default: 5"},
    {"package-bytes", "BYTES", "disk for copies of programs and their files; default: 4GiB"},
    {"copies-only", "", "run programs from checked copies only, never where they lie"},
    {"log-bytes", "BYTES", "size at which a log file is begun anew; default: 16MiB"},
    {"log-files", "NUMBER", "files kept of each log, the current one included; default: 4"},
    {"worker-logs", "NUMBER", "ended workers whose logs are kept; default: 200"},
    {"block", "", "stay in the foreground and log to stderr, for service managers"},
    {"force", "", "stop a node of this name first"},
    {"help", "", "this text"},
    {"ready-fd", "NUMBER", ""},
};

constexpr const char* usage = R"(troupe start --head [OPTION...]
troupe start --address=HOST:PORT [OPTION...]

Starts a node on this machine: a daemon that starts worker processes for programs of the cluster.
Several nodes on one machine need a --node-name each. Without --block the command returns when the
node answers.

)";

constexpr const char* usage_end = R"(
Exit codes: 0 the node runs (with --block: it was stopped), 1 failed, 2 wrong use, 3 the head cannot
be reached, 4 wrong cluster key, 7 the versions differ.

  troupe start --head --num-cpus 4
  troupe start --address=10.0.0.1:6379 --key-file=cluster.key --labels=zone=a
)";

double amount_of(const given_options& given, std::string_view name, double fallback) {
  if (!given.has(name)) return fallback;
  return core::parse_amount(given.get(name), "--" + std::string(name));
}

core::resource_set total_of(const given_options& given) {
  core::resource_set total;
  const auto set = [&total](std::string_view name, core::resource_amount amount) {
    total.set(name, amount);
  };
  // A quota of a cgroup can be any fraction; amounts are in steps of 0.0001.
  const double detected = std::floor(core::read_cpu_limits().cpus * 1e4) / 1e4;
  set(core::cpu_name,
      core::resource_amount::from_double(amount_of(given, "num-cpus", detected), "--num-cpus"));
  const double gpus = given.has("num-gpus")
                          ? core::parse_amount(given.get("num-gpus"), "--num-gpus")
                          : static_cast<double>(core::detect_gpus());
  set(core::gpu_name, core::resource_amount::from_double(gpus, "--num-gpus"));
  const std::uint64_t memory = given.has("memory")
                                   ? core::parse_bytes(given.get("memory"), "--memory")
                                   : core::default_memory(core::read_memory_limits());
  set(core::memory_name, core::resource_amount::from_whole(memory, "--memory"));
  if (given.has("resources")) total += parse_resources(given.get("resources"));
  return total;
}

std::uint64_t store_bytes_of(const given_options& given) {
  constexpr std::uint64_t least = std::uint64_t{1} << 20;
  constexpr std::uint64_t most = std::uint64_t{200} << 30;
  if (!given.has("object-store-memory")) {
    return std::clamp(core::read_memory_limits().bytes / 10 * 3, least, most);
  }
  const std::string text = given.get("object-store-memory");
  const std::uint64_t bytes = core::parse_bytes(text, "--object-store-memory");
  if (bytes != 0 && bytes < least) {
    throw command_error(misused, "--object-store-memory: " + text +
                                     " is too little; at least 1MiB, or 0 for no store");
  }
  return bytes;
}

/// This machine's address on the way to another. Nothing is sent.
std::optional<std::string> own_address_towards(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return std::nullopt;
  std::optional<std::string> result;
  for (const addrinfo* at = found; at != nullptr && !result; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    sockaddr_storage own{};
    socklen_t size = sizeof(own);
    char text[NI_MAXHOST];
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
        ::getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text, sizeof(text), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      result = text;
    }
    ::close(fd);
  }
  ::freeaddrinfo(found);
  return result;
}

std::string with_port(const std::string& host, const std::string& port) {
  if (host.find(':') != std::string::npos && host.front() != '[') return "[" + host + "]:" + port;
  return host + ":" + port;
}

void choose_addresses(const given_options& given, net::node_options& node) {
  const bool head = node.head_address.empty();
  const std::string port = given.get("port", head ? "6379" : "0");
  if (core::parse_count(port, "--port") > 65'535) {
    throw command_error(misused, "--port: " + port + " is more than 65535");
  }
  std::string host = given.get("host");
  if (host.empty() && head) host = "127.0.0.1";
  if (host.empty()) {
    const std::size_t colon = node.head_address.rfind(':');
    std::string head_host = node.head_address.substr(0, colon);
    if (!head_host.empty() && head_host.front() == '[') {
      head_host = head_host.substr(1, head_host.size() - 2);
    }
    host = own_address_towards(head_host, node.head_address.substr(colon + 1)).value_or("0.0.0.0");
  }
  node.listen_address = with_port(host, port);
  const std::string bulk = given.get("bulk-port", "0");
  if (bulk == "none") {
    node.bulk_port.reset();
  } else if (const auto number = core::parse_count(bulk, "--bulk-port"); number > 65'535) {
    throw command_error(misused, "--bulk-port: " + bulk + " is more than 65535");
  } else {
    node.bulk_port = static_cast<std::uint16_t>(number);
  }
  node.advertised_host = given.get("advertise");
  const bool everywhere = host == "0.0.0.0" || host == "::" || host == "*";
  if (everywhere && node.advertised_host.empty()) {
    // The address by which this machine reaches others; one of a documentation network will do.
    node.advertised_host = own_address_towards("192.0.2.1", "9").value_or(core::node_name());
  }
}

std::string default_name() {
  std::string name = core::node_name();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.') {
      c = '-';
    }
  }
  return name.substr(0, 64);
}

std::chrono::milliseconds to_milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(seconds, 1e9) * 1000));
}

daemon_options read_options(const given_options& given) {
  if (given.has("head") == given.has("address")) {
    throw command_error(misused, "say either --head, for a new cluster, or --address=HOST:PORT");
  }
  daemon_options result;
  net::node_options& node = result.node;
  if (given.has("address")) {
    node.head_address = given.get("address");
    const std::size_t colon = node.head_address.rfind(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == node.head_address.size()) {
      throw command_error(misused,
                          "--address: '" + node.head_address + "' is not of the form HOST:PORT");
    }
  }
  try {
    core::arm_faults_by_environment();
    node.name = given.get("node-name", default_name());
    net::check_node_name(node.name);
    node.total = total_of(given);
    node.labels = core::parse_pairs(given.get("labels"), "--labels");
    node.store_bytes = store_bytes_of(given);
    node.spill_dir = given.get("spill-dir");
    node.head_store = given.get("store");
    if (given.has("store") && !given.has("head")) {
      throw command_error(misused, "--store is of a head: it keeps what the cluster has");
    }
    choose_addresses(given, node);
    if (given.has("ready-fd")) {
      result.ready_fd = static_cast<int>(core::parse_count(given.get("ready-fd"), "--ready-fd"));
    }
    node.worker_log.max_bytes = core::parse_bytes(given.get("log-bytes", "16MiB"), "--log-bytes");
    node.worker_log.files = core::parse_count(given.get("log-files", "4"), "--log-files");
    node.package_bytes = core::parse_bytes(given.get("package-bytes", "4GiB"), "--package-bytes");
    node.copies_only = given.has("copies-only");
    node.worker_logs = core::parse_count(given.get("worker-logs", "200"), "--worker-logs");
    if (node.worker_log.max_bytes < 1024 || node.worker_log.files < 1 ||
        node.worker_log.files > 1'000) {
      throw command_error(misused, "--log-bytes is at least 1k, --log-files from 1 to 1000");
    }
  } catch (const command_error&) {
    throw;
  } catch (const std::exception& error) {
    throw command_error(misused, error.what());
  }
  node.stop_grace = to_milliseconds(parse_seconds(given.get("grace", "5"), "--grace"));
  node.idle_after = to_milliseconds(parse_seconds(given.get("idle-after", "60"), "--idle-after"));
  node.silence = to_milliseconds(parse_seconds(given.get("silence", "10"), "--silence"));
  result.rejoin = to_milliseconds(parse_seconds(given.get("rejoin", "60"), "--rejoin"));
  node.store_patience =
      to_milliseconds(parse_seconds(given.get("store-patience", "30"), "--store-patience"));
  result.key_file = given.get("key-file");
  return result;
}

}  // namespace

int start(const std::vector<std::string>& words) {
  const given_options given(words, known);
  if (given.has("help")) {
    std::cout << usage << describe(known) << usage_end;
    return done;
  }
  daemon_options options = read_options(given);
  use_session_dir(given);
  options.base = net::session_base();
  // A path that is not absolute means the folder of whoever started the daemon.
  ::setenv("TROUPE_SESSION_BASE", options.base.c_str(), 1);
  const std::string folder = options.base + "/" + options.node.name;
  if (options.ready_fd < 0 && net::node_runs(folder)) {
    if (!given.has("force")) {
      std::string why;
      const auto file = net::read_node_file(folder, why);
      throw command_error(failed, "node '" + options.node.name + "' runs on this machine already" +
                                      (file ? " (pid " + std::to_string(file->pid) + ")" : "") +
                                      "; stop it by `troupe stop --node-name " + options.node.name +
                                      "`, choose another --node-name, or --force");
    }
    stop_node_in(folder, std::chrono::seconds(10));
  }
  if (!given.has("block")) return start_in_background(words, options.base, options.node.name);
  return run_daemon(std::move(options));
}

}  // namespace troupe::tools
