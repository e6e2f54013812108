// How a node gets packages, and which it keeps.
#include "net/package_state.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"

using namespace std::chrono_literals;
using namespace troupe::net;
using troupe::test::contains;

namespace {

constexpr process_id driver = 7;
constexpr process_id head = 9;

struct store {
  explicit store(std::uint64_t most = 100)
      : state({.most_bytes = most, .piece_bytes = 10, .pieces_ahead = 2, .patience = 30s}) {}

  template <class T>
  std::vector<T> take() {
    for (auto& e : state.take_effects()) effects.push_back(std::move(e));
    std::vector<T> result;
    std::erase_if(effects, [&](package_effect& e) {
      auto* const wanted = std::get_if<T>(&e);
      if (wanted == nullptr) return false;
      result.push_back(std::move(*wanted));
      return true;
    });
    return result;
  }
  /// Everything that is asked comes and is written.
  void serve(std::uint64_t size) {
    for (auto asked = take<ask_piece>(); !asked.empty(); asked = take<ask_piece>()) {
      for (const ask_piece& one : asked) {
        const std::uint64_t bytes = std::min<std::uint64_t>(10, size - one.offset);
        REQUIRE(state.received(now, one.source, one.hash, one.offset, bytes, ""));
        state.written(now, one.hash, bytes, "");
      }
    }
  }
  void get(std::uint64_t ticket, const std::string& hash, std::uint64_t size) {
    state.want(now, ticket, hash, size, {driver});
    serve(size);
    state.finished(now, hash, size, "");
  }

  package_state state;
  package_state::time now{};
  std::vector<package_effect> effects;
};

}  // namespace

TEST_CASE("a package comes in pieces, not too many at once, and all who want it are told") {
  store s;
  s.state.want(s.now, 1, "a", 35, {driver, head});
  s.state.want(s.now, 2, "a", 35, {driver});
  CHECK(s.take<begin_file>().size() == 1);
  auto asked = s.take<ask_piece>();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].source == driver);
  CHECK(asked[1].offset == 10);
  REQUIRE(s.state.received(s.now, driver, "a", 0, 10, ""));
  CHECK(s.take<ask_piece>().empty());  // not before it is written
  s.state.written(s.now, "a", 10, "");
  REQUIRE(s.state.received(s.now, driver, "a", 10, 10, ""));
  s.state.written(s.now, "a", 10, "");
  s.serve(35);
  CHECK(s.take<finish_file>().size() == 1);
  CHECK(s.take<package_answer>().empty());
  s.state.finished(s.now, "a", 35, "");
  CHECK(s.take<package_answer>().size() == 2);
  s.state.want(s.now, 3, "a", 35, {driver});
  const auto answers = s.take<package_answer>();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].failed.empty());
  CHECK(s.take<ask_piece>().empty());
}

TEST_CASE("the next source is asked when one fails, ends, is silent, or sends something else") {
  store s;
  s.state.want(s.now, 1, "a", 20, {driver, head});
  s.take<ask_piece>();
  SECTION("fails") { CHECK(!s.state.received(s.now, driver, "a", 0, 0, "it is gone")); }
  SECTION("ends") { s.state.process_gone(s.now, driver); }
  SECTION("is silent") { s.state.tick(s.now + 30s); }
  SECTION("a piece of the wrong size") { CHECK(!s.state.received(s.now, driver, "a", 0, 11, "")); }
  SECTION("another content") {
    CHECK(s.state.received(s.now, driver, "a", 0, 10, ""));
    CHECK(s.state.received(s.now, driver, "a", 10, 10, ""));
    s.state.written(s.now, "a", 10, "");
    s.state.written(s.now, "a", 10, "");
    s.state.finished(s.now, "a", 0, "its content is not what its name says");
  }
  const auto asked = s.take<ask_piece>();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].source == head);
  CHECK(asked[0].offset == 0);
  CHECK(!s.state.received(s.now, head, "a", 0, 0, "never seen"));
  const auto answers = s.take<package_answer>();
  REQUIRE(answers.size() == 1);
  CHECK_THAT(answers[0].failed, contains("never seen"));
  // Somebody may ask again.
  s.state.want(s.now, 2, "a", 20, {head});
  CHECK(s.take<ask_piece>().size() == 2);
}

TEST_CASE("a full disk fails at once, and what is too big is not asked for") {
  store s;
  s.state.want(s.now, 1, "a", 20, {driver, head});
  REQUIRE(s.state.received(s.now, driver, "a", 0, 10, ""));
  s.state.written(s.now, "a", 0, "No space left on device");
  s.state.want(s.now, 2, "big", 101, {driver});
  s.state.want(s.now, 3, "nobody's", 10, {});
  const auto answers = s.take<package_answer>();
  REQUIRE(answers.size() == 3);
  for (const auto& answer : answers) CHECK(!answer.failed.empty());
  CHECK(s.take<remove_file>().size() == 3);
}

TEST_CASE("the package that was not used for longest goes when room is needed") {
  store s;
  s.get(1, "a", 40);
  s.get(2, "b", 40);
  s.state.release(1);
  s.state.release(2);
  s.state.want(s.now, 3, "a", 40, {});  // used again
  s.state.release(3);
  s.get(4, "c", 40);
  auto gone = s.take<remove_file>();
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].hash == "b");
  CHECK(s.state.has("a"));
  CHECK(s.state.bytes() == 80);
}

TEST_CASE("what is in use stays, and goes when it is not any more") {
  store s;
  s.get(1, "a", 60);
  s.get(2, "b", 60);
  CHECK(s.take<remove_file>().empty());
  s.state.release(1);
  CHECK(s.take<remove_file>().size() == 1);
  CHECK(!s.state.has("a"));
  CHECK(s.state.has("b"));
}
