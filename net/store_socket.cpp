#include "net/store_socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/error.hpp>
#include <troupe/log.hpp>

namespace troupe::net {

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw connection_error("the object store's socket " + path +
                           " has too long a path: " + std::to_string(sizeof(address.sun_path) - 1) +
                           " characters are allowed; choose a shorter --session-dir");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

core::descriptor new_socket() {
  core::descriptor fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd)
    throw connection_error(std::string("no socket for the object store: ") + std::strerror(errno));
  return fd;
}

}  // namespace

core::descriptor listen_for_store(const std::string& path) {
  const sockaddr_un address = address_of(path);
  core::descriptor fd = new_socket();
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), 1024) != 0) {
    throw connection_error("the object store cannot listen at " + path + ": " +
                           std::strerror(errno));
  }
  return fd;
}

core::descriptor accept_own(const core::descriptor& listener) {
  for (;;) {
    pollfd ready{listener.get(), POLLIN, 0};
    if (::poll(&ready, 1, 0) <= 0) return {};
    core::descriptor fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      log::warn("the object store cannot accept a connection: ", std::strerror(errno));
      return {};
    }
    ucred who{};
    socklen_t size = sizeof(who);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
        who.uid == ::geteuid()) {
      return fd;
    }
    log::warn("the object store refused a process of user ", who.uid);
  }
}

std::int64_t peer_pid(const core::descriptor& connection) {
  ucred who{};
  socklen_t size = sizeof(who);
  return ::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

core::descriptor connect_to_store(const std::string& path) {
  const sockaddr_un address = address_of(path);
  core::descriptor fd = new_socket();
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ECONNREFUSED) throw store_gone_error();
    throw connection_error("cannot reach the node's object store at " + path + ": " +
                           std::strerror(errno));
  }
  return fd;
}

bool send_reply(const core::descriptor& to, const store_reply& what, int passed) {
  const detail::encoded bytes = detail::encode(store_reply(what));
  iovec part{const_cast<std::byte*>(bytes.inline_bytes.data()), bytes.inline_bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (passed >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &passed, sizeof(int));
  }
  return ::sendmsg(to.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

bool send_request(const core::descriptor& to, const store_request& what) {
  const detail::encoded bytes = detail::encode(store_request(what));
  for (;;) {
    if (::send(to.get(), bytes.inline_bytes.data(), bytes.inline_bytes.size(), MSG_NOSIGNAL) >= 0) {
      return true;
    }
    if (errno != EINTR) return false;
  }
}

bool receive_reply(const core::descriptor& from, int milliseconds, store_reply& what,
                   core::descriptor* passed) {
  pollfd ready{from.get(), POLLIN, 0};
  const int n = ::poll(&ready, 1, milliseconds);
  if (n == 0 || (n < 0 && errno == EINTR)) return false;
  std::byte buffer[max_store_message];
  iovec part{buffer, sizeof(buffer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t got = ::recvmsg(from.get(), &header, MSG_CMSG_CLOEXEC);
  if (got <= 0) throw store_gone_error();
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(at), sizeof(int));
    core::descriptor came(fd);
    if (passed != nullptr) *passed = std::move(came);
  }
  what = detail::decode<store_reply>({buffer, static_cast<std::size_t>(got)});
  return true;
}

}  // namespace troupe::net
