#include <chrono>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "actors/pool_state.hpp"
#include "test/support/catch.hpp"

using namespace std::chrono_literals;
using troupe::actors::lane_limits;
using troupe::actors::pool_limits;
using troupe::actors::pool_state;

namespace {

using batch = pool_state::send_batch;
using failing = pool_state::failing;

pool_state::time_point at(std::chrono::milliseconds time) { return pool_state::time_point(time); }

/// A pool and what it asked for, by kind.
struct bench {
  explicit bench(const pool_limits& limits, std::size_t members = 0, lane_limits lane = {})
      : state(limits), lane_id(state.add_lane(lane)) {
    state.start(members);
    collect();
    for (const pool_state::member_id member : std::exchange(started, {})) {
      state.member_started(member, at(0ms));
      ids.push_back(member);
    }
    collect();
  }

  void collect() {
    for (const auto& effect : state.take_effects()) {
      if (const auto* send = std::get_if<pool_state::send_batch>(&effect)) sent.push_back(*send);
      if (const auto* start = std::get_if<pool_state::start_member>(&effect)) {
        started.push_back(start->member);
      }
      if (const auto* fail = std::get_if<pool_state::fail_item>(&effect)) failed.push_back(*fail);
      if (const auto* wake = std::get_if<pool_state::wake_at>(&effect)) wakes.push_back(wake->time);
    }
  }
  pool_state::item_id submit(std::chrono::milliseconds time = 0ms) {
    const auto item = state.submit(lane_id, at(time));
    collect();
    return item;
  }
  void finish(const batch& call, std::chrono::milliseconds time = 0ms) {
    state.finished(call.batch, at(time));
    collect();
  }
  void interrupt(const batch& call, bool gone = true, bool resend = true) {
    state.interrupted(call.batch, gone, resend, at(0ms));
    collect();
  }
  std::vector<std::uint64_t> take_members() {
    std::vector<std::uint64_t> members;
    for (const batch& call : std::exchange(sent, {})) members.push_back(call.member);
    return members;
  }
  std::vector<std::vector<std::uint64_t>> take_items() {
    std::vector<std::vector<std::uint64_t>> items;
    for (const batch& call : std::exchange(sent, {})) items.push_back(call.items);
    return items;
  }

  pool_state state;
  pool_state::lane_id lane_id;
  std::vector<pool_state::member_id> ids;
  std::vector<batch> sent;
  std::vector<pool_state::member_id> started;
  std::vector<pool_state::fail_item> failed;
  std::vector<pool_state::time_point> wakes;
};

using members = std::vector<std::uint64_t>;
using batches = std::vector<std::vector<std::uint64_t>>;

}  // namespace

TEST_CASE("calls go to the members in turn while all have as many") {
  bench pool({.max_in_flight = 2}, 3);
  for (int i = 0; i < 6; ++i) pool.submit();
  REQUIRE(pool.take_members() == members{1, 2, 3, 1, 2, 3});
  REQUIRE_FALSE(pool.state.has_free());
}

TEST_CASE("a call goes to the member that has the fewest") {
  bench pool({.max_in_flight = 3}, 2);
  for (int i = 0; i < 4; ++i) pool.submit();
  const auto calls = pool.sent;
  pool.sent.clear();
  pool.finish(calls[1]);  // both of member 2
  pool.finish(calls[3]);
  for (int i = 0; i < 3; ++i) pool.submit();
  REQUIRE(pool.take_members() == members{2, 2, 1});
}

TEST_CASE("what finds no free member waits and is sent in the order of arrival") {
  bench pool({}, 1);
  pool.submit();
  pool.submit();
  pool.submit();
  REQUIRE(pool.state.waiting() == 2);
  const batch first = pool.sent[0];
  pool.sent.clear();
  pool.finish(first);
  REQUIRE(pool.sent.size() == 1);
  REQUIRE(pool.sent[0].items == std::vector<std::uint64_t>{2});
  REQUIRE(pool.state.waiting() == 1);
}

