// Strangers at a cluster's port get in nowhere, and what they try harms nobody.
#include <atomic>
#include <deque>
#include <random>

#include <zmq.h>

#include <troupe/archive.hpp>

#include "net/batch.hpp"
#include "net/connection_watch.hpp"
#include "net/endpoint.hpp"
#include "net/messages.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/endpoints.hpp"
#include "test/support/tcp_proxy.hpp"

using namespace std::chrono_literals;
using namespace troupe::net;
using namespace troupe::test;

namespace {

/// A client of libzmq's own, for what an endpoint would never do.
class raw_client {
 public:
  explicit raw_client(int type = ZMQ_DEALER)
      : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    const int patience_ms = 60'000;
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
  }
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;
  ~raw_client() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }

  void use_key(const std::string& secret, const std::string& server) {
    const std::string open = public_half(secret);
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, server.data(), server.size());
    zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, open.data(), open.size());
    zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, secret.data(), secret.size());
  }
  void serve_with_key(const std::string& secret) {
    const int yes = 1;
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVER, &yes, sizeof yes);
    zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, secret.data(), secret.size());
  }
  /// Where it is bound, as HOST:PORT.
  std::string bound_to() const {
    char text[256];
    std::size_t size = sizeof text;
    zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text, &size);
    return std::string(text).substr(std::string("tcp://").size());
  }
  void use_password() {
    zmq_setsockopt(socket_, ZMQ_PLAIN_USERNAME, "root", 4);
    zmq_setsockopt(socket_, ZMQ_PLAIN_PASSWORD, "root", 4);
  }
  void connect(const std::string& address) { REQUIRE(zmq_connect(socket_, address.c_str()) == 0); }
  void bind(const std::string& address) { REQUIRE(zmq_bind(socket_, address.c_str()) == 0); }
  void send(std::span<const std::byte> bytes, bool more = false) {
    zmq_send(socket_, bytes.data(), bytes.size(), more ? ZMQ_SNDMORE : 0);
  }
  /// The first frame that is a header; false at the deadline.
  bool receive(batch_header& header) {
    for (;;) {
      std::array<std::byte, 4096> buffer{};
      const int size = zmq_recv(socket_, buffer.data(), buffer.size(), 0);
      if (size < 0) return false;
      if (const auto found = decode_header(std::span(buffer).first(static_cast<unsigned>(size)))) {
        header = *found;
        return true;
      }
      if (size == 5) route_.assign(buffer.begin(), buffer.begin() + 5);
    }
  }
  const std::vector<std::byte>& route() const { return route_; }

 private:
  void* context_;
  void* socket_;
  std::vector<std::byte> route_;
};

batch_header from_stranger(process_id to) {
  return {.version = protocol_version, .sender = 666, .receiver = to, .first = 1, .base = 1};
}

void send_message(raw_client& client, process_id to) {
  batch_builder builder(1 << 20);
  builder.add(numbered(0));
  encoded_batch batch = builder.take();
  batch_header header = from_stranger(to);
  header.count = 1;
  batch.set_header(header);
  client.send(batch.first_frame);
}

bool strangers(test_process& p, std::uint64_t count) {
  return eventually([&] { return p.endpoint.stats().strangers_refused >= count; });
}

/// The cluster goes on working.
void check_unharmed(test_process& a, test_process& b) {
  b.endpoint.learn(seen_from_elsewhere(a.endpoint.self()));
  REQUIRE(b.endpoint.send(a.id(), numbered(1)));
  CHECK(a.heard.wait(b.id(), 1));
  CHECK(a.heard.count(666) == 0);
}

}  // namespace

TEST_CASE("a process with another cluster key is refused, and is told why") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  test_process stranger(session, by_tcp(make_cluster_key()));
  stranger.endpoint.learn(seen_from_elsewhere(a.endpoint.self()));
  REQUIRE(stranger.endpoint.send(a.id(), numbered(0)));
  CHECK_THAT(stranger.heard.wait_unreachable(a.id()), contains("cluster key differs"));
  CHECK(strangers(a, 1));
  CHECK(a.heard.count(stranger.id()) == 0);
  check_unharmed(a, b);
}

TEST_CASE("who knows the public key alone is refused") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  raw_client client;
  client.use_key(make_cluster_key(), public_half(key));
  client.connect("tcp://" + a.endpoint.self().remote);
  send_message(client, a.id());
  CHECK(strangers(a, 1));
  check_unharmed(a, b);
}

TEST_CASE("members that come and go are no strangers") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key));
  for (int i = 0; i < 5; ++i) {
    test_process b(session, by_tcp(key));
    b.endpoint.resolve(a.endpoint.self().remote, 60s);
    b.endpoint.learn(seen_from_elsewhere(a.endpoint.self()));
    REQUIRE(b.endpoint.send(a.id(), numbered(0)));
    REQUIRE(a.heard.wait(b.id(), 1));
  }
  raw_client client;
  client.connect("tcp://" + a.endpoint.self().remote);
  REQUIRE(strangers(a, 1));
  CHECK(a.endpoint.stats().strangers_refused == 1);
}

