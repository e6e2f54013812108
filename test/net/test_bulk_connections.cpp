// Data connections between a source and a reader: what arrives, who is kept out, what is refused.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <troupe/error.hpp>

#include "net/bulk_sink.hpp"
#include "net/bulk_source.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"
#include "test/support/tcp_proxy.hpp"

using namespace troupe::net;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr process_id reader = 9;
constexpr stored_id value{5, 1};

/// A reader that writes down what it is told.
class told {
 public:
  bulk_sink::events events() {
    return {.opened = [this](std::uint64_t channel) { note([&] { opened_.insert(channel); }); },
            .arrived = [this](std::uint64_t request) { note([&] { arrived_.insert(request); }); },
            .lost = [this](std::uint64_t,
                           const std::string& why) { note([&] { lost_ += why + ";"; }); }};
  }
  bool opened(std::uint64_t channel) {
    return soon([&] { return opened_.count(channel) != 0; });
  }
  bool arrived(std::uint64_t request) {
    return soon([&] { return arrived_.count(request) != 0; });
  }
  std::size_t arrivals() {
    const std::lock_guard guard(mutex_);
    return arrived_.size();
  }
  std::string lost() {
    static_cast<void>(soon([&] { return !lost_.empty(); }));
    const std::lock_guard guard(mutex_);
    return lost_;
  }

 private:
  template <class F>
  void note(F&& f) {
    const std::lock_guard guard(mutex_);
    f();
    changed_.notify_all();
  }
  template <class F>
  bool soon(F&& f) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, 60s, f);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::uint64_t> opened_;
  std::set<std::uint64_t> arrived_;
  std::string lost_;
};

host_and_port at_port(std::uint16_t port) { return {"127.0.0.1", std::to_string(port)}; }

/// A value, a source that has it, and a reader with room for it.
struct two_nodes {
  two_nodes() {
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::byte>(i * 7 + i / 256);
  }
  std::uint64_t connect(const host_and_port& where) {
    const auto offer = source.offer_to(reader);
    REQUIRE(offer);
    sink.connect(offer->channel, where, offer->key);
    return offer->channel;
  }
  /// A connection that stands.
  std::uint64_t open() {
    const std::uint64_t channel = connect(at_port(source.port()));
    REQUIRE(events.opened(channel));
    return channel;
  }
  /// A request for a chunk of a megabyte.
  void ask(std::uint64_t channel, std::uint64_t request) {
    const std::size_t offset = (request - 1) * chunk;
    sink.expect(channel, {request, value, offset, std::span(got).subspan(offset, chunk)});
    send(channel, request);
  }
  bool send(std::uint64_t channel, std::uint64_t request) {
    const std::size_t offset = (request - 1) * chunk;
    return source.send(reader,
                       {.what = bulk_frame::kind::chunk,
                        .channel = channel,
                        .request = request,
                        .value = value,
                        .offset = offset,
                        .size = chunk,
                        .total = made.size()},
                       std::span(made).subspan(offset, chunk), keeper);
  }

  static constexpr std::size_t chunk = 1'000'000;
  std::vector<std::byte> made = std::vector<std::byte>(8 * chunk);
  std::vector<std::byte> got = std::vector<std::byte>(8 * chunk);
  std::shared_ptr<const void> keeper = std::make_shared<int>();
  told events;
  bulk_source source{"127.0.0.1", 0};
  bulk_sink sink{events.events()};
};

}  // namespace

TEST_CASE("chunks arrive as they were sent, and what kept them is let go of") {
  two_nodes nodes;
  const std::uint64_t channel = nodes.open();
  for (std::uint64_t request = 1; request <= 8; ++request) nodes.ask(channel, request);
  for (std::uint64_t request = 1; request <= 8; ++request) CHECK(nodes.events.arrived(request));
  CHECK(nodes.got == nodes.made);
  CHECK(nodes.sink.bytes() == nodes.made.size());
  CHECK(eventually([&] { return nodes.keeper.use_count() == 1; }));
  CHECK(nodes.source.strangers_refused() == 0);
}

TEST_CASE("what is said on a data connection cannot be read on its way") {
  two_nodes nodes;
  std::memset(nodes.made.data(), 'x', nodes.made.size());
  tcp_proxy between(nodes.source.port());
  const std::uint64_t channel = nodes.connect(*parse_address(between.address()));
  REQUIRE(nodes.events.opened(channel));
  nodes.ask(channel, 1);
  REQUIRE(nodes.events.arrived(1));
  CHECK(between.recorded().size() == bulk_hello_bytes);  // all that a reader says
}

TEST_CASE("a wrong bit ends the connection, and the chunk does not count") {
  two_nodes nodes;
  tcp_proxy between(nodes.source.port());
  const std::uint64_t channel = nodes.connect(*parse_address(between.address()));
  REQUIRE(nodes.events.opened(channel));
  nodes.ask(channel, 1);
  REQUIRE(nodes.events.arrived(1));
  between.corrupt();
  nodes.ask(channel, 2);
  CHECK_THAT(nodes.events.lost(), contains("not what was sent"));
  CHECK(nodes.events.arrivals() == 1);
  CHECK(nodes.sink.refused() == 1);
  CHECK(eventually([&] { return !nodes.send(channel, 3); }));
}

