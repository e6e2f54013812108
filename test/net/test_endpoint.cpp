// Messages between endpoints of one machine and of two.
#include <algorithm>
#include <atomic>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include "net/endpoint.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/endpoints.hpp"
#include "test/support/link_breaker.hpp"
#include "test/support/tcp_proxy.hpp"

using namespace std::chrono_literals;
using namespace troupe::net;
using namespace troupe::test;
using troupe::connection_error;

TEST_CASE("a message reaches a peer and the peer can answer without having been told of it") {
  const temp_folder session;
  test_process a(session), b(session);
  a.endpoint.learn(b.endpoint.self());
  REQUIRE(a.endpoint.send(b.id(), numbered(7)));
  REQUIRE(b.heard.wait(a.id(), 1));
  CHECK(number_of(b.heard.taken(a.id())[0]) == 7);
  CHECK(b.endpoint.find(a.id()) == a.endpoint.self());
  REQUIRE(b.endpoint.send(a.id(), numbered(8)));
  REQUIRE(a.heard.wait(b.id(), 1));
  CHECK(number_of(a.heard.taken(b.id())[0]) == 8);
}

TEST_CASE("messages of one sender arrive in order, those of many threads each in theirs") {
  const temp_folder session;
  test_process a(session), b(session);
  a.endpoint.learn(b.endpoint.self());
  constexpr std::uint64_t each = 20'000;
  constexpr std::uint64_t threads = 4;
  {
    std::vector<std::jthread> senders;
    for (std::uint64_t t = 0; t < threads; ++t) {
      senders.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < each; ++i) {
          a.endpoint.send(b.id(), numbered(t << 32 | i, 8 + i % 200));
        }
      });
    }
  }
  REQUIRE(b.heard.wait(a.id(), threads * each));
  std::array<std::uint64_t, threads> next{};
  bool ordered = true;
  for (const message& m : b.heard.taken(a.id())) {
    const std::uint64_t number = number_of(m);
    ordered = ordered && next[number >> 32]++ == (number & 0xffff'ffff);
  }
  CHECK(ordered);
  CHECK(a.endpoint.flush(60s));
  CHECK(a.endpoint.queued_bytes(b.id()) == 0);
  CHECK(a.endpoint.stats().batches_sent < threads * each / 2);
}

TEST_CASE("attachments arrive as they were, the big ones without a copy on the way out") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  const bool remote = GENERATE(false, true);
  a.endpoint.learn(remote ? seen_from_elsewhere(b.endpoint.self()) : b.endpoint.self());

  const std::vector<std::size_t> sizes{0, 1, 4095, 4096, 100'000, 20u << 20};
  message m = numbered(1, 50'000);
  for (const std::size_t size : sizes) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i ^ (i >> 9));
    m.attachments.emplace_back(std::move(bytes));
  }
  const message sent = m;
  REQUIRE(a.endpoint.send(b.id(), std::move(m)));
  REQUIRE(b.heard.wait(a.id(), 1));
  const message got = std::move(b.heard.taken(a.id())[0]);
  CHECK(got.body == sent.body);
  REQUIRE(got.attachments.size() == sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    CHECK(std::ranges::equal(got.attachments[i].bytes(), sent.attachments[i].bytes()));
  }
}

TEST_CASE("a process can send to itself") {
  const temp_folder session;
  test_process a(session);
  for (std::uint64_t i = 0; i < 100; ++i) REQUIRE(a.endpoint.send(a.id(), numbered(i)));
  REQUIRE(a.heard.wait(a.id(), 100));
  CHECK(a.heard.in_order(a.id(), 100));
}

TEST_CASE("nothing is sent to a peer that is not known or was forgotten") {
  const temp_folder session;
  test_process a(session), b(session);
  CHECK_FALSE(a.endpoint.send(b.id(), numbered(0)));
  CHECK_FALSE(a.endpoint.find(b.id()));
  a.endpoint.learn(b.endpoint.self());
  CHECK(a.endpoint.find(b.id()) == b.endpoint.self());
  a.endpoint.forget(b.id());
  CHECK_FALSE(a.endpoint.send(b.id(), numbered(0)));
  a.endpoint.learn(b.endpoint.self());  // for good
  CHECK_FALSE(a.endpoint.send(b.id(), numbered(0)));
}