TEST_CASE("clients of ZeroMQ without a key or with a password are refused") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  raw_client client;
  if (GENERATE(false, true)) client.use_password();
  client.connect("tcp://" + a.endpoint.self().remote);
  send_message(client, a.id());
  CHECK(strangers(a, 1));
  check_unharmed(a, b);
}

TEST_CASE("clients that speak something else are cut off") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  std::mt19937 random(3);
  std::string garbage(100'000, '\0');
  for (char& c : garbage) c = static_cast<char>(random());
  const std::string zmtp_then_garbage = std::string("\xff\0\0\0\0\0\0\0\1\x7f\3\0", 12) + garbage;
  const std::string texts[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", garbage, zmtp_then_garbage,
                               std::string(1000, '\xff')};
  std::uint64_t count = 0;
  for (const std::string& text : texts) {
    tcp_client client(port_of(a.endpoint.self()));
    client.send(text);
    CHECK(client.read_to_end());
    CHECK(strangers(a, ++count));
  }
  check_unharmed(a, b);
}

TEST_CASE("a client that says nothing is cut off") {
  const temp_folder session;
  test_process a(session, by_tcp(make_cluster_key()));
  tcp_client client(port_of(a.endpoint.self()));
  CHECK(client.read_to_end());
  CHECK(strangers(a, 1));
}

TEST_CASE("the bytes of an earlier connection, sent again, get nobody in") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  tcp_proxy proxy(port_of(a.endpoint.self()));
  peer there = seen_from_elsewhere(a.endpoint.self());
  there.remote = proxy.address();
  b.endpoint.learn(there);
  REQUIRE(b.endpoint.send(a.id(), numbered(0)));
  REQUIRE(a.heard.wait(b.id(), 1));
  REQUIRE(b.endpoint.flush(60s));
  const std::string recorded = proxy.recorded();
  REQUIRE(recorded.size() > 300);

  const auto received = a.endpoint.stats().messages_received;
  tcp_client replay(port_of(a.endpoint.self()));
  replay.send(recorded);
  CHECK(replay.read_to_end());
  CHECK(strangers(a, 1));
  CHECK(a.endpoint.stats().messages_received == received);
  CHECK(a.endpoint.stats().duplicates_dropped == 0);
}

TEST_CASE("a revoked key gets nobody in, nor what still comes by its connections") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  const std::string guest = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  a.endpoint.allow_keys({public_half(key), public_half(guest)});
  a.in_turn();  // it cuts connections of which nothing is known yet
  raw_client early;
  early.use_key(guest, public_half(key));
  early.connect("tcp://" + a.endpoint.self().remote);
  batch_header question = from_stranger(0);
  question.flags = batch_flag::who;
  early.send(encode_header(question));
  batch_header answer;
  REQUIRE(early.receive(answer));
  CHECK(answer.sender == a.id());
  CHECK(a.endpoint.stats().strangers_refused == 0);

  a.endpoint.allow_keys({public_half(key)});
  early.send(encode_header(question));
  CHECK(strangers(a, 1));
  raw_client late;
  late.use_key(guest, public_half(key));
  late.connect("tcp://" + a.endpoint.self().remote);
  send_message(late, a.id());
  CHECK(strangers(a, 2));
  check_unharmed(a, b);

  a.endpoint.allow_keys({});
  test_process c(session, by_tcp(key));
  c.endpoint.learn(seen_from_elsewhere(a.endpoint.self()));
  REQUIRE(c.endpoint.send(a.id(), numbered(0)));
  CHECK_THAT(c.heard.wait_unreachable(a.id()), contains("refused this process's cluster key"));
  CHECK_THAT(message_of<troupe::connection_error>(
                 [&] { c.endpoint.resolve(a.endpoint.self().remote, 60s); }),
             contains("refused the cluster key"));
}

TEST_CASE("the connections of a revoked key end, and those of members go on") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  const std::string guest = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  a.endpoint.allow_keys({public_half(key), public_half(guest)});
  a.in_turn();  // it cuts connections of which nothing is known yet
  tcp_proxy to_guest(port_of(a.endpoint.self()));
  tcp_proxy to_member(port_of(a.endpoint.self()));
  peer by_proxy = seen_from_elsewhere(a.endpoint.self());
  by_proxy.remote = to_member.address();
  b.endpoint.learn(by_proxy);
  REQUIRE(b.endpoint.send(a.id(), numbered(0)));
  REQUIRE(a.heard.wait(b.id(), 1));
  raw_client visitor;
  visitor.use_key(guest, public_half(key));
  visitor.connect("tcp://" + to_guest.address());
  batch_header question = from_stranger(0);
  question.flags = batch_flag::who;
  visitor.send(encode_header(question));
  batch_header answer;
  REQUIRE(visitor.receive(answer));

  a.endpoint.allow_keys({public_half(key)});
  CHECK(
      eventually([&] { return to_guest.connections() > 1; }));  // it says nothing, and tries again
  CHECK(strangers(a, 2));
  REQUIRE(b.endpoint.send(a.id(), numbered(1)));
  CHECK(a.heard.wait(b.id(), 2));
  CHECK(to_member.connections() == 1);
}

