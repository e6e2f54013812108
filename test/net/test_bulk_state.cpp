// Which chunks come by data connections, and what trouble with these means.
#include <string>
#include <variant>
#include <vector>

#include "net/bulk_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using namespace std::chrono_literals;

namespace {

constexpr process_id source = 5;
constexpr stored_id value{5, 1};
const bulk_state::time start{};

template <class Effect>
std::vector<Effect> only(const std::vector<bulk_effect>& all) {
  std::vector<Effect> found;
  for (const auto& one : all) {
    if (const auto* const e = std::get_if<Effect>(&one)) found.push_back(*e);
  }
  return found;
}

/// With a connection that stands.
bulk_state connected(std::uint64_t channel = 70) {
  bulk_state state;
  state.wanted(start, source);
  state.offered(start, source, channel, 4000, {});
  state.opened(start, channel);
  static_cast<void>(state.take_effects());
  return state;
}

}  // namespace

TEST_CASE("until a connection stands chunks come by the link") {
  bulk_state state;
  CHECK(state.asked(start, source, value, 0, 10).channel == 0);
  state.wanted(start, source);
  CHECK(only<ask_channel>(state.take_effects()).size() == 1);
  CHECK(state.asked(start, source, value, 0, 10).channel == 0);
  state.offered(start, source, 70, 4000, {});
  const auto effects = only<connect_channel>(state.take_effects());
  REQUIRE(effects.size() == 1);
  CHECK(effects[0].port == 4000);
  CHECK(state.asked(start, source, value, 0, 10).channel == 0);
  state.opened(start, 70);
  CHECK(state.asked(start, source, value, 0, 10).channel == 70);
}

TEST_CASE("whether a connection stands is told when it does, and when it does not any more") {
  bulk_state state;
  state.wanted(start, source);
  state.offered(start, source, 70, 4000, {});
  CHECK(only<channel_stands>(state.take_effects()).empty());
  state.opened(start, 70);
  auto told = only<channel_stands>(state.take_effects());
  REQUIRE(told.size() == 1);
  CHECK(told[0].stands);
  state.lost(start, 70, "cut");
  told = only<channel_stands>(state.take_effects());
  REQUIRE(told.size() == 1);
  CHECK(!told[0].stands);
}

TEST_CASE("one connection is made to a source, however much is wanted of it") {
  bulk_state state = connected();
  state.wanted(start, source);
  CHECK(state.take_effects().empty());
}

TEST_CASE("an offer that was not asked for makes no connection") {
  bulk_state state;
  state.offered(start, source, 70, 4000, {});
  CHECK(state.take_effects().empty());
}

TEST_CASE("a chunk arrives once, and only while it is wanted") {
  bulk_state state = connected();
  const auto way = state.asked(start, source, value, 0, 10);
  const auto what = state.arrived(start, way.request);
  REQUIRE(what);
  CHECK(what->id == value);
  CHECK(what->size == 10);
  CHECK(!state.arrived(start, way.request));

  const auto stopped = state.asked(start, source, value, 0, 10);
  state.forget(value);
  CHECK(!state.arrived(start, stopped.request));
  const auto earlier = state.asked(start, source, value, 0, 10);
  const auto again = state.asked(start, source, value, 0, 10);
  CHECK(!state.arrived(start, earlier.request));
  CHECK(state.arrived(start, again.request));
}

TEST_CASE("what a lost connection owes is asked for again, by the link, and told once") {
  bulk_state state = connected();
  static_cast<void>(state.asked(start, source, value, 0, 10));
  static_cast<void>(state.asked(start, source, value, 10, 10));
  state.lost(start, 70, "cut");
  auto effects = state.take_effects();
  CHECK(only<chunk_undelivered>(effects).size() == 2);
  CHECK(only<channel_trouble>(effects).size() == 1);
  CHECK(state.asked(start, source, value, 0, 10).channel == 0);

  // It rests, then tries again; what goes wrong again is not told again, and rests longer.
  state.wanted(start, source);
  CHECK(state.take_effects().empty());
  state.wanted(start + 1s, source);
  CHECK(only<ask_channel>(state.take_effects()).size() == 1);
  state.refused(start + 1s, source, "no");
  CHECK(only<channel_trouble>(state.take_effects()).empty());
  state.wanted(start + 2s, source);
  CHECK(state.take_effects().empty());
  state.wanted(start + 3s, source);
  CHECK(only<ask_channel>(state.take_effects()).size() == 1);
}

TEST_CASE("a source that does not answer, or cannot be connected to, is given up in time") {
  bulk_state state;
  state.wanted(start, source);
  state.tick(start + 9s);
  static_cast<void>(state.take_effects());
  state.tick(start + 10s);
  CHECK(only<channel_trouble>(state.take_effects()).size() == 1);

  bulk_state other;
  other.wanted(start, source);
  other.offered(start, source, 70, 4000, {});
  other.tick(start + 10s);
  CHECK(only<close_channel>(other.take_effects()).size() == 1);
  other.opened(start + 11s, 70);  // too late
  CHECK(only<close_channel>(other.take_effects()).size() == 1);
  CHECK(other.asked(start + 11s, source, value, 0, 10).channel == 0);
}

TEST_CASE("a connection that owes chunks and carries nothing is given up, one that crawls is not") {
  bulk_state state = connected();
  static_cast<void>(state.asked(start, source, value, 0, 10));
  state.carried(start + 14s, 70, 1);
  state.tick(start + 20s);
  CHECK(state.take_effects().empty());
  state.tick(start + 29s);
  const auto effects = state.take_effects();
  CHECK(only<close_channel>(effects).size() == 1);
  CHECK(only<chunk_undelivered>(effects).size() == 1);
}

TEST_CASE(
    "an idle connection is closed in time, without a word, and made again when it is wanted") {
  bulk_state state = connected();
  state.tick(start + 59s);
  CHECK(state.take_effects().empty());
  state.tick(start + 60s);
  const auto effects = state.take_effects();
  CHECK(only<close_channel>(effects).size() == 1);
  CHECK(only<channel_trouble>(effects).empty());
  CHECK(!state.wants_ticks());
  state.wanted(start + 60s, source);
  CHECK(only<ask_channel>(state.take_effects()).size() == 1);
}

TEST_CASE("a source that is gone is forgotten with its connection and what it owed") {
  bulk_state state = connected();
  const auto way = state.asked(start, source, value, 0, 10);
  state.process_gone(source);
  CHECK(only<close_channel>(state.take_effects()).size() == 1);
  CHECK(!state.arrived(start, way.request));
  CHECK(!state.wants_ticks());
}
