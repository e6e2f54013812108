#include "test/chaos/child.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

using namespace std::chrono_literals;

namespace chaos {
namespace {

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

child::child(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables = environment;
  for (char** at = environ; *at != nullptr; ++at) {
    if (std::string(*at).rfind("TROUPE_", 0) != 0) variables.emplace_back(*at);
  }
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> envp = pointers_to(variables);
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no process");
  if (pid_ == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(out[1], STDERR_FILENO);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  to_ = in[1];
  from_ = out[0];
  reader_ = std::jthread([this] { read(); });
}

child::~child() {
  if (!ended_within(0ms)) {
    kill(SIGKILL);
    ended_within(10s);
  }
  ::close(to_);
  reader_.join();
  ::close(from_);
}

void child::tell(const std::string& line) const {
  const std::string text = line + '\n';
  // A program that has just been killed hears nothing, which is no failure of ours.
  static_cast<void>(!::write(to_, text.data(), text.size()));
}

void child::kill(int signal) const { ::kill(pid_, signal); }

std::optional<std::string> child::hear(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, longest, [this] { return ended_ || !lines_.empty(); });
  if (lines_.empty()) return {};
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

std::optional<int> child::ended_within(std::chrono::milliseconds longest) {
  const auto until = std::chrono::steady_clock::now() + longest;
  while (!code_) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (std::chrono::steady_clock::now() >= until) {
      break;
    } else {
      std::this_thread::sleep_for(5ms);
    }
  }
  return code_;
}

void child::read() {
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(from_, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
    const std::lock_guard guard(mutex_);
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;
         text.erase(0, end + 1)) {
      lines_.push_back(text.substr(0, end));
    }
    changed_.notify_all();
  }
  const std::lock_guard guard(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace chaos
