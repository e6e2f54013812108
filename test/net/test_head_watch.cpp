// Whether a node's head has ended, by the clock that the test moves.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "net/head_watch.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using namespace std::chrono_literals;
using finding = head_watch::finding;

namespace {

/// A port that is taken; nobody listens there before `listen`.
class port {
 public:
  port() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    head_.id = 1;
    head_.remote = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  ~port() { ::close(fd_); }
  port(const port&) = delete;
  port& operator=(const port&) = delete;

  void listen() const { REQUIRE(::listen(fd_, 8) == 0); }
  const peer& head() const { return head_; }

 private:
  int fd_;
  peer head_;
};

/// What a node finds that looks each 100 ms for so long.
std::vector<finding> look(head_watch& watch, head_watch::time from, std::chrono::milliseconds until,
                          std::chrono::milliseconds silent_for) {
  std::vector<finding> all;
  for (auto t = 0ms; t <= until; t += 100ms) {
    std::this_thread::yield();
    all.push_back(watch.look(from + t, silent_for, 60s));
  }
  return all;
}

}  // namespace

TEST_CASE("a dead head is found dead before the node gives up, however short its patience is") {
  const auto silent_for = GENERATE(600ms, 1'800ms, 6'000ms);
  const port at;
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.head(), now);
  const auto found = look(watch, now, 30s, silent_for);
  CHECK(std::count(found.begin(), found.end(), finding::just_died) == 1);
  CHECK(std::count(found.begin(), found.end(), finding::silent) == 0);
}

TEST_CASE("a head is found dead early enough that it may be back when the patience would end") {
  const port at;
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.head(), now);
  const auto dead = look(watch, now, 1'400ms, 1'800ms);
  CHECK(dead.back() == finding::alive);  // it was told before
  at.listen();
  // The link finds it within that time.
  const auto back = look(watch, now + 1'500ms, 1'000ms, 1'800ms);
  CHECK(std::count(back.begin(), back.end(), finding::silent) == 0);
}

TEST_CASE("a head that listens and says nothing is silent, and not dead") {
  const port at;
  at.listen();
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.head(), now);
  const auto found = look(watch, now, 2s, 1'800ms);
  CHECK(std::count(found.begin(), found.end(), finding::just_died) == 0);
  CHECK(found.back() == finding::silent);
}
