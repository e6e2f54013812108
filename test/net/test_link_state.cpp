// Each message arrives once and in order, whatever connections do.
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "net/link_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using namespace std::chrono_literals;

namespace {

send_state::batch_ptr batch_of(std::uint32_t count, std::size_t bytes = 0) {
  encoded_batch batch;
  batch.count = count;
  batch.bytes = bytes == 0 ? count : bytes;
  return std::make_shared<const encoded_batch>(std::move(batch));
}

/// One direction between two processes: a connection that keeps order and can be cut, and a way
/// back for acknowledgements that can lose them.
struct direction {
  send_state sender;
  receive_state receiver;
  std::deque<batch_header> wire;
  std::vector<std::uint64_t> got;
  send_state::time_point now{};
  bool up = false;
  bool acks_lost = false;
  int duplicates = 0;
  int resendings = 0;

  batch_header header(std::uint16_t flags) const {
    return {.flags = flags,
            .generation = sender.generation(),
            .first = sender.next(),
            .base = sender.base()};
  }
  void put(std::uint64_t first, std::uint32_t count) {
    batch_header h = header(0);
    h.first = first;
    h.count = count;
    if (up) wire.push_back(h);
  }
  void send(std::uint32_t count) {
    const std::uint64_t first = sender.add(batch_of(count), now);
    put(first, count);
  }
  void send_again() {
    ++resendings;
    const auto unacknowledged = sender.unacknowledged();
    for (const auto& s : unacknowledged) put(s.first, s.batch->count);
  }
  void connect() {
    up = true;
    sender.link_up(now);
    batch_header hello = header(batch_flag::hello);
    hello.first = hello.base;
    wire.push_back(hello);
    send_again();
  }
  /// The connection ends with what is on it from `kept` on.
  void cut(std::size_t kept = 0) {
    up = false;
    if (wire.size() > kept) wire.resize(kept);
  }
  void deliver_one() {
    const batch_header h = wire.front();
    wire.pop_front();
    const auto decision = receiver.batch(h);
    if (decision.duplicate) ++duplicates;
    if (decision.accept) {
      for (std::uint32_t i = decision.skip; i < h.count; ++i) got.push_back(h.first + i);
    }
    if (acks_lost) return;
    sender.acknowledged(receiver.expected(), now);
    if (decision.ask_again && sender.asked_again(h.generation, now)) send_again();
  }
  void deliver() {
    while (!wire.empty()) deliver_one();
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    if (up && sender.probe_due(now)) wire.push_back(header(batch_flag::probe));
  }
  bool complete() const {
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (got[i] != i + 1) return false;
    }
    return got.size() + 1 == sender.next() && sender.unacknowledged().empty();
  }
};

}  // namespace

TEST_CASE("on a connection that holds everything arrives once and is acknowledged") {
  direction d;
  d.connect();
  for (std::uint32_t i = 1; i < 100; ++i) {
    d.send(i);
    if (i % 7 == 0) d.deliver();
  }
  d.deliver();
  CHECK(d.complete());
  CHECK(d.duplicates == 0);
  CHECK(d.resendings == 1);  // of nothing, when it connected
}

TEST_CASE("what waited for the first connection goes with it") {
  direction d;
  d.send(3);
  d.send(2);
  d.connect();
  d.deliver();
  CHECK(d.complete());
}

TEST_CASE("what a broken connection lost is sent again by the next one") {
  direction d;
  d.connect();
  d.deliver();
  for (int i = 0; i < 10; ++i) d.send(2);
  d.cut(4);
  d.deliver();
  d.send(1);
  d.connect();
  d.deliver();
  CHECK(d.complete());
  CHECK(d.duplicates == 0);
}

TEST_CASE("what arrived while its acknowledgement was lost is dropped the second time") {
  direction d;
  d.connect();
  d.acks_lost = true;
  for (int i = 0; i < 10; ++i) d.send(5);
  d.deliver();
  CHECK(d.sender.unacknowledged().size() == 10);
  d.cut();
  d.acks_lost = false;
  d.connect();
  d.deliver();
  CHECK(d.complete());
  CHECK(d.duplicates + static_cast<int>(d.sender.unacknowledged().size()) <= 10);
}

TEST_CASE("a gap is complained of once for each time of sending, and closed") {
  direction d;
  d.connect();
  d.deliver();
  for (int i = 0; i < 10; ++i) d.send(1);
  d.wire.pop_front();  // a connection does not do this; a listener that restarts its queues might
  d.deliver();
  CHECK(d.complete());
  CHECK(d.resendings == 2);
}

TEST_CASE("what an old connection still brings beside a new one does no harm") {
  direction d;
  d.connect();
  d.deliver();
  for (int i = 0; i < 6; ++i) d.send(1);
  const auto late = d.wire;  // still on its way when the next connection is up
  d.cut();
  d.connect();
  d.deliver_one();  // the hello
  d.wire.insert(d.wire.begin() + 2, late.begin(), late.end());
  d.wire.insert(d.wire.end(), late.begin(), late.end());
  d.deliver();
  CHECK(d.complete());
}