TEST_CASE("a chunk that is not wanted any more is not written, and later ones arrive") {
  two_nodes nodes;
  const std::uint64_t channel = nodes.open();
  nodes.sink.expect(channel, {1, value, 0, std::span(nodes.got).first(two_nodes::chunk)});
  nodes.sink.revoke(value);
  REQUIRE(nodes.send(channel, 1));
  nodes.ask(channel, 2);
  CHECK(nodes.events.arrived(2));
  CHECK(nodes.events.arrivals() == 1);
  CHECK(nodes.got[5] == std::byte{0});
}

TEST_CASE("a chunk of another value or place than was asked for is not written") {
  two_nodes nodes;
  const std::uint64_t channel = nodes.open();
  const auto memory = std::span(nodes.got).first(two_nodes::chunk);
  nodes.sink.expect(channel, {1, {5, 2}, 0, memory});  // of another value
  REQUIRE(nodes.send(channel, 1));
  nodes.sink.expect(channel, {2, value, 0, memory});  // it is the one behind that comes
  REQUIRE(nodes.send(channel, 2));
  nodes.ask(channel, 3);
  CHECK(nodes.events.arrived(3));
  CHECK(nodes.events.arrivals() == 1);
  CHECK(nodes.got[5] == std::byte{0});
}

TEST_CASE("when the source ends its reader is told, and the other way round") {
  two_nodes nodes;
  nodes.open();
  nodes.source.close(reader);
  CHECK_THAT(nodes.events.lost(), contains("closed"));
  const std::uint64_t second = nodes.open();
  nodes.sink.close(second);
  CHECK(eventually([&] { return !nodes.send(second, 1); }));
}

TEST_CASE("a port where nobody listens, or nobody answers, is said in time") {
  two_nodes nodes;
  std::uint16_t free = 0;
  { free = bulk_source("127.0.0.1", 0).port(); }
  nodes.connect(at_port(free));
  CHECK_THAT(nodes.events.lost(), contains("refused"));

  two_nodes others;
  tcp_proxy silent(others.source.port());
  silent.set_weather({.swallows = true});
  others.connect(*parse_address(silent.address()));
  CHECK_THAT(others.events.lost(), contains("answers nothing"));
}

TEST_CASE("strangers at the data port are cut off: those who lie, who are silent, who are many") {
  two_nodes nodes;
  tcp_client liar(nodes.source.port());
  liar.send(std::string(bulk_hello_bytes, 'x'));
  CHECK(liar.ends_within(60s));

  // It knows the number of a connection, but not its key.
  const auto offer = nodes.source.offer_to(reader);
  tcp_client thief(nodes.source.port());
  const bulk_header hello =
      write_bulk_header({.what = bulk_frame::kind::hello, .channel = offer->channel});
  thief.send(std::string(reinterpret_cast<const char*>(hello.data()), hello.size()) +
             std::string(bulk_tag_bytes, 'x'));
  CHECK(thief.ends_within(60s));
  CHECK(eventually([&] { return nodes.source.strangers_refused() == 2; }));
  // That has not cost the reader its connection.
  nodes.sink.connect(offer->channel, at_port(nodes.source.port()), offer->key);
  CHECK(nodes.events.opened(offer->channel));

  tcp_client silent(nodes.source.port());
  CHECK(silent.ends_within(60s));

  std::vector<std::unique_ptr<tcp_client>> many;
  for (int i = 0; i < 40; ++i) many.push_back(std::make_unique<tcp_client>(nodes.source.port()));
  CHECK(many.front()->ends_within(60s));  // one more than there may be ends the oldest
  const std::uint64_t channel = nodes.connect(at_port(nodes.source.port()));
  CHECK(nodes.events.opened(channel));
}

TEST_CASE("a number and key are good for one connection") {
  two_nodes nodes;
  const auto offer = nodes.source.offer_to(reader);
  nodes.sink.connect(offer->channel, at_port(nodes.source.port()), offer->key);
  REQUIRE(nodes.events.opened(offer->channel));
  told other;
  bulk_sink again(other.events());
  again.connect(offer->channel, at_port(nodes.source.port()), offer->key);
  CHECK_THAT(other.lost(), contains("answers nothing"));
}

TEST_CASE("a port for data that is taken is an error that says what to do") {
  const bulk_source first("127.0.0.1", 0);
  try {
    const bulk_source second("127.0.0.1", first.port());
    FAIL("the port is taken");
  } catch (const troupe::connection_error& e) {
    CHECK_THAT(e.what(), contains("--bulk-port"));
    CHECK_THAT(e.what(), contains(std::to_string(first.port())));
  }
}
