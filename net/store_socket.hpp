/// The unix socket between a store and its clients.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <troupe/error.hpp>

#include "net/store_wire.hpp"

namespace troupe::net {

/// A file descriptor that is closed at the end. Move-only.
class store_fd {
 public:
  store_fd() = default;
  explicit store_fd(int fd) noexcept : fd_(fd) {}
  store_fd(store_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  store_fd& operator=(store_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~store_fd();
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// The store has ended, or has given this process up.
class store_gone_error : public connection_error {
 public:
  store_gone_error() : connection_error("the node's object store is gone: its daemon has ended") {}
};

/// Listens there, in place of what a dead node left. Throws `connection_error` with the cause.
store_fd listen_for_store(const std::string& path);
/// The next one who connects and is of this user; none when nobody waits.
store_fd accept_own(const store_fd& listener);
/// The process at the other end; 0 when it is not known.
std::int64_t peer_pid(const store_fd& connection);
/// Throws `connection_error` with the cause, `store_gone_error` when nobody listens there.
store_fd connect_to_store(const std::string& path);

/// False when the other side is gone or does not read. `passed`: a descriptor that goes along.
bool send_reply(const store_fd& to, const store_reply& what, int passed = -1);
bool send_request(const store_fd& to, const store_request& what);
/// Waits so long (-1: for ever) for a reply. False at the end of the time. Throws
/// `store_gone_error` when the other side is gone. `passed` gets the descriptor that came along.
bool receive_reply(const store_fd& from, int milliseconds, store_reply& what,
                   store_fd* passed = nullptr);

}  // namespace troupe::net
