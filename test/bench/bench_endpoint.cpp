// What the links of a cluster carry between two processes of a machine, beside ZeroMQ alone.
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "net/endpoint.hpp"
#include "test/bench/bench.hpp"
#include "test/bench/raw_zeromq.hpp"

namespace troupe::bench {
namespace {

using namespace net;

constexpr std::size_t message_bytes = 100;
constexpr std::uint16_t counted = 1;  ///< answered when so many have come as the first one says
constexpr std::uint16_t echoed = 2;

message make(std::uint16_t kind, std::uint64_t number) {
  message m{.kind = kind, .body = std::vector<std::byte>(message_bytes), .attachments = {}};
  std::memcpy(m.body.data(), &number, sizeof number);
  return m;
}
std::uint64_t number_of(const message& m) {
  std::uint64_t number = 0;
  std::memcpy(&number, m.body.data(), sizeof number);
  return number;
}

class answering : public endpoint_handler {
 public:
  void received(process_id from, message&& what) override {
    if (what.kind == echoed) {
      self->send(from, std::move(what));
    } else if (++count_ == number_of(what)) {
      count_ = 0;
      self->send(from, std::move(what));
    }
  }
  void unreachable(process_id, const std::string&) override {}
  endpoint* self = nullptr;

 private:
  std::uint64_t count_ = 0;
};

/// Sends the next message of a chain of round trips as the answer comes, on the endpoint's thread.
class asking : public endpoint_handler {
 public:
  void received(process_id from, message&& what) override {
    if (--left_ > 0) {
      self->send(from, std::move(what));
    } else {
      const std::lock_guard guard(mutex_);
      done_ = true;
      changed_.notify_one();
    }
  }
  void unreachable(process_id, const std::string&) override {}
  /// So many answers are wanted. Before the first question.
  void expect(int count) {
    left_ = count;
    done_ = false;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }
  endpoint* self = nullptr;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> left_{0};
  bool done_ = false;
};

/// A process that runs `serve`, which writes a line to the pipe when it is ready.
class child {
 public:
  template <class F>
  explicit child(F serve) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      serve(ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    char buffer[1024];
    const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
    said_.assign(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    ::close(ends[0]);
  }
  ~child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  const std::string& said() const { return said_; }

 private:
  pid_t pid_;
  std::string said_;
};

struct folder {
  folder() {
    char name[] = "/tmp/troupe-bench-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

[[noreturn]] void serve_raw(int ready, const std::string& address) {
  void* const context = zmq_ctx_new();
  void* const router = zmq_socket(context, ZMQ_ROUTER);
  const int unbounded = 0;
  zmq_setsockopt(router, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
  zmq_bind(router, address.c_str());
  static_cast<void>(!::write(ready, "x", 1));
  char route[16];
  char body[message_bytes];
  for (std::uint64_t count = 0;;) {
    const int route_size = zmq_recv(router, route, sizeof route, 0);
    zmq_recv(router, body, sizeof body, 0);
    std::uint64_t wanted = 0;
    std::memcpy(&wanted, body, sizeof wanted);
    if (++count < wanted) continue;
    count = 0;
    zmq_send(router, route, static_cast<std::size_t>(route_size), ZMQ_SNDMORE);
    zmq_send(router, body, sizeof body, 0);
  }
}

struct setting {
  setting()
      : raw_address("ipc://" + where.path + "/raw"),
        served([this](int ready) {
          answering answers;
          endpoint self({.session_dir = where.path}, answers);
          answers.self = &self;
          const std::string local = std::to_string(self.id()) + ' ' + self.self().local;
          static_cast<void>(!::write(ready, local.data(), local.size()));
          ::pause();
        }),
        raw_served([this](int ready) { serve_raw(ready, raw_address); }),
        own({.session_dir = where.path}, handler),
        context(zmq_ctx_new()),
        dealer(zmq_socket(context, ZMQ_DEALER)) {
    handler.self = &own;
    const std::size_t blank = served.said().find(' ');
    other = {std::stoull(served.said()), own.self().host, served.said().substr(blank + 1), ""};
    own.learn(other);
    const int none = 0;
    zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(dealer, ZMQ_SNDHWM, &none, sizeof none);
    zmq_connect(dealer, raw_address.c_str());
  }
  ~setting() {
    zmq_close(dealer);
    zmq_ctx_term(context);
  }

  void burst(std::uint64_t count) {
    handler.expect(1);
    for (std::uint64_t i = 0; i < count; ++i) own.send(other.id, make(counted, count));
    handler.wait();
  }
  void raw_burst(std::uint64_t count) {
    const message m = make(counted, count);
    for (std::uint64_t i = 0; i < count; ++i) zmq_send(dealer, m.body.data(), m.body.size(), 0);
    char body[message_bytes];
    zmq_recv(dealer, body, sizeof body, 0);
  }
  void round_trips(int count) {
    handler.expect(count);
    own.send(other.id, make(echoed, 0));
    handler.wait();
  }
  void raw_round_trips(int count) {
    const message m = make(echoed, 1);
    char body[message_bytes];
    for (int i = 0; i < count; ++i) {
      zmq_send(dealer, m.body.data(), m.body.size(), 0);
      zmq_recv(dealer, body, sizeof body, 0);
    }
  }

  folder where;
  std::string raw_address;
  child served;
  child raw_served;
  asking handler;
  endpoint own;
  peer other;
  void* context;
  void* dealer;
};

std::vector<figure> rate() {
  constexpr std::uint64_t count = 500'000;
  setting s;
  const auto measured = alternate(
      5, [&] { return count / seconds([&] { s.burst(count); }); },
      [&] { return count / seconds([&] { s.raw_burst(count); }); });
  return {{.name = "link_rate",
           .value = measured.value,
           .unit = "messages/s",
           .peer = "ZeroMQ, one by one",
           .peer_value = measured.peer}};
}

std::vector<figure> round_trip() {
  constexpr int count = 5'000;
  setting s;
  const auto measured = alternate(
      5, [&] { return seconds([&] { s.round_trips(count); }) / count * 1e6; },
      [&] { return seconds([&] { s.raw_round_trips(count); }) / count * 1e6; });
  return {{.name = "link_round_trip",
           .value = measured.value,
           .unit = "us",
           .higher_is_better = false,
           .peer = "ZeroMQ",
           .peer_value = measured.peer}};
}

const registered link_rate("link_rate", rate);
const registered link_round_trip("link_round_trip", round_trip);

}  // namespace

class raw_zeromq::implementation {
 public:
  setting all;
};

raw_zeromq::raw_zeromq() : impl_(std::make_unique<implementation>()) {}
raw_zeromq::~raw_zeromq() = default;

double raw_zeromq::rate(std::uint64_t count) {
  return static_cast<double>(count) / seconds([&] { impl_->all.raw_burst(count); });
}
double raw_zeromq::round_trip(int count) {
  return seconds([&] { impl_->all.raw_round_trips(count); }) / count * 1e6;
}

}  // namespace troupe::bench