TEST_CASE("calls that come before any member is there wait for it") {
  bench pool({});
  pool.state.start(1);
  pool.collect();
  pool.submit();
  REQUIRE(pool.sent.empty());
  pool.state.member_started(pool.started[0], at(0ms));
  pool.collect();
  REQUIRE(pool.sent.size() == 1);
}

TEST_CASE("a pool refuses what would make more wait than its bound") {
  bench pool({.max_pending = 2}, 1);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_FALSE(pool.state.would_refuse());
    pool.submit();
  }
  REQUIRE(pool.state.would_refuse() == pool_state::refusal::full);
  pool.finish(pool.sent[0]);
  REQUIRE_FALSE(pool.state.would_refuse());
}

TEST_CASE("a pool whose bound is zero takes what can be sent at once") {
  bench pool({.max_pending = 0}, 1);
  REQUIRE_FALSE(pool.state.would_refuse());
  pool.submit();
  REQUIRE(pool.state.would_refuse() == pool_state::refusal::full);
}

TEST_CASE("an item that is withdrawn while it waits is never sent") {
  bench pool({}, 1);
  pool.submit();
  const auto second = pool.submit();
  pool.submit();
  REQUIRE(pool.state.withdraw(second));
  REQUIRE_FALSE(pool.state.withdraw(second));
  REQUIRE_FALSE(pool.state.withdraw(1));  // it runs
  const batch first = pool.sent[0];
  pool.sent.clear();
  pool.finish(first);
  REQUIRE(pool.take_items() == batches{{3}});
}

TEST_CASE("the work of a member that died is sent to another one, before what waits") {
  bench pool({}, 2);
  pool.submit();
  pool.submit();
  pool.submit();
  const batch lost = pool.sent[0];
  const batch other = pool.sent[1];
  pool.sent.clear();
  pool.interrupt(lost);
  REQUIRE(pool.sent.empty());  // the other member is busy, the dead one takes nothing
  pool.finish(other);
  REQUIRE(pool.sent[0].items == lost.items);
  REQUIRE(pool.sent[0].member == other.member);
}

TEST_CASE("a member that restarts by itself is kept by the pool") {
  bench pool({}, 1);
  pool.submit();
  const batch lost = pool.sent[0];
  pool.sent.clear();
  pool.interrupt(lost, false);
  REQUIRE(pool.sent.size() == 1);
  REQUIRE(pool.sent[0].member == lost.member);
  REQUIRE(pool.sent[0].items == lost.items);
}

TEST_CASE("a call that members die under fails after its attempts") {
  bench pool({.max_attempts = 2}, 3);
  const auto item = pool.submit();
  pool.interrupt(pool.sent[0]);
  REQUIRE(pool.failed.empty());
  pool.interrupt(pool.sent[1]);
  REQUIRE(pool.failed == std::vector<pool_state::fail_item>{{item, failing::interrupted}});
  REQUIRE(pool.sent.size() == 2);
  REQUIRE(pool.state.running() == 0);
}

TEST_CASE("a call that cannot be sent twice fails with its member") {
  bench pool({}, 2);
  const auto item = pool.submit();
  pool.interrupt(pool.sent[0], true, false);
  REQUIRE(pool.failed == std::vector<pool_state::fail_item>{{item, failing::interrupted}});
}

TEST_CASE("a dead member is replaced") {
  bench pool({}, 2);
  pool.state.member_ended(1, false, true);
  pool.collect();
  REQUIRE(pool.started == members{3});
  pool.state.member_started(3, at(0ms));
  pool.submit();
  pool.submit();
  REQUIRE(pool.take_members() == members{2, 3});
  REQUIRE(pool.state.replaced() == 1);
}