TEST_CASE("what a forgotten process still sends is refused, and it is told") {
  const temp_folder session;
  test_process a(session), b(session);
  b.endpoint.forget(a.id());
  a.endpoint.learn(b.endpoint.self());
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  CHECK_THAT(a.heard.wait_unreachable(b.id()), contains("holds this one for dead"));
  CHECK(b.heard.count(a.id()) == 0);
}

TEST_CASE("a handler may answer, post and forget from within") {
  const temp_folder session;
  test_process a(session);
  recorder heard;
  endpoint* self = nullptr;
  std::atomic<int> answered_to_nobody{0};
  signal posted;
  heard.on_received = [&](process_id from, const message& m) {
    if (number_of(m) < 100) {
      self->send(from, numbered(number_of(m)));
      return;
    }
    self->forget(from);
    if (!self->send(from, numbered(0))) ++answered_to_nobody;
    self->post([&] { posted.raise(); });
  };
  endpoint echo({.session_dir = session.path().string()}, heard);
  self = &echo;
  a.endpoint.learn(echo.self());
  for (std::uint64_t i = 0; i < 100; ++i) REQUIRE(a.endpoint.send(echo.id(), numbered(i)));
  REQUIRE(a.heard.wait(echo.id(), 100));
  CHECK(a.heard.in_order(echo.id(), 100));
  for (std::uint64_t i = 100; i < 110; ++i) a.endpoint.send(echo.id(), numbered(i));
  REQUIRE(posted.wait());
  CHECK(answered_to_nobody == 1);
  CHECK(heard.count(a.id()) <= 101);
}

TEST_CASE("timers run at their time, in order, unless cancelled") {
  const temp_folder session;
  test_process a(session);
  std::vector<int> ran;
  signal done;
  const auto now = std::chrono::steady_clock::now();
  a.endpoint.post_at(now + 20ms, [&] { ran.push_back(2); });
  a.endpoint.post_at(now + 10ms, [&] { ran.push_back(1); });
  const auto cancelled = a.endpoint.post_at(now + 15ms, [&] { ran.push_back(9); });
  a.endpoint.cancel(cancelled);
  a.endpoint.post_at(now + 30ms, [&] { done.raise(); });
  REQUIRE(done.wait());
  CHECK(ran == std::vector<int>{1, 2});
}

TEST_CASE("a link by TCP that breaks again and again loses and doubles nothing") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  tcp_proxy to_b(port_of(b.endpoint.self()));
  tcp_proxy to_a(port_of(a.endpoint.self()));
  peer there = seen_from_elsewhere(b.endpoint.self());
  there.remote = to_b.address();
  peer here = seen_from_elsewhere(a.endpoint.self());
  here.remote = to_a.address();
  a.endpoint.learn(there);
  b.endpoint.learn(here);

  // A link that has never worked is given up after some failures.
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  REQUIRE(b.endpoint.send(a.id(), numbered(0)));
  REQUIRE(a.endpoint.flush(60s));
  REQUIRE(b.endpoint.flush(60s));

  constexpr std::uint64_t total = 30'000;
  for (std::uint64_t i = 1; i < total; ++i) {
    if (!a.endpoint.send(b.id(), numbered(i, 500))) FAIL(a.heard.wait_unreachable(b.id()));
    if (!b.endpoint.send(a.id(), numbered(i, 100))) FAIL(b.heard.wait_unreachable(a.id()));
    if (i % 6000 == 3000) {
      REQUIRE(b.heard.wait(a.id(), i / 2));
      to_b.cut();
    }
    if (i % 9000 == 4000) to_a.cut();
  }
  REQUIRE(b.heard.wait(a.id(), total));
  REQUIRE(a.heard.wait(b.id(), total));
  CHECK(a.endpoint.flush(60s));
  CHECK(b.heard.in_order(a.id(), total));
  CHECK(a.heard.in_order(b.id(), total));
  CHECK(to_b.connections() > 1);
}

