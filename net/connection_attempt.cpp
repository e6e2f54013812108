#include "net/connection_attempt.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace troupe::net {

connection_attempt::connection_attempt(const host_and_port& numeric) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(numeric.host.c_str(), numeric.port.c_str(), &hints, &found) != 0) {
    result_ = result::failed;
    return;
  }
  begin(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
}

connection_attempt::connection_attempt(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    result_ = result::failed;
    return;
  }
  path.copy(address.sun_path, path.size());
  begin(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

void connection_attempt::begin(const sockaddr* address, unsigned size) {
  fd_.reset(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) {
    result_ = result::failed;
  } else if (::connect(fd_.get(), address, size) == 0) {
    conclude(0);
  } else if (errno != EINPROGRESS && errno != EINTR) {
    conclude(errno);
  }
}

void connection_attempt::conclude(int error) {
  // The path of a unix socket is gone with who listened.
  const bool nobody = error == ECONNREFUSED || error == ENOENT;
  result_ = error == 0 ? result::made : nobody ? result::refused : result::failed;
}

connection_attempt::result connection_attempt::wait(time deadline) {
  if (result_ != result::pending) return result_;
  int patience = 0;
  if (const time now = time::clock::now(); deadline > now) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
    patience = static_cast<int>(std::min<std::int64_t>(left, std::numeric_limits<int>::max()));
  }
  pollfd connected{fd_.get(), POLLOUT, 0};
  if (::poll(&connected, 1, patience) > 0) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    conclude(error);
  }
  return result_;
}

}  // namespace troupe::net
