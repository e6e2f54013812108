#include "net/spill_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <troupe/error.hpp>

namespace troupe::net {

spill_file::spill_file(const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  fd_.reset(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd_ && (errno == EOPNOTSUPP || errno == EISDIR)) {  // not every file system has these
    std::string name = folder + "/troupe-spill-XXXXXX";
    fd_.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (fd_) ::unlink(name.c_str());
  }
  if (!fd_) {
    const std::string why = failed ? failed.message() : std::strerror(errno);
    throw connection_error("cannot write a file for spilled objects in " + folder + ": " + why +
                           "; name another folder by --spill-dir, or say --spill-dir=none");
  }
}

std::string spill_file::write(std::uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return std::strerror(errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

std::string spill_file::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::strerror(errno);
    if (got == 0) return "the file is shorter than what was written";
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

void spill_file::discard(std::uint64_t offset, std::uint64_t size) const noexcept {
  // Where the file system has no holes the space is used again by later values.
  static_cast<void>(::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(offset), static_cast<off_t>(size)));
}

}  // namespace troupe::net