TEST_CASE("a link that is down for a while goes on with what was sent meanwhile") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  endpoint_options options = by_tcp(key);
  options.connect_timeout = 500ms;  // not for a link that has worked
  test_process a(session, options), b(session, by_tcp(key));
  tcp_proxy proxy(port_of(b.endpoint.self()));
  peer there = seen_from_elsewhere(b.endpoint.self());
  there.remote = proxy.address();
  a.endpoint.learn(there);
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  REQUIRE(b.heard.wait(a.id(), 1));
  REQUIRE(a.endpoint.flush(60s));

  proxy.set_open(false);
  proxy.cut();
  signal later;
  a.endpoint.post_at(std::chrono::steady_clock::now() + 1s, [&] { later.raise(); });
  for (std::uint64_t i = 1; i < 1000; ++i) REQUIRE(a.endpoint.send(b.id(), numbered(i)));
  REQUIRE(later.wait());
  CHECK(b.heard.count(a.id()) < 1000);
  CHECK(a.endpoint.queued_bytes(b.id()) > 0);
  CHECK_FALSE(a.endpoint.flush(1ms));
  proxy.set_open(true);
  REQUIRE(b.heard.wait(a.id(), 1000));
  CHECK(b.heard.in_order(a.id(), 1000));
  CHECK(a.heard.times_unreachable(b.id()) == 0);
}

TEST_CASE("a link that breaks before its peer has connected back has worked all the same") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  endpoint_options options = by_tcp(key);
  options.connect_timeout = 2s;
  test_process a(session, options), b(session, by_tcp(key));
  tcp_proxy there(port_of(b.endpoint.self()));
  tcp_proxy back(port_of(a.endpoint.self()));
  back.set_weather({.delay = 50ms});  // some round trips until it is made
  peer a_by_proxy = seen_from_elsewhere(a.endpoint.self());
  a_by_proxy.remote = back.address();
  b.endpoint.learn(a_by_proxy);
  peer b_by_proxy = seen_from_elsewhere(b.endpoint.self());
  b_by_proxy.remote = there.address();
  a.endpoint.learn(b_by_proxy);
  signal too_late;
  a.endpoint.post_at(std::chrono::steady_clock::now() + 3s, [&] { too_late.raise(); });
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  REQUIRE(b.endpoint.send(a.id(), numbered(0)));
  REQUIRE(a.endpoint.flush(60s));  // acknowledged by the connection that it came by

  there.set_weather({.swallows = true});
  there.cut();
  REQUIRE(a.heard.wait(b.id(), 1));
  REQUIRE(too_late.wait());
  REQUIRE(a.endpoint.send(b.id(), numbered(1)));
  there.set_weather({});
  REQUIRE(b.heard.wait(a.id(), 2));
  CHECK(a.heard.times_unreachable(b.id()) == 0);
}

TEST_CASE("a peer that never listens is unreachable, once, and can be learned anew") {
  const temp_folder session;
  endpoint_options options;
  options.connect_timeout = 100ms;
  test_process a(session, options);
  peer nobody;
  {
    const test_process gone(session);
    nobody = gone.endpoint.self();
  }
  a.endpoint.learn(nobody);
  REQUIRE(a.endpoint.send(nobody.id, numbered(0)));
  CHECK_THAT(a.heard.wait_unreachable(nobody.id), contains(nobody.local));
  CHECK_FALSE(a.endpoint.send(nobody.id, numbered(1)));
  CHECK(a.endpoint.queued_bytes(nobody.id) == 0);
  CHECK(a.heard.times_unreachable(nobody.id) == 1);

  endpoint_options again;
  again.id = nobody.id;
  test_process b(session, again);
  a.endpoint.learn(b.endpoint.self());
  REQUIRE(a.endpoint.send(b.id(), numbered(2)));
  REQUIRE(b.heard.wait(a.id(), 1));
  CHECK(number_of(b.heard.taken(a.id())[0]) == 2);
}

TEST_CASE("a process of this machine that ends is noticed, and leaves no sockets here") {
  const auto descriptors = [] {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) {
      ++count;
    }
    return count;
  };
  const temp_folder session;
  test_process a(session);
  const std::size_t before = descriptors();
  std::vector<process_id> gone;
  for (std::uint64_t i = 0; i < 5; ++i) {
    test_process b(session);
    b.endpoint.learn(a.endpoint.self());
    REQUIRE(b.endpoint.send(a.id(), numbered(i)));
    REQUIRE(a.heard.wait(b.id(), 1));
    REQUIRE(a.endpoint.send(b.id(), numbered(i)));
    REQUIRE(b.heard.wait(a.id(), 1));
    gone.push_back(b.id());
  }
  std::vector<process_id> ended = a.heard.wait_ended(5);
  CHECK(std::ranges::is_permutation(ended, gone));
  CHECK(eventually([&] {
    return descriptors() <= before && std::ranges::none_of(gone, [&](process_id id) {
             return a.endpoint.find(id).has_value();
           });
  }));
}

