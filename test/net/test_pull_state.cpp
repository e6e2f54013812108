// How values travel between nodes: who is asked, what happens when a source dies, how copies
// spread.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "net/pull_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

constexpr process_id home = 1;
constexpr stored_id value{home, 7};

template <class T, class Effects>
std::vector<T> only(const Effects& effects) {
  std::vector<T> result;
  for (const auto& effect : effects) {
    if (const T* const one = std::get_if<T>(&effect)) result.push_back(*one);
  }
  return result;
}

/// A pull of 100 bytes in chunks of 10, four at a time, from `source`, with memory.
pull_state begun(process_id source) {
  pull_state pulls(10, 4);
  pulls.begin(value, home);
  pulls.located(value, 100, source);
  pulls.memory_granted(value);
  return pulls;
}

}  // namespace

TEST_CASE("a value is asked of its home once, and then of the source in chunks, some ahead") {
  pull_state pulls(10, 4);
  pulls.begin(value, home);
  pulls.begin(value, home);
  CHECK(only<ask_home>(pulls.take_effects()).size() == 1);
  pulls.located(value, 25, 2);
  CHECK(only<value_located>(pulls.take_effects()).size() == 1);
  pulls.memory_granted(value);
  const auto asked = only<ask_chunk>(pulls.take_effects());
  REQUIRE(asked.size() == 3);
  CHECK(asked[2].offset == 20);
  CHECK(asked[2].size == 5);
  for (const auto& chunk : asked) {
    CHECK(pulls.expects(value, 2, chunk.offset, chunk.size));
    CHECK_FALSE(pulls.expects(value, 3, chunk.offset, chunk.size));
    CHECK_FALSE(pulls.expects(value, 2, chunk.offset, chunk.size + 1));
    pulls.arrived(value, chunk.offset);
    CHECK_FALSE(pulls.expects(value, 2, chunk.offset, chunk.size));
  }
  const auto end = pulls.take_effects();
  CHECK(only<pull_complete>(end).size() == 1);
  CHECK(only<end_transfer>(end).size() == 1);
  CHECK(only<tell_home>(end).at(0).done);
  CHECK(pulls.size() == 0);
}

TEST_CASE("more is asked ahead of a source while a data connection to it stands") {
  pull_state pulls(10, 2);
  pulls.begin(value, home);
  pulls.located(value, 1000, 2);
  pulls.memory_granted(value);
  CHECK(only<ask_chunk>(pulls.take_effects()).size() == 2);
  pulls.set_wide(3, true);
  CHECK(pulls.take_effects().empty());
  pulls.set_wide(2, true);
  CHECK(only<ask_chunk>(pulls.take_effects()).size() == 6);
  pulls.set_wide(2, false);
  pulls.arrived(value, 0);
  CHECK(pulls.take_effects().empty());
}

TEST_CASE("a chunk that did not come by its way is asked for again, of the same source, once") {
  pull_state pulls = begun(2);
  REQUIRE(only<ask_chunk>(pulls.take_effects()).size() == 4);
  pulls.undelivered(value, 3, 10);  // it was not asked of that one
  pulls.undelivered(value, 2, 90);  // it was not asked for yet
  CHECK(only<ask_chunk>(pulls.take_effects()).empty());
  pulls.undelivered(value, 2, 10);
  const auto again = only<ask_chunk>(pulls.take_effects());
  REQUIRE(again.size() == 1);
  CHECK(again[0].source == 2);
  CHECK(again[0].offset == 10);
  CHECK(pulls.expects(value, 2, 10, 10));
}

TEST_CASE("when a source dies the home is asked for another, and what has come stays") {
  pull_state pulls = begun(2);
  for (const auto& chunk : only<ask_chunk>(pulls.take_effects())) {
    if (chunk.offset < 20) pulls.arrived(value, chunk.offset);
  }
  pulls.take_effects();
  pulls.process_gone(2, "killed");
  CHECK(only<ask_home>(pulls.take_effects()).size() == 1);
  pulls.located(value, 100, 3);
  std::set<std::uint64_t> came{0, 10};
  for (auto asked = only<ask_chunk>(pulls.take_effects()); !asked.empty();) {
    for (const auto& chunk : asked) {
      CHECK(chunk.source == 3);
      CHECK(came.insert(chunk.offset).second);
      pulls.arrived(value, chunk.offset);
    }
    asked = only<ask_chunk>(pulls.take_effects());
  }
  CHECK(came.size() == 10);
  CHECK(pulls.size() == 0);
}

