/// Breaks the connections of another process, as a network or a kernel would: its sockets are shut
/// down from outside, with what is in them.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>

namespace troupe::test {

class link_breaker {
 public:
  explicit link_breaker(std::int64_t pid)
      : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  link_breaker(const link_breaker&) = delete;
  link_breaker& operator=(const link_breaker&) = delete;
  ~link_breaker() {
    if (pidfd_ >= 0) ::close(pidfd_);
  }

  /// Ends all stream connections of the process; how many. -1 when the system does not allow it.
  int break_all() const {
    if (pidfd_ < 0) return -1;
    int broken = 0;
    std::error_code gone;
    const std::string folder = "/proc/" + std::to_string(pid_) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder, gone)) {
      std::error_code ignored;
      const std::string target = std::filesystem::read_symlink(entry.path(), ignored).string();
      if (target.rfind("socket:", 0) != 0) continue;
      const int number = std::stoi(entry.path().filename().string());
      const int own = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd_, number, 0));
      if (own < 0) {
        if (errno == EPERM) return -1;
        continue;
      }
      if (is_connection(own) && ::shutdown(own, SHUT_RDWR) == 0) ++broken;
      ::close(own);
    }
    return broken;
  }

 private:
  static bool is_connection(int fd) {
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof type;
    ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    size = sizeof listens;
    ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    return type == SOCK_STREAM && listens == 0;
  }

  std::int64_t pid_;
  int pidfd_;
};

}  // namespace troupe::test
