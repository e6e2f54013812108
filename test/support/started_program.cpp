#include "test/support/started_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>
#include <stdexcept>
#include <utility>

using namespace std::chrono_literals;

namespace troupe::test {

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
  std::vector<std::string> result = more;
  const auto name_of = [](const std::string& v) { return v.substr(0, v.find('=') + 1); };
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string variable = *at;
    const bool replaced = variable.rfind("TROUPE_", 0) == 0 ||
                          std::any_of(more.begin(), more.end(), [&](const std::string& other) {
                            return name_of(other) == name_of(variable);
                          });
    if (!replaced) result.push_back(variable);
  }
  return result;
}

int exit_code(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

started_program::started_program(std::vector<std::string> words,
                                 const std::vector<std::string>& environment) {
  std::vector<std::string> variables = environment_with(environment);
  const std::vector<char*> argv = pointers_to(words);
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
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  to_ = in[1];
  from_ = out[0];
  reader_ = std::jthread([this] { read(); });
}

started_program::~started_program() {
  if (!ended_within(0ms)) {
    kill(SIGKILL);
    ended_within(10s);
  }
  ::close(to_);
  reader_.join();
  ::close(from_);
}

void started_program::tell(const std::string& line) const {
  const std::string text = line + '\n';
  // A program that has just been killed hears nothing, which is no failure of ours.
  static_cast<void>(!::write(to_, text.data(), text.size()));
}

void started_program::kill(int signal) const { ::kill(pid_, signal); }

std::optional<std::string> started_program::hear(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, longest, [this] { return silent_ || !lines_.empty(); });
  if (lines_.empty()) return {};
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

std::vector<std::int64_t> started_program::hear_numbers(const std::string& word) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::vector<std::int64_t> result;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const std::optional<std::string> line = hear(std::max(left, 0ms));
    if (!line) return result;
    std::istringstream words(*line);
    std::string first;
    if (!(words >> first) || first != word) continue;
    for (std::int64_t number = 0; words >> number;) result.push_back(number);
    return result;
  }
}

std::int64_t started_program::hear_number(const std::string& word) {
  const std::vector<std::int64_t> all = hear_numbers(word);
  return all.empty() ? 0 : all.front();
}

std::string started_program::said() const {
  const std::lock_guard guard(mutex_);
  return said_;
}

bool started_program::says(const std::string& text) const {
  const auto here = [&] { return said_.find(text) != std::string::npos; };
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return silent_ || here(); });
  return here();
}

std::string started_program::said_to_end() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return silent_; });
  return said_;
}

std::optional<int> started_program::ended_within(std::chrono::milliseconds longest) {
  if (code_) return code_;
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  pollfd ended{process, POLLIN, 0};
  ::poll(&ended, 1, static_cast<int>(longest.count()));
  ::close(process);
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) code_ = exit_code(status);
  return code_;
}

void started_program::read() {
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(from_, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
    const std::lock_guard guard(mutex_);
    said_.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;
         text.erase(0, end + 1)) {
      lines_.push_back(text.substr(0, end));
    }
    changed_.notify_all();
  }
  const std::lock_guard guard(mutex_);
  silent_ = true;
  changed_.notify_all();
}

std::int64_t worker_of(started_program& driver) {
  const std::vector<std::int64_t> pids = driver.hear_numbers("ready");
  return pids.size() == 2 ? pids[1] : 0;
}

}  // namespace troupe::test
