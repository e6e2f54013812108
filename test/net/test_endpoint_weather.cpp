// ctest: TIMEOUT 300
// Endpoints of two machines over bad networks: slow, narrow, half open, and with wrong bytes.
#include <memory>

#include "net/endpoint.hpp"
#include "test/support/catch.hpp"
#include "test/support/endpoints.hpp"
#include "test/support/tcp_proxy.hpp"

using namespace std::chrono_literals;
using namespace troupe::net;
using namespace troupe::test;

namespace {

/// Two processes that reach each other by proxies only.
class far_apart {
 public:
  far_apart()
      : key_(make_cluster_key()),
        a(session_, by_tcp(key_)),
        b(session_, by_tcp(key_)),
        to_a(port_of(a.endpoint.self())),
        to_b(port_of(b.endpoint.self())) {
    meet(a, b, to_b);
    meet(b, a, to_a);
    REQUIRE(a.endpoint.send(b.id(), numbered(0)));
    REQUIRE(b.endpoint.send(a.id(), numbered(0)));
    REQUIRE(a.heard.wait(b.id(), 1));
    REQUIRE(b.heard.wait(a.id(), 1));
    REQUIRE(a.endpoint.flush(60s));
    REQUIRE(b.endpoint.flush(60s));
  }
  void set_weather(const weather& now) {
    to_a.set_weather(now);
    to_b.set_weather(now);
  }
  /// Messages of both, the further ones of `first`, whose bytes follow from their numbers.
  void send(std::uint64_t first, std::uint64_t end, std::size_t size) const {
    for (std::uint64_t i = first; i < end; ++i) {
      REQUIRE(a.endpoint.send(b.id(), filled(i, size)));
      REQUIRE(b.endpoint.send(a.id(), filled(i, size / 2)));
    }
  }
  void all_came(std::uint64_t count) {
    REQUIRE(b.heard.wait(a.id(), count));
    REQUIRE(a.heard.wait(b.id(), count));
    CHECK(a.endpoint.flush(60s));
    CHECK(b.endpoint.flush(60s));
    CHECK(a.heard.in_order(b.id(), count));
    CHECK(b.heard.in_order(a.id(), count));
    CHECK(a.heard.times_unreachable(b.id()) == 0);
    CHECK(b.heard.times_unreachable(a.id()) == 0);
    for (const auto& [to, from] : {std::pair{&a, b.id()}, {&b, a.id()}}) {
      bool right = true;
      for (const message& m : to->heard.taken(from)) {
        const std::uint64_t number = number_of(m);
        right = right && (number == 0 || m.body == filled(number, m.body.size()).body);
      }
      CHECK(right);
    }
  }

 private:
  static message filled(std::uint64_t number, std::size_t size) {
    message m = numbered(number, size);
    for (std::size_t i = sizeof number; i < size; ++i) {
      m.body[i] = static_cast<std::byte>(number * 31 + i * 7);
    }
    return m;
  }
  static void meet(test_process& who, test_process& whom, const tcp_proxy& by) {
    peer there = seen_from_elsewhere(whom.endpoint.self());
    there.remote = by.address();
    who.endpoint.learn(there);
  }

  const temp_folder session_;
  const std::string key_;

 public:
  mutable test_process a;
  mutable test_process b;
  tcp_proxy to_a;
  tcp_proxy to_b;
};

}  // namespace

TEST_CASE("over a slow and narrow network everything comes, in order") {
  far_apart they;
  they.set_weather({.delay = 40ms, .bytes_per_second = 2 << 20});
  they.send(1, 400, 4'000);
  they.send(400, 402, 600'000);
  they.all_came(402);
}

TEST_CASE("wrong bytes are noticed, the link is made anew, and nothing wrong is handed over") {
  far_apart they;
  std::uint64_t sent = 1;
  for (int round = 1; round <= 5; ++round) {
    they.to_a.corrupt();
    they.to_b.corrupt();
    they.send(sent, sent + 500, 1'000);
    sent += 500;
    REQUIRE(they.b.heard.wait(they.a.id(), sent));
    REQUIRE(they.a.heard.wait(they.b.id(), sent));
  }
  they.all_came(sent);
  CHECK(they.to_a.corrupted() + they.to_b.corrupted() > 0);
  CHECK(they.to_a.connections() + they.to_b.connections() > 2);
}

TEST_CASE("after a time in which all was swallowed, what was lost is sent again") {
  far_apart they;
  they.set_weather({.swallows = true});
  they.send(1, 100, 1'000);
  signal later;
  they.a.endpoint.post_at(std::chrono::steady_clock::now() + 1s, [&] { later.raise(); });
  REQUIRE(later.wait());
  CHECK(they.b.heard.count(they.a.id()) == 1);
  they.set_weather({});
  they.send(100, 200, 1'000);
  they.all_came(200);
}

TEST_CASE("connections that stay open and carry nothing any more are given up for new ones") {
  far_apart they;
  they.to_a.freeze_connections();
  they.to_b.freeze_connections();
  they.send(1, 100, 1'000);
  they.all_came(100);
  CHECK(they.to_a.connections() > 1);
  CHECK(they.to_b.connections() > 1);
}