TEST_CASE("who opens connections and says nothing keeps out nobody") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key)), b(session, by_tcp(key));
  std::deque<tcp_client> idle;
  for (int i = 0; i < 300; ++i) {
    idle.emplace_back(port_of(a.endpoint.self()));
    idle.back().send(std::string("\xff\0\0\0\0\0\0\0\1\x7f", 10));
  }
  check_unharmed(a, b);
  CHECK(strangers(a, 300 - 128));
  for (tcp_client& client : idle) CHECK(client.read_to_end());
}

TEST_CASE("a question that is lost with its connection is asked again") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process a(session, by_tcp(key));
  raw_client server(ZMQ_ROUTER);
  server.serve_with_key(key);
  server.bind("tcp://127.0.0.1:*");
  const peer own{.id = 7, .host = "elsewhere", .local = "", .remote = server.bound_to()};
  tcp_proxy proxy(port_of(own));
  std::jthread answering([&] {
    batch_header question;
    if (!server.receive(question)) return;
    proxy.cut();
    if (!server.receive(question)) return;
    const auto header = encode_header({.version = protocol_version,
                                       .flags = batch_flag::hello,
                                       .sender = own.id,
                                       .receiver = question.sender});
    std::vector<std::byte> answer(header.begin(), header.end());
    const auto record = troupe::detail::encode(own).inline_bytes;
    answer.insert(answer.end(), record.begin(), record.end());
    server.send(server.route(), true);
    server.send(answer);
  });
  CHECK(a.endpoint.resolve(proxy.address(), 60s) == own);
}

TEST_CASE("a process of another protocol version is told so, and the other way round") {
  const temp_folder session;
  test_process a(session);
  raw_client client;
  client.connect("ipc://" + a.endpoint.self().local);
  batch_header header = from_stranger(a.id());
  header.version = protocol_version + 1;
  client.send(encode_header(header));
  batch_header answer;
  REQUIRE(client.receive(answer));
  CHECK(answer.has(batch_flag::refusal));
  CHECK(answer.reason == refusal_reason::version);
  CHECK(answer.version == protocol_version);

  raw_client newer(ZMQ_ROUTER);
  const std::string path = session / "newer";
  newer.bind("ipc://" + path);
  a.endpoint.learn({.id = 5, .host = a.endpoint.self().host, .local = path, .remote = ""});
  REQUIRE(a.endpoint.send(5, numbered(0)));
  batch_header hello;
  REQUIRE(newer.receive(hello));
  CHECK(hello.has(batch_flag::hello));
  newer.send(newer.route(), true);
  newer.send(encode_header({.version = protocol_version + 1,
                            .flags = batch_flag::refusal,
                            .reason = refusal_reason::version,
                            .sender = 5,
                            .receiver = a.id()}));
  CHECK_THAT(a.heard.wait_unreachable(5),
             contains("speaks protocol version " + std::to_string(protocol_version + 1) +
                      ", this process " + std::to_string(protocol_version)));
}

TEST_CASE("members that send nonsense are not heard, and others are") {
  const temp_folder session;
  test_process a(session), b(session);
  raw_client client;
  client.connect("ipc://" + a.endpoint.self().local);
  std::mt19937 random(5);
  const auto random_bytes = [&] {
    std::vector<std::byte> bytes(random() % 200);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
  };
  const auto send = [&](const batch_header& header, const std::vector<std::byte>& rest) {
    const auto begin = encode_header(header);
    std::vector<std::byte> frame(begin.begin(), begin.end());
    frame.insert(frame.end(), rest.begin(), rest.end());
    client.send(frame);
  };
  batch_header hello = from_stranger(a.id());
  hello.flags = batch_flag::hello;
  if (GENERATE(false, true)) {  // known, and talking nonsense all the same
    send(hello, troupe::detail::encode(peer{666, a.endpoint.self().host, session / "none", ""})
                    .inline_bytes);
  }
  for (int i = 0; i < 2000; ++i) {
    batch_header header = from_stranger(a.id());
    header.flags = static_cast<std::uint16_t>(random() % 16);
    header.count = random() % 4;
    header.parts = random() % 3;
    header.first = random() % 3;
    header.ack = random();
    switch (random() % 4) {
      case 0:
        client.send(random_bytes());
        break;
      case 1:
        send(hello, random_bytes());
        break;
      case 2:
        send(header, random_bytes());
        break;
      default:
        client.send(encode_header(header), true);
        client.send(random_bytes());
    }
  }
  b.endpoint.learn(a.endpoint.self());
  REQUIRE(b.endpoint.send(a.id(), numbered(1)));
  CHECK(a.heard.wait(b.id(), 1));
  CHECK(a.heard.count(666) == 0);
}