TEST_CASE(
    "the end of a member is counted once, whether its calls or its death are heard of first") {
  bench pool({}, 2);
  pool.submit();
  const batch lost = pool.sent[0];
  SECTION("the call first") {
    pool.interrupt(lost);
    pool.state.member_ended(lost.member, false, true);
  }
  SECTION("the death first") {
    pool.state.member_ended(lost.member, false, true);
    pool.interrupt(lost);
  }
  pool.collect();
  REQUIRE(pool.started.size() == 1);
  REQUIRE(pool.sent.size() == 2);
  REQUIRE(pool.sent[1].items == lost.items);
  pool.state.member_ended(lost.member, false, true);
  pool.collect();
  REQUIRE(pool.started.size() == 1);
}

TEST_CASE("members whose constructors throw are not started for ever") {
  bench pool({.max_failed_starts = 3}, 1);
  const auto first = pool.submit();
  const batch lost = pool.sent[0];
  pool.state.member_ended(1, true, true);
  pool.interrupt(lost);
  pool.state.member_started(pool.started.back(), at(0ms));
  pool.collect();
  pool.state.member_ended(pool.started.back(), true, true);
  pool.collect();
  const auto second = pool.submit();
  pool.state.member_start_failed(pool.started.back());
  pool.collect();
  REQUIRE(pool.started.size() == 2);
  REQUIRE(pool.failed == std::vector<pool_state::fail_item>{{second, failing::no_members}});
  REQUIRE(pool.state.would_refuse() == pool_state::refusal::no_members);
  pool.interrupt(pool.sent.back());
  REQUIRE(pool.failed.back() == pool_state::fail_item{first, failing::no_members});
}

TEST_CASE("a call that succeeds forgives the failed starts before it") {
  bench pool({.max_failed_starts = 2}, 2);
  pool.state.member_ended(1, true, true);
  pool.submit();
  pool.finish(pool.sent[0]);
  pool.state.member_ended(2, true, true);
  pool.collect();
  REQUIRE(pool.started.size() == 2);
}

TEST_CASE("replacements end at their bound and then all that waits fails") {
  bench pool({.max_replacements = 1}, 1);
  pool.state.member_ended(1, false, true);
  pool.collect();
  const auto item = pool.submit();
  pool.state.member_started(2, at(0ms));
  pool.collect();
  REQUIRE(pool.sent.size() == 1);
  pool.state.member_ended(2, false, true);
  pool.interrupt(pool.sent[0]);
  REQUIRE(pool.started.size() == 1);
  REQUIRE(pool.failed == std::vector<pool_state::fail_item>{{item, failing::no_members}});
}

TEST_CASE("a member that is pushed brings a pool without members back") {
  bench pool({});
  pool.state.add_member();
  pool.state.member_ended(1, false, false);
  REQUIRE(pool.state.would_refuse() == pool_state::refusal::no_members);
  pool.state.add_member();
  REQUIRE_FALSE(pool.state.would_refuse());
}

TEST_CASE("only a member without calls is idle, and only when nothing waits") {
  bench pool({.max_in_flight = 2}, 1);
  pool.submit();
  REQUIRE(pool.state.has_free());
  REQUIRE_FALSE(pool.state.take_idle());
  pool.finish(pool.sent[0]);
  REQUIRE(pool.state.take_idle() == 1U);
  REQUIRE(pool.state.members() == 0);
  REQUIRE_FALSE(pool.state.would_refuse());  // it waits for a push
}

TEST_CASE("a member that starts gets no calls but counts as room for them") {
  bench pool({.max_in_flight = 2, .max_pending = 1}, 1);
  pool.state.add_member();
  for (int i = 0; i < 4; ++i) {
    REQUIRE(pool.state.has_free());
    pool.submit();
  }
  REQUIRE(pool.take_members() == members{1, 1});
  REQUIRE_FALSE(pool.state.has_free());
  REQUIRE_FALSE(pool.state.would_refuse());
  pool.submit();
  REQUIRE(pool.state.would_refuse() == pool_state::refusal::full);
  pool.state.member_started(2, at(0ms));
  pool.collect();
  REQUIRE(pool.take_members() == members{2, 2});
  REQUIRE(pool.state.waiting() == 1);
}

