#include "net/spawn.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace troupe::net {
namespace {

enum class step : int { folder, run };
struct start_error {
  step at;
  int number;
};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

struct pipe_ends {
  core::descriptor read;
  core::descriptor write;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.reset(ends[0]);
    write.reset(ends[1]);
    return true;
  }
};

/// What the new process does before it becomes the program. Other threads of the parent may have
/// held any lock at the fork: only what is safe in a signal handler is called here.
[[noreturn]] void become(const char* executable, char* const* arguments, char* const* environment,
                         const char* folder, int out, int err, int report, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // It died before we asked to be told.

  const int none = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(none, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);

  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t nothing;
  ::sigemptyset(&nothing);
  ::sigprocmask(SIG_SETMASK, &nothing, nullptr);

  start_error failure{step::folder, 0};
  if (*folder == '\0' || ::chdir(folder) == 0) {
    ::execve(executable, arguments, environment);
    failure.at = step::run;
  }
  failure.number = errno;
  [[maybe_unused]] const ssize_t ignored = ::write(report, &failure, sizeof(failure));
  ::_exit(127);
}

}  // namespace

core::descriptor open_pidfd(pid_t pid) {
  return core::descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

spawned spawn(const std::string& executable, const std::vector<std::string>& arguments,
              const std::vector<std::string>& environment, const std::string& working_dir) {
  spawned result;
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> envp = pointers_to(environment);
  pipe_ends out, err, report;
  const auto give_up = [&](const std::string& what) {
    result.error = what + ": " + std::strerror(errno);
    return std::move(result);
  };
  if (!out.open() || !err.open() || !report.open()) return give_up("no pipe");

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return give_up("no new process");
  if (pid == 0) {
    become(executable.c_str(), argv.data(), envp.data(), working_dir.c_str(), out.write.get(),
           err.write.get(), report.write.get(), parent);
  }
  ::setpgid(pid, pid);  // Also here: a kill of the group must find it from now on.
  out.write.reset();
  err.write.reset();
  report.write.reset();

  start_error failure{};
  ssize_t got = 0;
  do {
    got = ::read(report.read.get(), &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  if (got == sizeof(failure)) {
    ::waitpid(pid, nullptr, 0);
    errno = failure.number;
    return give_up(failure.at == step::folder ? "cannot enter the folder " + working_dir
                                              : "cannot run " + executable);
  }
  report.read.reset();

  result.pidfd = open_pidfd(pid);
  if (!result.pidfd) {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return give_up("cannot watch the process");
  }
  result.pid = pid;
  result.out = std::move(out.read);
  result.err = std::move(err.read);
  ::fcntl(result.out.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(result.err.get(), F_SETFL, O_NONBLOCK);
  return result;
}

}  // namespace troupe::net
