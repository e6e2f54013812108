#include "net/address.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>

#include "core/descriptor.hpp"
#include "net/connection_attempt.hpp"

namespace troupe::net {
namespace {

using address_list = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

address_list find_addresses(const host_and_port& address, std::string& error) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &found);
  if (rc != 0) error = ::gai_strerror(rc);
  return {found, &::freeaddrinfo};
}

std::optional<host_and_port> numeric(const sockaddr* address, socklen_t size) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return std::nullopt;
  }
  return host_and_port{host, port};
}

/// Waits until the descriptor is ready for `events`.
bool await(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd waiting{fd, events, 0};
  return ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) == 1;
}

std::string first_line(const char* path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

}  // namespace

std::string host_and_port::text() const {
  return (is_ipv6() ? '[' + host + ']' : host) + ':' + port;
}

std::optional<host_and_port> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  host_and_port parts{text.substr(0, colon), text.substr(colon + 1)};
  unsigned port = 0;
  const char* const end = parts.port.data() + parts.port.size();
  const auto [at, error] = std::from_chars(parts.port.data(), end, port);
  if (error != std::errc() || at != end || port > 65'535) return std::nullopt;
  if (parts.host.front() == '[' && parts.host.back() == ']') {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.is_ipv6()) {
    return std::nullopt;  // where its port begins is anybody's guess
  }
  if (parts.host.empty()) return std::nullopt;
  return parts;
}

std::optional<host_and_port> look_up(const host_and_port& address, std::string& error) {
  const address_list found = find_addresses(address, error);
  if (!found) return std::nullopt;
  const addrinfo* chosen = found.get();
  for (const addrinfo* a = found.get(); a != nullptr; a = a->ai_next) {
    if (a->ai_family == AF_INET) {  // what listens on all interfaces listens on IPv4
      chosen = a;
      break;
    }
  }
  return numeric(chosen->ai_addr, chosen->ai_addrlen);
}

std::string own_address() {
  const core::descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in far{};
  far.sin_family = AF_INET;
  far.sin_port = htons(9);
  ::inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);  // reserved for documentation
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&far), sizeof far) == 0 &&
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) == 0) {
    if (const auto found = numeric(reinterpret_cast<sockaddr*>(&own), size)) return found->host;
  }
  return "127.0.0.1";
}

std::string remote_of(int fd) {
  sockaddr_storage remote{};
  socklen_t size = sizeof remote;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &size) != 0) return {};
  const auto found = numeric(reinterpret_cast<sockaddr*>(&remote), size);
  return found ? found->text() : std::string();
}

listener examine(const host_and_port& address, std::chrono::steady_clock::time_point deadline) {
  connection_attempt attempt(address);
  switch (attempt.wait(deadline)) {
    case connection_attempt::result::made:
      break;
    case connection_attempt::result::refused:
      return listener::nobody;
    case connection_attempt::result::pending:
    case connection_attempt::result::failed:
      return listener::silent;
  }
  const int socket = attempt.descriptor();

  // ZMTP 3: ten bytes of signature, the version, and the name of the security mechanism.
  std::array<unsigned char, 64> greeting{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0};
  std::memcpy(greeting.data() + 12, "CURVE", 5);
  if (::send(socket, greeting.data(), greeting.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(greeting.size())) {
    return listener::silent;
  }
  std::array<unsigned char, 64> answer{};
  std::size_t have = 0;
  while (have < answer.size() && await(socket, POLLIN, deadline)) {
    const ssize_t got = ::recv(socket, answer.data() + have, answer.size() - have, 0);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
    if (answer[0] != 0xff) return listener::other_program;
  }
  if (have == 0) return listener::silent;
  if (have < 32 || answer[9] != 0x7f) return listener::other_program;
  return std::memcmp(answer.data() + 12, "CURVE", 6) == 0 ? listener::encrypted
                                                          : listener::without_encryption;
}

std::string host_identity() {
  std::string machine = first_line("/etc/machine-id");
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) == 0) machine += std::string("/") + name;
  char network[64] = {};  // containers that share a name and a boot do not share this
  static_cast<void>(::readlink("/proc/self/ns/net", network, sizeof network - 1));
  return machine + '/' + first_line("/proc/sys/kernel/random/boot_id") + '/' + network + '/' +
         std::to_string(::geteuid());
}

}  // namespace troupe::net
