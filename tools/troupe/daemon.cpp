#include "tools/troupe/daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "core/logging.hpp"
#include "core/node_name.hpp"
#include "net/messages.hpp"
#include "net/session_files.hpp"
#include "tools/troupe/command_line.hpp"

namespace troupe::tools {
namespace {

void write_text(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

/// Tells the service manager, if one started this process (sd_notify).
void notify_manager(std::string_view state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // A name that no folder holds.
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  ::close(fd);
}

/// Blocks the signals that end a daemon in all threads that begin from now on, and makes them
/// readable.
int signals_to_read() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// The key and the file that has it.
void find_key(daemon_options& options) {
  net::node_options& node = options.node;
  if (!options.key_file.empty()) {
    node.key_file = std::filesystem::absolute(options.key_file);
    node.cluster_key = net::read_cluster_key(node.key_file);
    return;
  }
  const std::string shared = options.base + "/cluster.key";
  if (const char* const text = std::getenv("TROUPE_CLUSTER_KEY"); text != nullptr && *text != 0) {
    node.cluster_key = text;
    net::public_half(node.cluster_key);  // Throws when it is none.
    node.key_file = node.session_dir + "/cluster.key";
    net::write_cluster_key(node.key_file, node.cluster_key);
    return;
  }
  node.key_file = shared;
  if (node.head_address.empty()) {
    node.cluster_key = net::make_cluster_key_file(shared);
    return;
  }
  std::error_code none;
  if (!std::filesystem::exists(shared, none)) {
    throw connection_error("no cluster key: copy the head's " + shared +
                           " here, or name it by --key-file or TROUPE_CLUSTER_KEY");
  }
  node.cluster_key = net::read_cluster_key(shared);
}

/// Whether a signal has told it to end.
bool wait_for_the_end(net::node& node, int signals) {
  pollfd watched[] = {{signals, POLLIN, 0}, {node.ended_fd(), POLLIN, 0}};
  for (bool told = false;;) {
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) return told;
    if ((watched[1].revents & POLLIN) != 0) return told;
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof(info)) == sizeof(info)) {
      log::info("signal ", info.ssi_signo, ": the node ends");
      notify_manager("STOPPING=1");
      told = true;
      node.stop();
    }
  }
}

