#include "test/support/leftovers.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <utility>

namespace troupe::test {
namespace {

namespace fs = std::filesystem;

/// A variable of this process's own, so that a process bears the marks of all above it. Not
/// TROUPE_...: those are of the test that starts a program, see `environment_with`.
std::string mark() { return "TEST_RUN_" + std::to_string(::getpid()); }

constexpr std::chrono::seconds time_to_die{10};  // of one that is killed

std::atomic<bool> left_over{false};

std::string content(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

/// Whether a variable stands in the environment with which the process began. Of one that has ended
/// none can be read.
bool is_marked(const fs::path& process, const std::string& variable) {
  const std::string all = '\0' + content(process / "environ");
  return all.find('\0' + variable + '\0') != std::string::npos;
}

std::string command_line(const fs::path& process) {
  std::string text = content(process / "cmdline");
  std::replace(text.begin(), text.end(), '\0', ' ');
  return "process " + process.filename().string() + ": " + text;
}

/// A process and what names it for good.
class handle {
 public:
  explicit handle(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;
  ~handle() {
    if (fd_ >= 0) ::close(fd_);
  }

  bool ended_by(std::chrono::steady_clock::time_point when) const {
    if (fd_ < 0) return true;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(when - std::chrono::steady_clock::now());
    pollfd ended{fd_, POLLIN, 0};
    return ::poll(&ended, 1, std::max(0, static_cast<int>(left.count()))) > 0;
  }
  void kill() const { ::syscall(SYS_pidfd_send_signal, fd_, SIGKILL, nullptr, 0); }

 private:
  int fd_;
};

}  // namespace

void mark_started_processes() { ::setenv(mark().c_str(), "1", 1); }

std::vector<std::string> end_marked_processes(std::chrono::milliseconds longest) {
  std::vector<std::string> result;
  const std::string variable = mark() + "=1";
  const auto until = std::chrono::steady_clock::now() + longest;
  // Once more after one that was left: it may have started others meanwhile.
  std::size_t before = 0;
  do {
    before = result.size();
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      pid_t pid = 0;
      const auto read = std::from_chars(name.data(), name.data() + name.size(), pid);
      if (read.ptr != name.data() + name.size() || pid == ::getpid()) continue;
      const handle process(pid);
      if (!is_marked(entry.path(), variable)) continue;
      std::string said = command_line(entry.path());
      if (process.ended_by(until)) continue;
      process.kill();
      process.ended_by(std::chrono::steady_clock::now() + time_to_die);
      result.push_back(std::move(said));
    }
  } while (result.size() != before);
  return result;
}

void report_leftover(const std::string& what) {
  left_over = true;
  std::cerr << "left over: " << what << std::endl;
}

bool any_left_over() noexcept { return left_over; }

}  // namespace troupe::test