TEST_CASE("a link that breaks while its peer is there ends nobody") {
  const temp_folder session;
  test_process a(session), b(session);
  a.endpoint.learn(b.endpoint.self());
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  REQUIRE(b.heard.wait(a.id(), 1));
  const link_breaker all(::getpid());
  for (std::uint64_t i = 1; i < 5; ++i) {
    if (all.break_all() < 0) return;  // not allowed here
    signal later;
    a.endpoint.post_at(std::chrono::steady_clock::now() + 600ms, [&] { later.raise(); });
    REQUIRE(later.wait());
    REQUIRE(a.endpoint.send(b.id(), numbered(i)));
    REQUIRE(b.heard.wait(a.id(), i + 1));
  }
  CHECK(a.heard.wait_ended(0).empty());
  CHECK(b.heard.wait_ended(0).empty());
  CHECK(b.heard.in_order(a.id(), 5));
}

TEST_CASE("a peer that can not connect back is unreachable with that reason") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  tcp_proxy closed(1);  // nothing listens behind it
  endpoint_options options = by_tcp(key);
  options.connect_timeout = 300ms;
  test_process a(session, options), b(session, by_tcp(key));
  peer here = seen_from_elsewhere(a.endpoint.self());
  here.remote = closed.address();
  b.endpoint.learn(here);
  a.endpoint.learn(seen_from_elsewhere(b.endpoint.self()));
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  CHECK_THAT(a.heard.wait_unreachable(b.id()), contains("can not connect back"));
}

TEST_CASE("a peer of another machine without an address or a key is unreachable with that reason") {
  const temp_folder session;
  test_process a(session), b(session);
  a.endpoint.learn(seen_from_elsewhere(b.endpoint.self()));
  REQUIRE(a.endpoint.send(b.id(), numbered(0)));
  CHECK_THAT(a.heard.wait_unreachable(b.id()), contains("its own machine only"));

  test_process c(session, by_tcp(make_cluster_key()));
  a.endpoint.learn(seen_from_elsewhere(c.endpoint.self()));
  REQUIRE(a.endpoint.send(c.id(), numbered(0)));
  CHECK_THAT(a.heard.wait_unreachable(c.id()), contains("no cluster key"));
}

TEST_CASE("another process at the address of one that has ended is not mistaken for it") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  peer old = seen_from_elsewhere(b.endpoint.self());
  old.id ^= 1;
  a.endpoint.learn(old);
  REQUIRE(a.endpoint.send(old.id, numbered(0)));
  CHECK_THAT(a.heard.wait_unreachable(old.id), contains("another one is there now"));
  CHECK(b.heard.count(a.id()) == 0);
}

TEST_CASE("an address is enough to find out who listens there") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  CHECK(a.endpoint.resolve(b.endpoint.self().remote, 60s) == b.endpoint.self());
  REQUIRE(a.endpoint.send(b.id(), numbered(3)));
  REQUIRE(b.heard.wait(a.id(), 1));
}

TEST_CASE("what can not be resolved is explained") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key));
  const auto why = [&](endpoint& from, const std::string& address,
                       std::chrono::milliseconds timeout = 60s) {
    return message_of<connection_error>([&] { from.resolve(address, timeout); });
  };
  std::string nobody;
  {
    const test_process gone(session, by_tcp(key));
    nobody = gone.endpoint.self().remote;
  }
  CHECK_THAT(why(a.endpoint, nobody), contains("nothing listens there"));
  CHECK_THAT(why(a.endpoint, "no port"), contains("HOST:PORT"));
  CHECK_THAT(why(a.endpoint, "host.invalid:1"), contains("can not be found"));

  test_process other(session, by_tcp(make_cluster_key()));
  CHECK_THAT(why(a.endpoint, other.endpoint.self().remote), contains("refused the cluster key"));
  test_process keyless(session);
  CHECK_THAT(why(keyless.endpoint, a.endpoint.self().remote), contains("no cluster key"));
}