TEST_CASE("a source that has thrown its copy away is replaced; the home is not") {
  pull_state pulls = begun(2);
  pulls.take_effects();
  pulls.missing(value, 2);
  CHECK(only<ask_home>(pulls.take_effects()).size() == 1);
  pulls.located(value, 100, home);
  pulls.take_effects();
  pulls.missing(value, home);
  CHECK(only<pull_hopeless>(pulls.take_effects()).size() == 1);
}

TEST_CASE("a source that does not have the value is told that its transfer is over") {
  // Chunks asked for behind the one that was missing may have it pinned there, when it came back.
  pull_state pulls = begun(2);
  pulls.take_effects();
  pulls.missing(value, 2);
  const auto of_copy = only<end_transfer>(pulls.take_effects());
  REQUIRE(of_copy.size() == 1);
  CHECK(of_copy.front().source == 2);
  pulls.located(value, 100, home);
  pulls.take_effects();
  pulls.missing(value, home);
  const auto of_home = only<end_transfer>(pulls.take_effects());
  REQUIRE(of_home.size() == 1);
  CHECK(of_home.front().source == home);
  pull_state orphan = begun(2);
  orphan.process_gone(home, "killed");
  orphan.take_effects();
  orphan.missing(value, 2);
  CHECK(only<end_transfer>(orphan.take_effects()).size() == 1);
}

TEST_CASE("a value that its home has no memory to read back is there, and is not called lost") {
  pull_state pulls = begun(home);
  pulls.take_effects();
  pulls.missing(value, home, "1 MiB of 1 MiB are in use");
  const auto effects = pulls.take_effects();
  const auto ended = only<pull_hopeless>(effects);
  REQUIRE(ended.size() == 1);
  CHECK(ended.front().refusal == store_refusal::full);
  CHECK(ended.front().why.find("1 MiB of 1 MiB") != std::string::npos);
  CHECK(only<tell_home>(effects).size() == 1);
  pull_state gone = begun(home);
  gone.take_effects();
  gone.missing(value, home);
  const auto lost = only<pull_hopeless>(gone.take_effects());
  REQUIRE(lost.size() == 1);
  CHECK(lost.front().refusal == store_refusal::lost);
}

TEST_CASE("when the home dies a transfer from another source goes on to its end") {
  pull_state pulls = begun(2);
  auto asked = only<ask_chunk>(pulls.take_effects());
  pulls.process_gone(home, "killed");
  CHECK(pulls.take_effects().empty());
  while (!asked.empty()) {
    for (const auto& chunk : asked) pulls.arrived(value, chunk.offset);
    const auto effects = pulls.take_effects();
    asked = only<ask_chunk>(effects);
    if (asked.empty()) CHECK(only<pull_complete>(effects).size() == 1);
  }
  pull_state other = begun(2);
  other.process_gone(home, "killed");
  other.process_gone(2, "killed");
  CHECK(only<pull_hopeless>(other.take_effects()).size() == 1);
}

TEST_CASE("a pull that is stopped frees its source") {
  pull_state pulls = begun(2);
  pulls.take_effects();
  pulls.stop(value);
  const auto effects = pulls.take_effects();
  CHECK(only<end_transfer>(effects).size() == 1);
  CHECK_FALSE(only<tell_home>(effects).at(0).done);
  pulls.begin(value, home);
  pulls.stop(value);
  pulls.take_effects();
  pulls.located(value, 100, 2);  // the home's answer comes too late
  CHECK(only<tell_home>(pulls.take_effects()).size() == 1);
}

TEST_CASE("a pull that is stopped and begun again while its home is asked does not ask twice") {
  pull_state pulls(10, 4);
  spread_state spread(home);
  const process_id reader = 5;
  pulls.begin(value, home);
  REQUIRE(only<ask_home>(pulls.take_effects()).size() == 1);
  spread.asked(value, reader, true);
  pulls.stop(value);
  pulls.begin(value, home);
  CHECK(only<ask_home>(pulls.take_effects()).empty());
  const auto named = only<name_source>(spread.take_effects());
  REQUIRE(named.size() == 1);
  pulls.located(value, 10, named[0].source);
  pulls.memory_granted(value);
  pulls.take_effects();
  pulls.arrived(value, 0);
  const auto told = only<tell_home>(pulls.take_effects());
  REQUIRE(told.size() == 1);
  CHECK(told[0].done);
  CHECK(told[0].source == named[0].source);
}

