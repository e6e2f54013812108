/// A relay between a client and a server, for tests: cuts connections, turns new ones away, and
/// keeps what clients sent.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace troupe::test {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A TCP connection to a port of this machine. Reads have a deadline.
class tcp_client {
 public:
  explicit tcp_client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(port);
    const timeval deadline{60, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("no connection to port " + std::to_string(port));
    }
  }
  tcp_client(const tcp_client&) = delete;
  tcp_client& operator=(const tcp_client&) = delete;
  ~tcp_client() { ::close(fd_); }

  void send(const std::string& bytes) {
    static_cast<void>(!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  /// Whether the other side ends the connection within that time; what it says is thrown away.
  bool ends_within(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      pollfd waiting{fd_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) != 1) {
        return false;
      }
      char buffer[4096];
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
    }
  }
  /// Reads until the other side ends the connection. False when it does not.
  bool read_to_end() {
    char buffer[4096];
    for (;;) {
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
      if (got < 0) return false;
    }
  }

 private:
  int fd_;
};

/// Thread-safe; one thread of its own.
class tcp_proxy {
 public:
  explicit tcp_proxy(std::uint16_t target) : target_(target) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no proxy");
    }
    port_ = ntohs(address.sin_port);
    if (::pipe(wake_) != 0) throw std::runtime_error("no pipe");
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  tcp_proxy(const tcp_proxy&) = delete;
  tcp_proxy& operator=(const tcp_proxy&) = delete;
  ~tcp_proxy() {
    thread_.request_stop();
    wake();
    thread_.join();
    for (pair& p : pairs_) close(p);
    ::close(listener_);
    ::close(wake_[0]);
    ::close(wake_[1]);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  /// Ends all connections, with what is in them.
  void cut() {
    cut_ = true;
    wake();
  }
  /// While closed, new connections end at once.
  void set_open(bool open) { open_ = open; }
  /// All bytes that clients have sent, of the first connection.
  std::string recorded() const {
    const std::lock_guard guard(mutex_);
    return recorded_;
  }
  int connections() const { return connections_; }

 private:
  struct pair {
    int client;
    int server;
    bool first;
  };

  void wake() { static_cast<void>(!::write(wake_[1], "x", 1)); }
  static void close(const pair& p) {
    const linger at_once{1, 0};
    ::setsockopt(p.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::setsockopt(p.server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(p.client);
    ::close(p.server);
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
      for (const pair& p : pairs_) {
        fds.push_back({p.client, POLLIN, 0});
        fds.push_back({p.server, POLLIN, 0});
      }
      ::poll(fds.data(), fds.size(), -1);
      char ignored[64];
      if (fds[1].revents != 0) static_cast<void>(!::read(wake_[0], ignored, sizeof ignored));
      if (cut_.exchange(false)) {
        for (pair& p : pairs_) close(p);
        pairs_.clear();
        continue;
      }
      std::size_t i = 2;
      for (auto p = pairs_.begin(); p != pairs_.end(); i += 2) {
        const bool alive = (fds[i].revents == 0 || relay(p->client, p->server, p->first)) &&
                           (fds[i + 1].revents == 0 || relay(p->server, p->client, false));
        if (!alive) close(*p);
        p = alive ? std::next(p) : pairs_.erase(p);
      }
      if (fds[0].revents != 0) accept();
    }
  }

  void accept() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(target_);
    if (!open_ ||
        ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close({client, server, false});
      return;
    }
    pairs_.push_back({client, server, ++connections_ == 1});
  }

  bool relay(int from, int to, bool record) {
    char buffer[16384];
    const ssize_t got = ::recv(from, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    if (record) {
      const std::lock_guard guard(mutex_);
      recorded_.append(buffer, static_cast<std::size_t>(got));
    }
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t n =
          ::send(to, buffer + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += n;
    }
    return true;
  }

  const std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::list<pair> pairs_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> open_{true};
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  std::string recorded_;
  std::jthread thread_;
};

}  // namespace troupe::test