TEST_CASE("a member that starts can be taken out, and its start is no news then") {
  bench pool({});
  const auto id = pool.state.add_member();
  REQUIRE(pool.state.take_idle() == id);
  pool.state.member_started(id, at(0ms));
  REQUIRE(pool.state.members() == 0);
}

TEST_CASE("an idle member takes an input at once, what comes while it works becomes one batch") {
  bench pool({}, 1, {.max_batch_size = 3});
  for (int i = 0; i < 6; ++i) pool.submit();
  REQUIRE(pool.sent.size() == 1);
  pool.finish(pool.sent[0]);
  pool.finish(pool.sent[1]);
  REQUIRE(pool.take_items() == batches{{1}, {2, 3, 4}, {5, 6}});
  REQUIRE(pool.wakes.empty());
}

TEST_CASE("with max_wait an input waits for others until its time or a full batch") {
  bench pool({.max_in_flight = 8}, 1, {.max_batch_size = 3, .max_wait = 2ms});
  pool.submit(10ms);
  pool.submit(11ms);
  REQUIRE(pool.sent.empty());
  REQUIRE(pool.wakes == std::vector<pool_state::time_point>{at(12ms)});
  SECTION("its time comes") {
    pool.state.tick(at(12ms));
    pool.collect();
    REQUIRE(pool.take_items() == batches{{1, 2}});
  }
  SECTION("the batch is full") {
    pool.submit(11ms);
    REQUIRE(pool.take_items() == batches{{1, 2, 3}});
    pool.submit(11ms);
    pool.state.tick(at(12ms));
    pool.collect();
    REQUIRE(pool.sent.empty());
    REQUIRE(pool.wakes.back() == at(13ms));
  }
}

TEST_CASE("a batch whose time comes while all members work goes when one is free") {
  bench pool({}, 1, {.max_batch_size = 4, .max_wait = 2ms});
  for (int i = 0; i < 4; ++i) pool.submit();
  pool.submit(1ms);
  REQUIRE(std::exchange(pool.wakes, {}).size() == 1);  // of the first input
  SECTION("after its time") {
    pool.finish(pool.sent[0], 9ms);
    REQUIRE(pool.sent.size() == 2);
  }
  SECTION("before its time") {
    pool.finish(pool.sent[0], 2ms);
    pool.state.tick(at(2ms));
    pool.collect();
    REQUIRE(pool.sent.size() == 1);
    REQUIRE(pool.wakes == std::vector<pool_state::time_point>{at(3ms)});
  }
}

TEST_CASE("the inputs of a batch that was interrupted are sent again one by one") {
  bench pool({.max_attempts = 2}, 4, {.max_batch_size = 3, .max_wait = 1h});
  for (int i = 0; i < 3; ++i) pool.submit();
  REQUIRE(pool.sent.size() == 1);
  const batch lost = pool.sent[0];
  pool.sent.clear();
  pool.interrupt(lost);
  REQUIRE(pool.sent.size() == 3);
  const batch killer = pool.sent[1];
  REQUIRE(pool.take_items() == batches{{1}, {2}, {3}});
  pool.interrupt(killer);
  REQUIRE(pool.failed == std::vector<pool_state::fail_item>{{2, failing::interrupted}});
}

TEST_CASE("lanes share the members and the oldest input goes first") {
  bench pool({}, 1);
  const auto other = pool.state.add_lane({.max_batch_size = 8});
  pool.submit();
  pool.state.submit(other, at(0ms));
  pool.submit();
  pool.state.submit(other, at(0ms));
  pool.collect();
  for (std::size_t i = 0; i < 2; ++i) pool.finish(pool.sent[i]);
  REQUIRE(pool.take_items() == batches{{1}, {2, 4}, {3}});
}