TEST_CASE("a source that is named for a pull that was stopped is free again") {
  pull_state pulls(10, 4);
  pulls.begin(value, home);
  pulls.stop(value);
  pulls.take_effects();
  SECTION("by the answer") {
    pulls.located(value, 10, 2);
    const auto told = only<tell_home>(pulls.take_effects());
    REQUIRE(told.size() == 1);
    CHECK(told[0].home == home);
    CHECK_FALSE(told[0].done);
  }
  SECTION("and nobody hears of a refusal") {
    pulls.refused(value, "it was freed");
    CHECK(pulls.take_effects().empty());
  }
  SECTION("and nobody hears of the home's death") {
    pulls.process_gone(home, "killed");
    CHECK(pulls.take_effects().empty());
  }
  CHECK(pulls.size() == 0);
}

TEST_CASE("a value spreads as a tree: each source serves two, each copy serves further ones") {
  constexpr process_id nodes = 40;
  spread_state spread(home);
  std::map<process_id, std::uint32_t> busy;
  std::set<process_id> have{home};
  for (process_id node = 2; node < 2 + nodes; ++node) spread.asked(value, node, true);
  int rounds = 0;
  while (have.size() < nodes + 1) {
    ++rounds;
    const auto named = only<name_source>(spread.take_effects());
    REQUIRE_FALSE(named.empty());
    busy.clear();
    for (const auto& one : named) {
      CHECK(have.contains(one.source));
      CHECK(++busy[one.source] <= 2);
    }
    for (const auto& one : named) {
      have.insert(one.to);
      spread.ended(value, one.to, one.source, true);
    }
  }
  CHECK(rounds <= 5);  // 1, 3, 9, 27, 81
  spread.freed(value);
  CHECK(only<delete_copy>(spread.take_effects()).size() == nodes);
  CHECK(spread.size() == 0);
}

TEST_CASE("a source that failed a node is not named to it again") {
  spread_state spread(home, 1);
  spread.asked(value, 2, true);
  spread.ended(value, 2, home, true);
  spread.take_effects();
  spread.asked(value, 3, true);
  CHECK(only<name_source>(spread.take_effects()).at(0).source == 2);
  spread.ended(value, 3, 2, false);
  spread.asked(value, 3, true);
  CHECK(only<name_source>(spread.take_effects()).at(0).source == home);
}

TEST_CASE("a node that dies or evicts its copy serves nobody") {
  spread_state spread(home, 1);
  for (const process_id node : {2, 3}) {
    spread.asked(value, node, true);
    spread.ended(value, node, home, true);
    spread.ended(value, node, 2, true);
  }
  spread.take_effects();
  spread.process_gone(2);
  spread.evicted(value, 3);
  CHECK(spread.size() == 0);
  spread.asked(value, 4, false);
  CHECK(only<name_source>(spread.take_effects()).at(0).source == home);
  spread.asked(value, 5, true);  // the home is busy
  CHECK(spread.take_effects().empty());
  spread.process_gone(4);
  CHECK(only<name_source>(spread.take_effects()).at(0).to == 5);
}

TEST_CASE("who waits for a source of a value that is freed is answered") {
  spread_state spread(home);
  for (const process_id reader : {2, 3, 4}) spread.asked(value, reader, true);
  CHECK(only<name_source>(spread.take_effects()).size() == 2);  // the home serves two at a time
  spread.freed(value);
  const auto told = only<name_source>(spread.take_effects());
  REQUIRE(told.size() == 1);
  CHECK(told[0].to == 4);
}

TEST_CASE("who asks for a value that is still being written waits until it is sealed, or freed") {
  spread_state spread(home);
  spread.asked(value, 2, true, false);
  CHECK(spread.take_effects().empty());
  spread.sealed(value);
  CHECK(only<name_source>(spread.take_effects()).at(0).to == 2);

  constexpr stored_id other{home, 99};
  spread.asked(other, 3, true, false);
  spread.freed(other);
  CHECK(only<name_source>(spread.take_effects()).at(0).to == 3);  // and there is none
}

TEST_CASE("a copy that is complete after the value was freed is deleted") {
  spread_state spread(home);
  spread.asked(value, 2, true);
  spread.freed(value);
  CHECK(only<delete_copy>(spread.take_effects()).size() == 1);
  spread.ended(value, 2, home, true);
  CHECK(only<delete_copy>(spread.take_effects()).size() == 1);
}
