#include "net/rotating_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <troupe/log.hpp>

namespace troupe::net {
namespace {

std::string numbered(const std::string& path, std::size_t number) {
  return number == 0 ? path : path + "." + std::to_string(number);
}

}  // namespace

rotating_file::rotating_file(std::string path, rotation bounds)
    : path_(std::move(path)), bounds_(bounds) {
  open();
}

void rotating_file::open() {
  fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd_) {
    log::warn("cannot write ", path_, ": ", std::strerror(errno));
    return;
  }
  struct stat facts {};
  bytes_ = ::fstat(fd_.get(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

void rotating_file::rotate() {
  close();
  if (bounds_.files <= 1) {
    ::unlink(path_.c_str());
  } else {
    for (std::size_t n = bounds_.files - 1; n > 0; --n) {
      std::rename(numbered(path_, n - 1).c_str(), numbered(path_, n).c_str());
    }
  }
  open();
}

void rotating_file::write(std::string_view bytes) {
  if (!fd_) return;
  if (bytes_ > 0 && bytes_ + bytes.size() > bounds_.max_bytes) rotate();
  while (!bytes.empty() && fd_) {
    const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    bytes_ += static_cast<std::uint64_t>(put);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void remove_rotated(const std::string& path, std::size_t files) noexcept {
  for (std::size_t n = 0; n < files; ++n) ::unlink(numbered(path, n).c_str());
}

}  // namespace troupe::net
