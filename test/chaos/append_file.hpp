/// A file that outlives its writers: whole lines, of any number of processes at once.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace chaos {

/// Thread-safe. What was written is there, however the process ends.
class append_file {
 public:
  explicit append_file(const std::string& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw std::runtime_error("cannot write " + path);
  }
  append_file(append_file&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  append_file& operator=(append_file&&) = delete;
  ~append_file() {
    if (fd_ >= 0) ::close(fd_);
  }
  void line(std::string text) const {
    text += '\n';
    if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("a line could not be written");
    }
  }

 private:
  int fd_;
};

/// Nanoseconds of the clock that all processes of a machine share.
inline std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace chaos
