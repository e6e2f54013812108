/// A free port of this machine, at which a test listens or does not.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "net/ids.hpp"

namespace troupe::test {

/// Taken as long as it lives. Nobody listens there before `listen`, and nobody ever accepts.
class bound_port {
 public:
  bound_port() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
      throw std::runtime_error("no free port");
    }
    port_ = std::to_string(ntohs(at.sin_port));
  }
  bound_port(const bound_port&) = delete;
  bound_port& operator=(const bound_port&) = delete;
  ~bound_port() { end(); }

  void listen() const {
    if (::listen(fd_, 8) != 0) throw std::runtime_error("nobody can listen");
  }
  /// The port is free again.
  void end() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  const std::string& port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + port_; }
  /// A process that has this address, and no other.
  net::peer process(net::process_id id) const {
    net::peer result;
    result.id = id;
    result.remote = address();
    return result;
  }

 private:
  int fd_;
  std::string port_;
};

}  // namespace troupe::test
