#include "net/bulk_socket.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <troupe/error.hpp>

namespace troupe::net {
namespace {

using address_list = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

address_list numeric_address(const host_and_port& address, int flags) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | flags;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &found) != 0) {
    found = nullptr;
  }
  return {found, &::freeaddrinfo};
}

void limit(int fd, int which, int milliseconds) noexcept {
  const timeval time{milliseconds / 1000, (milliseconds % 1000) * 1000};
  ::setsockopt(fd, SOL_SOCKET, which, &time, sizeof time);
}

}  // namespace

bool bulk_socket::take(core::descriptor fd) {
  const std::lock_guard guard(mutex_);
  if (ended_) return false;
  fd_ = std::move(fd);
  return true;
}

void bulk_socket::end() noexcept {
  const std::lock_guard guard(mutex_);
  ended_ = true;
  if (fd_) ::shutdown(fd_.get(), SHUT_RDWR);
}

bool bulk_socket::send(std::span<const std::byte> bytes) const noexcept {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool bulk_socket::receive(std::span<std::byte> bytes) const noexcept {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_WAITALL);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

void limit_sending(int fd, int milliseconds) noexcept { limit(fd, SO_SNDTIMEO, milliseconds); }
void limit_receiving(int fd, int milliseconds) noexcept { limit(fd, SO_RCVTIMEO, milliseconds); }

void set_bulk_options(int fd) noexcept {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
}

core::descriptor listen_for_bulk(const std::string& host, std::uint16_t port) {
  const std::string where = host_and_port{host, std::to_string(port)}.text();
  std::string why;
  const auto numeric = look_up({host == "*" ? "0.0.0.0" : host, std::to_string(port)}, why);
  const address_list found =
      numeric ? numeric_address(*numeric, AI_PASSIVE) : address_list(nullptr, &::freeaddrinfo);
  if (!found) throw connection_error("can not listen for data at " + where + ": " + why);
  core::descriptor fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (!fd || ::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(fd.get(), 64) != 0) {
    throw connection_error("can not listen for data at " + where + ": " + std::strerror(errno) +
                           "; name another port by --bulk-port (0: any that is free, none: data "
                           "goes over the node's other connections, which is slower)");
  }
  return fd;
}

std::uint16_t port_of_socket(int fd) noexcept {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return 0;
  return ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&own)->sin6_port
                                         : reinterpret_cast<sockaddr_in*>(&own)->sin_port);
}

std::string connect_bulk(bulk_socket& into, const host_and_port& address, int milliseconds) {
  std::string why;
  const auto numeric = look_up(address, why);
  if (!numeric) return why;
  const address_list found = numeric_address(*numeric, 0);
  if (!found) return "'" + numeric->text() + "' is no address";
  core::descriptor fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return std::strerror(errno);
  set_bulk_options(fd.get());
  limit_sending(fd.get(), milliseconds);  // counts for connect, too
  limit_receiving(fd.get(), milliseconds);
  if (!into.take(std::move(fd))) return "it is not wanted any more";
  if (::connect(into.fd(), found->ai_addr, found->ai_addrlen) == 0) return {};
  return errno == EINPROGRESS || errno == EAGAIN ? "nothing answers there" : std::strerror(errno);
}

}  // namespace troupe::net
