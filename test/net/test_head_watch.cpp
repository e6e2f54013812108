// Whether a node's head has ended, by the clock that the test moves.
#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "net/head_watch.hpp"
#include "test/support/bound_port.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using troupe::test::bound_port;
using namespace std::chrono_literals;
using finding = head_watch::finding;

namespace {

/// What a node finds that looks each 100 ms for so long.
std::vector<finding> look(head_watch& watch, head_watch::time from, std::chrono::milliseconds until,
                          std::chrono::milliseconds silent_for, bool is_linked = true) {
  std::vector<finding> all;
  for (auto t = 0ms; t <= until; t += 100ms) {
    std::this_thread::yield();
    all.push_back(watch.look(from + t, is_linked, silent_for, 60s));
  }
  return all;
}

}  // namespace

TEST_CASE("a dead head is found dead before the node gives up, however short its patience is") {
  const auto silent_for = GENERATE(600ms, 1'800ms, 6'000ms);
  const bound_port at;
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.process(1), now);
  const auto found = look(watch, now, 30s, silent_for);
  CHECK(std::count(found.begin(), found.end(), finding::just_died) == 1);
  CHECK(std::count(found.begin(), found.end(), finding::silent) == 0);
}

TEST_CASE("a head whose connection ends is looked for at once") {
  const bound_port at;
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.process(1), now);
  const auto linked = look(watch, now, 900ms, 1'800ms);
  CHECK(std::count(linked.begin(), linked.end(), finding::just_died) == 0);
  const auto cut = look(watch, now + 1s, 200ms, 1'800ms, false);
  CHECK(std::count(cut.begin(), cut.end(), finding::just_died) == 1);
}

TEST_CASE("a head is found dead early enough that it may be back when the patience would end") {
  const bound_port at;
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.process(1), now);
  const auto dead = look(watch, now, 1'400ms, 1'800ms);
  CHECK(dead.back() == finding::alive);  // it was told before
  at.listen();
  // The link finds it within that time.
  const auto back = look(watch, now + 1'500ms, 1'000ms, 1'800ms);
  CHECK(std::count(back.begin(), back.end(), finding::silent) == 0);
}

TEST_CASE("a head that listens and says nothing is silent, and not dead") {
  const bound_port at;
  at.listen();
  head_watch watch;
  const head_watch::time now{};
  watch.begin(at.process(1), now);
  const auto found = look(watch, now, 2s, 1'800ms);
  CHECK(std::count(found.begin(), found.end(), finding::just_died) == 0);
  CHECK(found.back() == finding::silent);
}