TEST_CASE("an endpoint that can not listen says why") {
  const temp_folder session;
  recorder heard;
  const auto why = [&](endpoint_options options) {
    if (options.session_dir.empty()) options.session_dir = session.path().string();
    return message_of<connection_error>([&] { endpoint failed(options, heard); });
  };
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key));
  endpoint_options options = by_tcp(key);
  options.listen_address = a.endpoint.self().remote;
  CHECK_THAT(why(options), contains("another process has this port"));
  options.listen_address = "not an address";
  CHECK_THAT(why(options), contains("HOST:PORT"));
  options.listen_address = "host.invalid:0";
  CHECK_THAT(why(options), contains("host.invalid:0"));
  CHECK_THAT(why({.listen_address = "127.0.0.1:0"}), contains("needs a cluster key"));
  CHECK_THAT(why(by_tcp("too short")), contains("40 of Z85"));
  CHECK_THAT(why({.session_dir = session / std::string(100, 'x')}), contains("shorter name"));
  CHECK_THAT(why({.max_message_bytes = 1000}), contains("max_message_bytes"));
  REQUIRE(::chmod(session.path().c_str(), 0755) == 0);
  CHECK_THAT(why({}), contains("open to other users"));
}

TEST_CASE("the port of an endpoint that has ended is free") {
  const temp_folder session;
  endpoint_options options = by_tcp(make_cluster_key());
  for (int i = 0; i < 10; ++i) {
    const test_process a(session, options);
    options.listen_address = a.endpoint.self().remote;
  }
}

TEST_CASE("a sender that ends right after a flush has delivered everything") {
  const temp_folder session;
  test_process b(session);
  process_id sender = 0;
  {
    test_process a(session);
    sender = a.id();
    a.endpoint.learn(b.endpoint.self());
    for (std::uint64_t i = 0; i < 5000; ++i) REQUIRE(a.endpoint.send(b.id(), numbered(i)));
    REQUIRE(a.endpoint.flush(60s));
  }
  CHECK(b.heard.in_order(sender, 5000));
}

TEST_CASE("endpoints that come and go under traffic do no harm") {
  const temp_folder session;
  test_process steady(session);
  std::atomic<bool> stop{false};
  std::mutex mutex;
  process_id newest = 0;
  std::jthread sender([&] {
    while (!stop) {
      process_id to = 0;
      {
        const std::lock_guard guard(mutex);
        to = newest;
      }
      if (to != 0) steady.endpoint.send(to, numbered(0));
    }
  });
  for (int i = 0; i < 20; ++i) {
    test_process passing(session);
    passing.endpoint.learn(steady.endpoint.self());
    steady.endpoint.learn(passing.endpoint.self());
    {
      const std::lock_guard guard(mutex);
      newest = passing.id();
    }
    REQUIRE(passing.endpoint.send(steady.id(), numbered(1)));
    REQUIRE(steady.heard.wait(passing.id(), 1));
    REQUIRE(passing.heard.wait(steady.id(), 1));
    steady.endpoint.forget(passing.id());
  }
  stop = true;
}

TEST_CASE("who sends more than the peer takes waits until it has taken half of it") {
  const temp_folder session;
  std::atomic<bool> open{false};
  test_process b(session);
  b.heard.on_received = [&](process_id, const message&) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!open.load() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  };
  test_process a(session, {.max_queued_bytes = 64 << 10});
  a.endpoint.learn(b.endpoint.self());
  std::uint64_t sent = 0;
  while (a.endpoint.has_room(b.id())) a.endpoint.send(b.id(), numbered(sent++, 1000));
  CHECK(a.endpoint.queued_bytes(b.id()) >= 64 << 10);
  std::atomic<bool> went_on{false};
  std::jthread sender([&] {
    a.endpoint.wait_for_room(b.id());
    went_on.store(true);
  });
  // Several batches later it still waits: nothing was acknowledged.
  for (int i = 0; i < 100; ++i) a.endpoint.send(b.id(), numbered(sent++, 1000));
  CHECK_FALSE(went_on.load());
  open.store(true);
  sender.join();
  CHECK(a.endpoint.queued_bytes(b.id()) <= 32 << 10);
  REQUIRE(b.heard.wait(a.id(), sent));
  CHECK(b.heard.in_order(a.id(), sent));
}

TEST_CASE("who waits for a peer to take more goes on when that peer is gone") {
  const temp_folder session;
  test_process a(session, {.max_queued_bytes = 64 << 10});
  auto b = std::make_unique<test_process>(session);
  const process_id other = b->id();
  a.endpoint.learn(b->endpoint.self());
  b.reset();
  for (std::uint64_t i = 0; a.endpoint.has_room(other); ++i)
    a.endpoint.send(other, numbered(i, 1000));
  std::jthread sender([&] { a.endpoint.wait_for_room(other); });
  a.endpoint.forget(other);
  sender.join();
  CHECK(a.endpoint.has_room(other));
}
