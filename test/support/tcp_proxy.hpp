/// A relay between a client and a server, for tests: cuts connections, turns new ones away, keeps
/// what clients sent, and is as bad a network as wished.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
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

/// What a bad network does with what goes through a `tcp_proxy`, in both directions.
struct weather {
  std::chrono::milliseconds delay{0};
  std::size_t bytes_per_second = 0;  ///< 0: as fast as it goes
  bool swallows = false;             ///< nothing arrives, and nobody is told
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
  void set_weather(const weather& now) {
    const std::lock_guard guard(mutex_);
    weather_ = now;
  }
  /// The connections that there are stay open and carry nothing any more; new ones do.
  void freeze_connections() {
    freeze_ = true;
    wake();
  }
  /// One bit of the next bytes, in each direction, arrives wrong.
  void corrupt() { to_corrupt_ = true; }
  /// Bits that arrived wrong.
  int corrupted() const { return corrupted_; }
  /// All bytes that clients have sent, of the first connection.
  std::string recorded() const {
    const std::lock_guard guard(mutex_);
    return recorded_;
  }
  int connections() const { return connections_; }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t most_on_its_way = std::size_t{4} << 20;

  struct piece {
    clock::time_point due;
    std::string bytes;
  };
  struct direction {
    int from;
    int to;
    bool recorded;
    std::deque<piece> on_its_way{};
    std::size_t bytes = 0;
    clock::time_point last_due{};
    bool corrupt = false;
  };
  struct pair {
    direction up;    // from the client
    direction down;  // from the server
    bool frozen = false;
  };

  void wake() { static_cast<void>(!::write(wake_[1], "x", 1)); }
  static void close(const pair& p) {
    const linger at_once{1, 0};
    for (const int fd : {p.up.from, p.up.to}) {
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(fd);
    }
  }
  static pollfd watched(const direction& d, const direction& other) {
    short events = d.bytes < most_on_its_way ? POLLIN : 0;
    // What the other direction could not write yet goes to the same socket.
    if (!other.on_its_way.empty() && other.on_its_way.front().due <= clock::now()) {
      events |= POLLOUT;
    }
    return {d.from, events, 0};
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
      for (const pair& p : pairs_) {
        fds.push_back(watched(p.up, p.down));
        fds.push_back(watched(p.down, p.up));
      }
      ::poll(fds.data(), fds.size(), time_to_next_piece());
      char ignored[64];
      if (fds[1].revents != 0) static_cast<void>(!::read(wake_[0], ignored, sizeof ignored));
      if (cut_.exchange(false)) {
        for (pair& p : pairs_) close(p);
        pairs_.clear();
        continue;
      }
      if (freeze_.exchange(false)) {
        for (pair& p : pairs_) p.frozen = true;
      }
      if (to_corrupt_.exchange(false)) {
        for (pair& p : pairs_) p.up.corrupt = p.down.corrupt = true;
      }
      std::size_t i = 2;
      for (auto p = pairs_.begin(); p != pairs_.end(); i += 2) {
        const bool alive = ((fds[i].revents & ~POLLOUT) == 0 || take(p->up, p->frozen)) &&
                           ((fds[i + 1].revents & ~POLLOUT) == 0 || take(p->down, p->frozen)) &&
                           give(p->up) && give(p->down);
        if (!alive) close(*p);
        p = alive ? std::next(p) : pairs_.erase(p);
      }
      if (fds[0].revents != 0) accept();
    }
  }

  int time_to_next_piece() const {
    std::optional<clock::time_point> next;
    for (const pair& p : pairs_) {
      for (const direction* const d : {&p.up, &p.down}) {
        if (d->on_its_way.empty()) continue;
        const auto due = d->on_its_way.front().due;
        // One that is due waits for its socket, which poll watches.
        if (due > clock::now() && (!next || due < *next)) next = due;
      }
    }
    if (!next) return -1;
    return static_cast<int>(
        std::chrono::ceil<std::chrono::milliseconds>(*next - clock::now()).count());
  }

  void accept() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(target_);
    const bool first = connections_ == 0;
    pair made{{client, server, first}, {server, client, false}};
    if (!open_ ||
        ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(made);
      return;
    }
    ++connections_;
    pairs_.push_back(std::move(made));
  }

  /// False when the connection has ended.
  bool take(direction& d, bool frozen) {
    char buffer[16384];
    const ssize_t got = ::recv(d.from, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) return false;
    std::string bytes(buffer, static_cast<std::size_t>(got));
    const std::lock_guard guard(mutex_);
    if (d.recorded) recorded_ += bytes;
    if (frozen || weather_.swallows) return true;
    if (std::exchange(d.corrupt, false)) {
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
      ++corrupted_;
    }
    auto due = clock::now() + weather_.delay;
    if (weather_.bytes_per_second != 0) {
      due = std::max(due, d.last_due) +
            std::chrono::nanoseconds(bytes.size() * 1'000'000'000 / weather_.bytes_per_second);
    }
    d.last_due = std::max(due, d.last_due);
    d.bytes += bytes.size();
    d.on_its_way.push_back({d.last_due, std::move(bytes)});
    return true;
  }

  bool give(direction& d) {
    while (!d.on_its_way.empty() && d.on_its_way.front().due <= clock::now()) {
      std::string& bytes = d.on_its_way.front().bytes;
      const ssize_t sent = ::send(d.to, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      d.bytes -= static_cast<std::size_t>(sent);
      if (static_cast<std::size_t>(sent) < bytes.size()) {
        bytes.erase(0, static_cast<std::size_t>(sent));
        return true;
      }
      d.on_its_way.pop_front();
    }
    return true;
  }

  const std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::list<pair> pairs_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> freeze_{false};
  std::atomic<bool> open_{true};
  std::atomic<bool> to_corrupt_{false};
  std::atomic<int> corrupted_{0};
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  weather weather_;  // guarded by mutex_
  std::string recorded_;
  std::jthread thread_;
};

}  // namespace troupe::test
