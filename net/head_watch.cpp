#include "net/head_watch.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "net/address.hpp"

namespace troupe::net {
namespace {

// A head that lives answers each report, of which there is one a second.
constexpr std::chrono::milliseconds quiet{1'500};
constexpr auto probe_period = std::chrono::milliseconds(500);
constexpr auto probe_patience = std::chrono::milliseconds(2'000);

}  // namespace

/// One attempt to connect.
class head_watch::probe {
 public:
  enum class result : std::uint8_t { pending, refused, other };

  /// `path`: of its unix socket; else `address`.
  probe(const std::string& path, const std::string& address, time now)
      : until_(now + probe_patience) {
    path.empty() ? connect_remotely(address) : connect_locally(path);
  }
  ~probe() {
    if (fd_ >= 0) ::close(fd_);
  }
  probe(const probe&) = delete;
  probe& operator=(const probe&) = delete;

  result look(time now) {
    if (result_ != result::pending) return result_;
    pollfd watched{fd_, POLLOUT, 0};
    if (::poll(&watched, 1, 0) > 0) {
      int error = 0;
      socklen_t size = sizeof(error);
      ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      conclude(error);
    } else if (now >= until_) {
      result_ = result::other;
    }
    return result_;
  }

 private:
  void conclude(int error) {
    result_ = error == ECONNREFUSED || error == ENOENT ? result::refused : result::other;
  }
  void connect_to(const sockaddr* address, socklen_t size) {
    fd_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return conclude(errno == ECONNREFUSED ? EAGAIN : errno);
    if (::connect(fd_, address, size) == 0) return conclude(0);
    if (errno != EINPROGRESS && errno != EINTR) conclude(errno);
  }
  void connect_locally(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) return conclude(EINVAL);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  void connect_remotely(const std::string& text) {
    const auto parts = parse_address(text);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (!parts || ::getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &found) != 0) {
      return conclude(EINVAL);
    }
    connect_to(found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
  }

  int fd_ = -1;
  result result_ = result::pending;
  time until_;
};

head_watch::head_watch() = default;
head_watch::~head_watch() = default;

void head_watch::begin(const peer& head, time now) {
  head_ = head;
  if (head.host != host_identity()) head_.local.clear();
  std::string why;
  if (const auto parts = parse_address(head.remote)) {
    if (const auto numeric = look_up(*parts, why)) numeric_ = numeric->text();
  }
  heard(now);
}

void head_watch::heard(time now) {
  heard_ = known_ = now;
  dead_ = false;
  probe_.reset();
}

head_watch::finding head_watch::look(time now, std::chrono::milliseconds silent_for,
                                     std::chrono::milliseconds dead_for) {
  // Long enough before the patience ends that a dead head is found dead, however short it is.
  if (now - heard_ < std::min(quiet, silent_for * 2 / 3)) return finding::alive;
  bool died = false;
  if (probe_) {
    const auto result = probe_->look(now);
    if (result == probe::result::refused) {
      died = !std::exchange(dead_, true);
      known_ = now;
    }
    if (result != probe::result::pending) {
      probe_.reset();
      next_probe_ = now + probe_period;
    }
  } else if (now >= next_probe_) {
    probe_ = std::make_unique<probe>(head_.local, numeric_, now);
  }
  if (now - known_ > silent_for) return finding::silent;
  if (dead_ && now - heard_ > dead_for) return finding::stays_dead;
  return died ? finding::just_died : finding::alive;
}

}  // namespace troupe::net