TEST_CASE("a complaint about an earlier sending is not heard") {
  send_state sender;
  sender.link_up({});
  sender.add(batch_of(1), {});
  const auto generation = sender.generation();
  CHECK(sender.asked_again(generation, {}));
  CHECK_FALSE(sender.asked_again(generation, {}));
  CHECK(sender.asked_again(generation + 1, {}));
}

TEST_CASE("a silent receiver is asked, ever more seldom, and nothing is sent again for that") {
  direction d;
  d.connect();
  d.deliver();
  d.send(1);
  const auto sent = d.wire;
  d.wire.clear();
  CHECK_FALSE(d.sender.probe_due(d.now + 199ms));
  auto at = d.now;
  auto patience = 200ms;
  for (int i = 0; i < 10; ++i) {
    at += patience;
    CHECK_FALSE(d.sender.probe_due(at - 1ms));
    CHECK(d.sender.probe_due(at));
    patience = std::min<std::chrono::milliseconds>(patience * 2, send_state::last_patience);
  }
  CHECK(d.resendings == 1);
}

TEST_CASE("an answer to the question closes the gap also when the first complaint was lost") {
  direction d;
  d.connect();
  d.deliver();
  d.send(1);
  d.send(1);
  d.wire.pop_front();
  d.acks_lost = true;
  d.deliver();  // and the complaint is lost
  d.acks_lost = false;
  d.pass(200ms);
  d.deliver();
  CHECK(d.complete());
}

TEST_CASE("an idle sender asks nothing") {
  direction d;
  d.connect();
  d.send(1);
  d.deliver();
  CHECK_FALSE(d.sender.probe_due(d.now + 1h));
}

TEST_CASE("acknowledged batches give their bytes back, in whole batches") {
  send_state sender;
  sender.add(batch_of(3, 300), {});
  sender.add(batch_of(2, 20), {});
  CHECK(sender.acknowledged(3, {}) == 0);
  CHECK(sender.acknowledged(4, {}) == 300);
  CHECK(sender.acknowledged(4, {}) == 0);
  CHECK(sender.acknowledged(7, {}) == 0);  // more than was sent: a lie
  CHECK(sender.acknowledged(6, {}) == 20);
}

TEST_CASE("what the sender dropped is not waited for") {
  direction d;
  d.send(4);
  CHECK(d.sender.drop() == 4);
  d.send(2);
  d.connect();
  d.deliver();
  CHECK(d.got == std::vector<std::uint64_t>{5, 6});
  CHECK(d.sender.unacknowledged().empty());
}

TEST_CASE("impossible numbers are ignored") {
  receive_state receiver;
  CHECK_FALSE(receiver.batch({.first = ~std::uint64_t{0}, .count = 2}).accept);
  CHECK_FALSE(receiver.batch({.first = 1, .base = 5, .count = 2}).accept);
  CHECK(receiver.expected() == 1);
  CHECK(receiver.batch({.first = 1, .base = 1, .count = 2}).accept);
}

TEST_CASE("a batch that is new in part is received in part") {
  receive_state receiver;
  CHECK(receiver.batch({.first = 1, .base = 1, .count = 3}).accept);
  const auto decision = receiver.batch({.first = 2, .base = 1, .count = 5});
  CHECK(decision.accept);
  CHECK(decision.skip == 2);
  CHECK(receiver.expected() == 7);
}

TEST_CASE("with random cuts, losses and delays everything arrives once and in order") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    direction d;
    for (int step = 0; step < 400; ++step) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          d.send(1 + random() % 4);
          break;
        case 3:
        case 4:
          if (!d.wire.empty()) d.deliver_one();
          break;
        case 5:
          d.acks_lost = random() % 2 == 0;
          break;
        case 6:
          d.pass(150ms);
          break;
        default:
          if (d.up) {
            d.cut(random() % 5);
          } else {
            d.connect();
          }
      }
    }
    d.acks_lost = false;
    if (!d.up) d.connect();
    for (int i = 0; i < 20 && !d.complete(); ++i) {
      d.deliver();
      d.pass(20s);
    }
    INFO("seed " << seed);
    REQUIRE(d.complete());
  }
}

TEST_CASE(
    "a connection by which nothing is acknowledged is given up, each time after twice as long") {
  send_state sender;
  send_state::time_point now{};
  CHECK_FALSE(sender.stalled(now + 1h));  // nothing is on its way
  sender.add(batch_of(1), now);
  sender.add(batch_of(1), now);
  CHECK_FALSE(sender.stalled(now + send_state::first_stall - 1ms));
  now += send_state::first_stall;
  CHECK(sender.stalled(now));
  sender.link_up(now);
  CHECK_FALSE(sender.stalled(now + 2 * send_state::first_stall - 1ms));
  now += 2 * send_state::first_stall;
  CHECK(sender.stalled(now));
  sender.link_up(now);
  sender.acknowledged(2, now);
  CHECK(sender.stalled(now + send_state::first_stall));
}
