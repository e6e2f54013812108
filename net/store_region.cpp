#include "net/store_region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

namespace troupe::net {

namespace {

[[noreturn]] void refuse(const char* what, std::uint64_t bytes, int error) {
  throw connection_error(std::string(what) + " of " + std::to_string(bytes) +
                         " bytes for the object store (" + std::strerror(error) +
                         "): start the node with a smaller --object-store-memory, or let the "
                         "process use more memory (ulimit -v, the container's limits)");
}

}  // namespace

store_region::store_region(std::uint64_t bytes) : bytes_(bytes) {
  fd_.reset(::memfd_create("troupe-store", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) {
    refuse("cannot make the shared memory", bytes, errno);
  }
  ::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  map();
}

store_region::store_region(core::descriptor fd, std::uint64_t bytes)
    : fd_(std::move(fd)), bytes_(bytes) {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0 || static_cast<std::uint64_t>(info.st_size) != bytes) {
    throw connection_error("the node's object store is not of the size that the node said");
  }
  map();
}

store_region::~store_region() {
  ::munmap(write_, bytes_);
  ::munmap(const_cast<std::byte*>(read_), bytes_);
}

void store_region::map() {
  void* const writing =
      ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
  if (writing == MAP_FAILED) refuse("cannot map the shared memory", bytes_, errno);
  void* const reading =
      ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
  if (reading == MAP_FAILED) {
    const int error = errno;
    ::munmap(writing, bytes_);
    refuse("cannot map the shared memory", bytes_, error);
  }
  write_ = static_cast<std::byte*>(writing);
  read_ = static_cast<const std::byte*>(reading);
  // A child of the user's has no use for them, and its fork is quicker.
  ::madvise(writing, bytes_, MADV_DONTFORK);
  ::madvise(reading, bytes_, MADV_DONTFORK);
}

bool store_region::contains(const void* address) const noexcept {
  const auto* const at = static_cast<const std::byte*>(address);
  return at >= read_ && at < read_ + bytes_;
}

// -- prefaulter -----------------------------------------------------------------------------------

prefaulter::prefaulter(const store_region& region)
    : region_(region), thread_([this](const std::stop_token& stop) { run(stop); }) {}

prefaulter::~prefaulter() = default;

void prefaulter::reach(std::uint64_t end) {
  end = std::min(end, region_.size());
  const std::lock_guard guard(mutex_);
  if (end <= wanted_) return;
  wanted_ = end;
  changed_.notify_one();
}

void prefaulter::run(const std::stop_token& stop) {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 19);
  constexpr std::uint64_t step = std::uint64_t{4} << 20;
  std::uint64_t done = 0;
  while (!stop.stop_requested()) {
    {
      std::unique_lock guard(mutex_);
      if (!changed_.wait(guard, stop, [&] { return wanted_ > done; })) return;
    }
    const std::uint64_t size = std::min(step, region_.size() - done);
    if (::fallocate(region_.fd(), 0, static_cast<off_t>(done), static_cast<off_t>(size)) != 0) {
      if (errno == EINTR) continue;
      log::warn("the object store gets no more memory ahead of its use: ", std::strerror(errno));
      return;
    }
    done += size;
  }
}

}  // namespace troupe::net
