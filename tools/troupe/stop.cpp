// `troupe stop`.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>

#include "net/control_store.hpp"
#include "net/session_files.hpp"
#include "tools/troupe/command_line.hpp"
#include "tools/troupe/commands.hpp"
#include "tools/troupe/stop_nodes.hpp"

namespace troupe::tools {
namespace {

const std::vector<option> known = {
    {"node-name", "NAME", "stop this node; default: the only one that runs here"},
    {"all", "", "stop all nodes of this machine that are this user's"},
    {"grace", "SECONDS", "how long a node may take; then it is killed; default: 15"},
    {"force", "", "kill at once"},
    session_dir_option,
    {"help", "", "this text"},
};

constexpr const char* usage = R"(troupe stop [OPTION...]

Stops nodes of this machine with their worker processes. Stopping the head stops the cluster.

)";

constexpr const char* usage_end = R"(
Exit codes: 0 stopped, 2 wrong use, 5 no such node runs, 6 it did not end in time and was killed.
)";

bool wait_for_end(int pidfd, std::chrono::milliseconds patience) {
  pollfd watched{pidfd, POLLIN, 0};
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    const int ready =
        ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return false;
  }
}

}  // namespace

bool stop_node_in(const std::string& folder, std::chrono::milliseconds patience) {
  std::string why;
  const auto file = net::read_node_file(folder, why);
  if (!file) throw command_error(failed, "the node cannot be stopped: " + why);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(file->pid), 0));
  if (pidfd < 0) {
    if (errno == ESRCH) return true;
    throw command_error(failed, "process " + std::to_string(file->pid) +
                                    " cannot be watched: " + std::strerror(errno));
  }
  // The lock tells that the process of this number is still the daemon.
  bool in_order = !net::node_runs(folder);
  if (!in_order) {
    const auto send = [pidfd](int signal) {
      ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
    };
    if (patience.count() > 0) {
      send(SIGTERM);
      in_order = wait_for_end(pidfd, patience);
    }
    if (!in_order) {
      send(SIGKILL);
      if (!wait_for_end(pidfd, std::chrono::seconds(10))) {
        ::close(pidfd);
        throw command_error(timed_out, "process " + std::to_string(file->pid) +
                                           " does not end even when it is killed");
      }
    }
  }
  ::close(pidfd);
  // Of one that was killed, its files remain; taking its place for a moment removes them. It was
  // told to end, so what its cluster had is not taken up again.
  if (!in_order) {
    net::session_folder(net::session_base_path(), file->name);
    if (file->is_head()) net::control_store::remove(file->store);
  }
  return in_order;
}

int stop(const std::vector<std::string>& words) {
  const given_options given(words, known);
  if (given.has("help")) {
    std::cout << usage << describe(known) << usage_end;
    return done;
  }
  use_session_dir(given);
  if (given.has("all") && given.has("node-name")) {
    throw command_error(misused, "say --all or --node-name, not both");
  }
  const double seconds = parse_seconds(given.get("grace", "15"), "--grace");
  const auto patience = std::chrono::milliseconds(
      given.has("force") ? 0 : static_cast<std::int64_t>(std::min(seconds, 1e6) * 1000));

  auto nodes = net::running_nodes(net::session_base_path());
  if (given.has("node-name")) {
    std::erase_if(nodes, [&](const auto& n) { return n.name != given.get("node-name"); });
    if (nodes.empty()) {
      throw command_error(not_found,
                          "no node '" + given.get("node-name") + "' runs on this machine");
    }
  } else if (nodes.empty()) {
    if (given.has("all")) return done;
    throw command_error(not_found, "no node runs on this machine");
  } else if (nodes.size() > 1 && !given.has("all")) {
    std::string names;
    for (const auto& n : nodes) names += (names.empty() ? "" : ", ") + n.name;
    throw command_error(misused, "several nodes run on this machine (" + names +
                                     "): say which by --node-name, or --all");
  }
  // Heads last: their nodes would end with them, in the middle of being asked to.
  std::stable_sort(nodes.begin(), nodes.end(),
                   [](const auto& a, const auto& b) { return a.is_head() < b.is_head(); });
  bool killed = false;
  for (const auto& n : nodes) {
    const bool in_order = stop_node_in(n.session_dir, patience);
    std::cout << "Node '" << n.name << "' " << (in_order ? "has ended" : "was killed") << ".\n";
    killed = killed || !in_order;
  }
  return killed && !given.has("force") ? timed_out : done;
}

}  // namespace troupe::tools