/// A node that was cut off has ended all that it had, and joins as a new one. Null when it was told
/// to end, or the head did not come back in time.
std::unique_ptr<net::node> join_again(const daemon_options& options, int signals) {
  using clock = std::chrono::steady_clock;
  const auto until = clock::now() + options.rejoin;
  log::info("node '", options.node.name, "' tries for ", options.rejoin.count() / 1'000,
            " s to join the cluster again, as a new node");
  for (int wait_ms = 200;; wait_ms = std::min(wait_ms * 2, 2'000)) {
    pollfd watched{signals, POLLIN, 0};
    if (::poll(&watched, 1, wait_ms) > 0) {
      log::info("told to end");
      return nullptr;
    }
    try {
      net::node_options again = options.node;
      again.join_timeout = std::chrono::seconds(5);
      return std::make_unique<net::node>(std::move(again));
    } catch (const connection_error& error) {
      if (clock::now() < until) continue;
      log::error("gave up to join again: ", error.what());
      return nullptr;
    }
  }
}

std::string tail_of(const std::string& path, std::streamoff from) {
  std::ifstream file(path);
  file.seekg(from);
  std::ostringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  constexpr std::size_t most = 4'000;
  if (all.size() > most) all.erase(0, all.size() - most);
  return all;
}

std::string read_until_closed(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

int run_daemon(daemon_options options) {
  const bool in_background = options.ready_fd >= 0;
  const auto answer = [&](const std::string& text) {
    if (in_background) {
      write_text(options.ready_fd, text);
      ::close(std::exchange(options.ready_fd, -1));
    }
  };
  try {
    const int signals = signals_to_read();
    if (in_background) ::fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC);
    net::node_options& wanted = options.node;
    core::set_node_name(wanted.name);
    net::session_folder folder(options.base, wanted.name);
    wanted.session_dir = folder.path();
    if (in_background) {
      config log;
      log.log_file = folder.logs() + "/node.log";
      log.log_file_max_bytes = wanted.worker_log.max_bytes;
      log.log_files = wanted.worker_log.files;
      core::logging::configure(log);
    }
    find_key(options);
    net::node_file file;
    file.protocol = net::protocol_version;
    file.pid = ::getpid();
    file.name = wanted.name;
    file.key_file = wanted.key_file;
    file.session_dir = wanted.session_dir;

    if (wanted.head_address.empty()) {
      wanted.head_store = std::filesystem::absolute(
          wanted.head_store.empty() ? wanted.session_dir + "/head.sqlite" : wanted.head_store);
      file.store = wanted.head_store;
    }
    if (in_background && ::chdir("/") != 0) log::warn("cannot leave the working folder");
    wanted.head_patience = options.rejoin;
    if (wanted.spill_dir == "none") {
      wanted.spill_dir.clear();
    } else if (wanted.spill_dir.empty()) {
      wanted.spill_dir = wanted.session_dir + "/spill";
    }
    auto node = std::make_unique<net::node>(wanted);
    for (bool first = true; node; first = false) {
      file.self = node->self();
      file.head = node->head();
      if (const net::peer* const own = node->own_head()) file.own_head = *own;
      net::write_node_file(file);
      if (first) folder.become_current();
      log::info("node '", file.name, "' of the cluster at ", file.head, " listens at ",
                file.self.remote);
      if (file.own_head.epoch > 1) {
        log::info("the head goes on with the cluster of its store ", file.store, ": life ",
                  file.own_head.epoch);
      }
      notify_manager("READY=1\nSTATUS=node " + file.name + " of " + file.head + "\n");
      answer("ready");

      const bool told = wait_for_the_end(*node, signals);
      const bool cut_off = !node->failure().empty();
      node.reset();
      if (told || !cut_off || wanted.head_address.empty() || options.rejoin.count() == 0) {
        log::info("node '", file.name, "' has ended");
        return cut_off ? failed : done;
      }
      node = join_again(options, signals);
    }
    log::info("node '", file.name, "' has ended");
    return failed;
  } catch (const connection_error& error) {
    answer(std::to_string(code_of(error.what())) + "\n" + error.what());
    throw;
  } catch (const std::exception& error) {
    answer(std::to_string(failed) + "\n" + error.what());
    throw;
  }
}

int start_in_background(const std::vector<std::string>& words, const std::string& base,
                        const std::string& node_name) {
  const std::string folder = base + "/" + node_name;
  const std::string log_path = folder + "/logs/node.log";
  ::mkdir(folder.c_str(), 0700);
  ::mkdir((folder + "/logs").c_str(), 0700);
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0)
    throw command_error(failed, "cannot write " + log_path + ": " + std::strerror(errno));
  const std::streamoff begin = ::lseek(log, 0, SEEK_END);
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) throw command_error(failed, "no pipe is left");

  std::vector<std::string> arguments{"troupe", "start"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  arguments.push_back("--block");
  arguments.push_back("--ready-fd=" + std::to_string(ready[1]));
  std::vector<char*> pointers;
  for (std::string& a : arguments) pointers.push_back(a.data());
  pointers.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) throw command_error(failed, std::string("no process: ") + std::strerror(errno));
  if (child == 0) {
    ::setsid();
    const int none = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(none, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::fcntl(ready[1], F_SETFD, 0);
    ::execv("/proc/self/exe", pointers.data());
    ::_exit(127);
  }
  ::close(ready[1]);
  ::close(log);
  const std::string answer = read_until_closed(ready[0]);
  ::close(ready[0]);
  if (answer == "ready") {
    std::cout << what_next(base, node_name);
    return done;
  }
  ::waitpid(child, nullptr, 0);
  const std::size_t line = answer.find('\n');
  if (line == std::string::npos) {
    throw command_error(
        failed, "the daemon ended at once; " + log_path + " says:\n" + tail_of(log_path, begin));
  }
  throw command_error(static_cast<exit_code>(std::atoi(answer.c_str())), answer.substr(line + 1));
}

std::string what_next(const std::string& base, const std::string& node_name) {
  std::string why;
  const auto file = net::read_node_file(base + "/" + node_name, why);
  if (!file) return "The node runs, but " + why + "\n";
  const std::string stop = net::running_nodes(base).size() > 1
                               ? "troupe stop --node-name " + node_name
                               : std::string("troupe stop");
  // A head that listens at the loopback interface is reached from nowhere else.
  const char* const more =
      file->head.rfind("127.", 0) == 0
          ? " --node-name=NAME      # one more node, here; for other machines start the head with "
            "--host ADDRESS"
          : "      # on another machine, with a copy of the key: one more node";
  std::ostringstream text;
  text << "Node '" << node_name << "' " << (file->is_head() ? "is the head of" : "has joined")
       << " the cluster at " << file->head << ".\n"
       << "  log  " << file->session_dir << "/logs/node.log\n"
       << "  key  " << file->key_file << "\n\n"
       << "Next:\n"
       << "  troupe start --address=" << file->head << more << "\n"
       << "  TROUPE_ADDRESS=auto ./your_program      # runs a program on the cluster\n"
       << "  " << stop << "\n";
  return text.str();
}

}  // namespace troupe::tools
