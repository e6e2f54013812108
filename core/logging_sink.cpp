#include "core/logging_sink.hpp"

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <spdlog/details/os.h>

namespace troupe::core::logging {
namespace {

/// How long a record waits for a full pipe before it is given up: a reader that stopped must not
/// stop the program.
constexpr int full_pipe_wait_ms = 100;

}  // namespace

record_sink::record_sink(std::string path, std::uint64_t max_bytes, std::size_t files)
    : path_(std::move(path)), max_bytes_(max_bytes), files_(files), fd_(-1) {
  try {
    open_file();
  } catch (const spdlog::spdlog_ex& e) {
    throw std::invalid_argument(
        std::string("log-file: ") + e.what() +
        "; allowed is a file that can be created or appended to, in a folder "
        "that exists, or nothing for stderr");
  }
}

record_sink::~record_sink() {
  if (!path_.empty() && fd_ >= 0) ::close(fd_);
}

void record_sink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  if (!path_.empty()) {
    // Not open: an earlier rotation could not open the next file.
    if (fd_ < 0) open_file();
    if (bytes_ != 0 && bytes_ + line.size() > max_bytes_) rotate();
  }
  write_all(line.data(), line.size());
}

void record_sink::rotate() {
  // From old to young, so that each rename replaces only what is the oldest. What does not exist
  // yet is skipped; any other failure leaves the log as it is, and the file grows until a later try
  // works.
  for (std::size_t number = files_ - 1; number > 0; --number) {
    const std::string from = number == 1 ? path_ : numbered(number - 1);
    if (std::rename(from.c_str(), numbered(number).c_str()) != 0 && errno != ENOENT) return;
  }
  if (files_ == 1 && ::unlink(path_.c_str()) != 0 && errno != ENOENT) return;
  ::close(std::exchange(fd_, -1));
  open_file();
}

void record_sink::open_file() {
  const int fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) spdlog::throw_spdlog_ex("cannot open \"" + path_ + "\"", errno);
  struct stat status {};
  bytes_ = ::fstat(fd, &status) == 0 && status.st_size > 0
               ? static_cast<std::uint64_t>(status.st_size)
               : 0;
  fd_ = fd;
}

void record_sink::write_all(const char* data, std::size_t size) {
  bytes_ += size;
  while (size != 0) {
    const ssize_t written = ::write(fd_, data, size);
    if (written >= 0) {
      data += written;
      size -= static_cast<std::size_t>(written);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd ready{fd_, POLLOUT, 0};
      if (::poll(&ready, 1, full_pipe_wait_ms) > 0) continue;
      errno = EAGAIN;
    }
    spdlog::throw_spdlog_ex(
        "cannot write to " + (path_.empty() ? std::string("stderr") : "\"" + path_ + "\""), errno);
  }
}

std::string record_sink::numbered(std::size_t number) const {
  return path_ + "." + std::to_string(number);
}

}  // namespace troupe::core::logging
