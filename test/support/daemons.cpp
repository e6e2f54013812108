#include "test/support/daemons.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "test/support/leftovers.hpp"
#include "test/support/started_program.hpp"

namespace troupe::test {
namespace {

constexpr const char* command = TROUPE_TEST_BINARY_DIR "/tools/troupe";
constexpr std::chrono::seconds longest_command{60};

}  // namespace

command_result run_command(const std::vector<std::string>& words,
                           const std::vector<std::string>& environment) {
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables = environment_with(environment);
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> envp = pointers_to(variables);
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);

  command_result result;
  const auto until = std::chrono::steady_clock::now() + longest_command;
  std::array<pollfd, 2> watched{{{out[0], POLLIN, 0}, {err[0], POLLIN, 0}}};
  std::array<std::string*, 2> texts{&result.out, &result.err};
  bool in_time = true;
  while (in_time && (watched[0].fd >= 0 || watched[1].fd >= 0)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    in_time = left.count() > 0 && ::poll(watched.data(), 2, static_cast<int>(left.count())) > 0;
    for (std::size_t i = 0; i < 2 && in_time; ++i) {
      if (watched[i].fd < 0 || watched[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(watched[i].fd, buffer, sizeof(buffer));
      if (got > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(got));
      } else {
        watched[i].fd = -1;
      }
    }
  }
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(out[0]);
  ::close(err[0]);
  if (in_time) result.code = exit_code(status);
  return result;
}

daemons::~daemons() {
  const command_result stopped = troupe({"stop", "--all", "--force"});
  if (stopped.code != 0) {
    report_leftover("`troupe stop` in " + base() + " gave " + std::to_string(stopped.code) + ": " +
                    stopped.out + stopped.err);
  }
  for (const net::node_file& node : net::running_nodes(base())) {
    report_leftover("node '" + node.name + "' of " + base() + ", process " +
                    std::to_string(node.pid));
  }
}

command_result daemons::troupe(std::vector<std::string> words,
                               std::vector<std::string> environment) const {
  words.emplace(words.begin(), command);
  environment.push_back("TROUPE_SESSION_BASE=" + base());
  return run_command(words, environment);
}

net::node_file daemons::start(const std::string& name, std::vector<std::string> words) const {
  words.emplace(words.begin(), "start");
  words.push_back("--node-name=" + name);
  const command_result result = troupe(std::move(words));
  if (result.code != 0) throw std::runtime_error("no node: " + result.out + result.err);
  return file_of(name);
}

net::node_file daemons::start_head(const std::string& name,
                                   std::vector<std::string> options) const {
  options.push_back("--head");
  options.push_back("--port=0");
  return start(name, std::move(options));
}

net::node_file daemons::start_node(const std::string& name, const std::string& head,
                                   std::vector<std::string> options) const {
  options.push_back("--address=" + head);
  return start(name, std::move(options));
}

net::node_file daemons::start_elsewhere(const std::string& name, const std::string& head,
                                        std::vector<std::string> options,
                                        std::vector<std::string> environment) const {
  // A machine is known by its name, among other things.
  std::vector<std::string> words{"/usr/bin/unshare",
                                 "--uts",
                                 "/bin/sh",
                                 "-c",
                                 "hostname \"$0\" && exec \"$@\"",
                                 "machine-of-" + name,
                                 command,
                                 "start",
                                 "--node-name=" + name,
                                 "--host=127.0.0.1",
                                 "--address=" + head};
  words.insert(words.end(), options.begin(), options.end());
  environment.push_back("TROUPE_SESSION_BASE=" + base());
  const command_result result = run_command(words, environment);
  if (result.code != 0) throw std::runtime_error("no node: " + result.out + result.err);
  return file_of(name);
}

net::node_file daemons::file_of(const std::string& name) const {
  std::string why;
  const auto file = net::read_node_file(base() + "/" + name, why);
  if (!file) throw std::runtime_error(why);
  return *file;
}

std::string daemons::log_of(const std::string& name) const {
  return folder_.read(name + "/logs/node.log");
}

std::vector<std::string> daemons::sockets() const {
  std::vector<std::string> result;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(base())) {
    if (entry.is_socket()) result.push_back(entry.path());
  }
  return result;
}

bool process_lives(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return false;
  // The state follows the name, which may hold anything.
  const std::size_t end = text.rfind(')');
  return end != std::string::npos && text.size() > end + 2 && text[end + 2] != 'Z';
}

}  // namespace troupe::test
