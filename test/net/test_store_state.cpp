// What a node's store decides: memory, eviction, spilling, waiting, and the end of processes.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "net/store_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kib = 1024;
constexpr process_id node = 1;
constexpr process_id a = 10;
constexpr process_id b = 20;

/// A store whose effects are kept by kind; spills and restores succeed when `settle_io` is called.
class store {
 public:
  explicit store(std::uint64_t capacity = 64 * kib, std::uint64_t spill = std::uint64_t{1} << 40)
      : state({.self = node, .capacity = capacity, .spill_capacity = spill, .spill_place = "/x"}) {}

  store_ticket create(process_id client, std::uint64_t size, process_id owner = 0,
                      std::chrono::milliseconds patience = 1s) {
    const store_ticket t = ++last;
    state.create(now, client, t, size, {owner == 0 ? client : owner, "test"}, patience);
    work();
    return t;
  }
  /// Made and sealed.
  stored_id put(process_id client, std::uint64_t size, process_id owner = 0) {
    const store_ticket t = create(client, size, owner);
    REQUIRE(created.contains(t));
    seal(client, created.at(t).id);
    return created.at(t).id;
  }
  void seal(process_id client, stored_id id) {
    state.seal(now, client, id);
    work();
  }
  store_ticket pin(process_id client, stored_id id) {
    const store_ticket t = ++last;
    state.pin(now, client, t, id);
    work();
    return t;
  }
  void unpin(process_id client, stored_id id) {
    state.unpin(client, id);
    work();
  }
  void drop(stored_id id) {
    state.drop(id);
    work();
  }
  void gone(process_id who) {
    state.process_gone(who);
    work();
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    state.tick(now);
    work();
  }
  void settle_io(const std::string& failure = {}) {
    for (const auto& one : std::exchange(spills, {})) state.spilled(now, one.id, failure);
    for (const auto& one : std::exchange(restores, {})) state.restored(one.id, failure);
    work();
  }
  void work() {
    for (auto& effect : state.take_effects(now)) std::visit([this](auto& e) { note(e); }, effect);
  }

  void note(const answer_created& e) { created[e.ticket] = e; }
  void note(const answer_pinned& e) { pinned[e.ticket] = e; }
  void note(const answer_refused& e) { refused[e.ticket] = e; }
  void note(const spill_block& e) { spills.push_back(e); }
  void note(const restore_block& e) { restores.push_back(e); }
  void note(const discard_file_block&) {}
  void note(const begin_pull& e) { pulls.push_back(e.id); }
  void note(const receive_into& e) { receiving.push_back(e); }
  void note(const stop_pull& e) { stopped.push_back(e.id); }
  void note(const copy_evicted& e) { evicted.push_back(e.id); }
  void note(const value_sealed& e) { sealed.push_back(e.id); }
  void note(const value_freed& e) { freed.push_back(e.id); }

  store_state::time now{};
  store_state state;
  store_ticket last = 0;
  std::map<store_ticket, answer_created> created;
  std::map<store_ticket, answer_pinned> pinned;
  std::map<store_ticket, answer_refused> refused;
  std::vector<spill_block> spills;
  std::vector<restore_block> restores;
  std::vector<stored_id> pulls, stopped, evicted, sealed, freed;
  std::vector<receive_into> receiving;
};

}  // namespace

TEST_CASE("a value is read where it was written, and its block is free when its owner drops it") {
  store s;
  const stored_id id = s.put(a, 10 * kib);
  const auto t = s.pin(b, id);
  REQUIRE(s.pinned.contains(t));
  CHECK(s.pinned.at(t).size == 10 * kib);
  s.drop(id);
  CHECK(s.state.usage().used == 10 * kib);  // b reads it still
  s.unpin(b, id);
  CHECK(s.state.usage().used == 0);
  CHECK(s.freed == std::vector{id});
}

TEST_CASE("a reader waits until the value is sealed") {
  store s;
  const auto t = s.create(a, kib);
  const stored_id id = s.created.at(t).id;
  const auto p = s.pin(b, id);
  CHECK_FALSE(s.pinned.contains(p));
  CHECK(s.state.is_being_written(id));
  CHECK(s.state.size_of(id) == 0);
  s.seal(a, id);
  CHECK(s.pinned.contains(p));
  CHECK_FALSE(s.state.is_being_written(id));
  CHECK(s.sealed == std::vector{id});
}

TEST_CASE("what a process was writing goes with it, and those who waited for it are told") {
  store s;
  const auto t = s.create(a, kib, b);
  const auto p = s.pin(b, s.created.at(t).id);
  s.gone(a);
  CHECK(s.state.usage().used == 0);
  REQUIRE(s.refused.contains(p));
  CHECK(s.refused.at(p).why == store_refusal::lost);
}

TEST_CASE("pins of a process that dies hold nothing") {
  store s;
  const stored_id id = s.put(a, kib);
  s.pin(b, id);
  s.pin(b, id);
  s.drop(id);
  s.gone(b);
  CHECK(s.state.usage().used == 0);
}

TEST_CASE("what is dropped while it is written is gone when it is sealed") {
  store s;
  const stored_id id = s.created.at(s.create(a, kib, b)).id;
  s.drop(id);
  CHECK(s.state.usage().used > 0);
  s.seal(a, id);
  CHECK(s.state.usage().used == 0);
  CHECK(s.state.items().empty());
}

TEST_CASE("a process that has left and not ended keeps what it reads and writes in place") {
  store s;
  const stored_id read = s.put(a, kib);
  const stored_id own = s.put(b, kib);
  const auto written = s.create(b, kib, a);
  s.pin(b, read);
  s.drop(read);
  s.state.owner_gone(b);
  s.work();
  CHECK(s.freed == std::vector{own});
  CHECK(s.state.usage().used == 2 * kib);
  s.seal(b, s.created.at(written).id);
  CHECK(s.state.size_of(s.created.at(written).id) == kib);
  s.gone(b);
  CHECK(s.freed == std::vector{own, read});
}

TEST_CASE("values go with their owner") {
  store s;
  s.put(a, kib);
  const stored_id of_b = s.put(a, kib, b);
  s.state.claim(of_b);
  s.gone(a);
  CHECK(s.state.usage().values == 1);
  s.gone(b);
  CHECK(s.state.usage().values == 0);
  const auto late = s.create(30, kib, b);  // its maker has not heard of it yet
  s.seal(30, s.created.at(late).id);
  CHECK(s.state.usage().values == 0);
}

TEST_CASE("a result that its owner does not claim is freed in time, also when its maker has died") {
  store s;
  const stored_id unknown = s.put(a, kib, b);
  const stored_id known = s.put(a, kib, b);
  s.gone(a);
  CHECK(s.state.wants_ticks());
  s.state.claim(known);
  s.pass(299s);
  CHECK(s.state.holds(unknown));
  s.pass(2s);
  CHECK_FALSE(s.state.wants_ticks());
  CHECK_FALSE(s.state.holds(unknown));
  CHECK(s.state.holds(known));
}

TEST_CASE("a full store spills what was used longest ago, and brings it back for a reader") {
  store s;
  const stored_id first = s.put(a, 30 * kib);
  const stored_id second = s.put(a, 30 * kib);
  s.pin(b, first);
  s.unpin(b, first);
  const auto third = s.create(a, 30 * kib);
  CHECK_FALSE(s.created.contains(third));
  REQUIRE(s.spills.size() == 1);
  CHECK(s.spills[0].id == second);
  s.settle_io();
  REQUIRE(s.created.contains(third));
  s.seal(a, s.created.at(third).id);
  CHECK(s.state.usage().spilled == 30 * kib);

  const auto p = s.pin(b, second);
  REQUIRE(s.spills.size() == 1);  // room for it
  s.settle_io();
  REQUIRE(s.restores.size() == 1);
  s.settle_io();
  CHECK(s.pinned.contains(p));
}

TEST_CASE("what lies in the file as well leaves memory without being written again") {
  store s;
  const stored_id first = s.put(a, 40 * kib);
  const stored_id second = s.put(a, 20 * kib);
  const auto third = s.create(a, 40 * kib);
  s.settle_io();
  REQUIRE(s.created.contains(third));
  s.state.abort(a, s.created.at(third).id);
  const auto p = s.pin(b, first);
  s.settle_io();
  REQUIRE(s.pinned.contains(p));
  s.unpin(b, first);
  CHECK(s.state.usage().spills == 1);
  const auto fourth = s.create(a, 40 * kib);
  CHECK(s.created.contains(fourth));
  CHECK(s.spills.empty());
  CHECK(s.state.in_memory(second));
}

TEST_CASE("what is being read is neither evicted nor spilled: a put waits, then is refused") {
  store s;
  const stored_id id = s.put(a, 60 * kib);
  s.pin(b, id);
  const auto waits = s.create(a, 30 * kib);
  const auto waits_longer = s.create(a, 30 * kib, 0, 10s);
  CHECK(s.spills.empty());
  s.pass(1s);
  REQUIRE(s.refused.contains(waits));
  CHECK(s.refused.at(waits).why == store_refusal::full);
  CHECK(s.refused.at(waits).text.find("60 KiB are being read") != std::string::npos);
  s.unpin(b, id);
  s.settle_io();
  CHECK(s.created.contains(waits_longer));
}

TEST_CASE("a value larger than the store is refused at once") {
  store s;
  const auto t = s.create(a, 65 * kib);
  REQUIRE(s.refused.contains(t));
  CHECK(s.refused.at(t).why == store_refusal::too_large);
  CHECK(s.refused.at(t).text.find("--object-store-memory") != std::string::npos);
}

TEST_CASE("a disk that is full keeps values in memory, and is named when a put fails for it") {
  store s;
  const stored_id id = s.put(a, 60 * kib);
  const auto t = s.create(a, 30 * kib);
  s.settle_io("No space left on device");
  CHECK(s.state.in_memory(id));
  CHECK(s.spills.empty());  // not again at once
  s.pass(1s);
  REQUIRE(s.refused.contains(t));
  CHECK(s.refused.at(t).text.find("No space left on device") != std::string::npos);
  const auto again = s.create(a, 30 * kib);
  s.settle_io();
  CHECK(s.created.contains(again));
}

TEST_CASE("a store that may not spill waits and refuses") {
  store s(64 * kib, 0);
  s.put(a, 60 * kib);
  const auto t = s.create(a, 30 * kib);
  CHECK(s.spills.empty());
  s.pass(1s);
  CHECK(s.refused.contains(t));
}

TEST_CASE("a reader that comes while a value is spilled reads it in memory") {
  store s;
  const stored_id id = s.put(a, 40 * kib);
  const auto t = s.create(a, 40 * kib);
  REQUIRE(s.spills.size() == 1);
  const auto p = s.pin(b, id);
  CHECK(s.pinned.contains(p));
  s.settle_io();
  CHECK_FALSE(s.created.contains(t));
  s.unpin(b, id);
  CHECK(s.created.contains(t));
}

TEST_CASE("what is dropped while it is copied goes when the copy is done") {
  store s;
  const stored_id id = s.put(a, 40 * kib);
  s.create(a, 40 * kib);
  s.drop(id);
  CHECK(s.state.holds(id));
  s.settle_io();
  CHECK_FALSE(s.state.holds(id));
  CHECK(s.state.usage().spilled == 0);
}

TEST_CASE("readers of another node's value share one pull") {
  store s;
  const stored_id far{2, 7};
  const auto p = s.pin(a, far);
  const auto q = s.pin(b, far);
  CHECK(s.pulls == std::vector{far});
  s.state.pull_located(s.now, far, 5 * kib);
  s.work();
  REQUIRE(s.receiving.size() == 1);
  s.state.pulled(far);
  s.work();
  CHECK(s.pinned.contains(p));
  CHECK(s.pinned.contains(q));
  s.pin(a, far);
  CHECK(s.pulls.size() == 1);
}

TEST_CASE("a pull that nobody waits for any more is stopped, and its memory is free") {
  store s;
  const stored_id far{2, 7};
  const auto p = s.pin(a, far);
  s.pin(b, far);
  s.state.pull_located(s.now, far, 5 * kib);
  s.work();
  s.state.cancel(p);
  s.work();
  CHECK(s.stopped.empty());
  s.gone(b);
  CHECK(s.stopped == std::vector{far});
  CHECK(s.state.usage().used == 0);
  s.state.pulled(far);  // too late
  CHECK_FALSE(s.state.holds(far));
}

TEST_CASE("a value of another node that is larger than the store is refused each time, not lost") {
  store s(64 * kib);
  const stored_id far{2, 7};
  for (std::size_t i = 1; i <= 2; ++i) {
    const auto p = s.pin(a, far);
    CHECK(s.pulls.size() == i);
    s.state.pull_located(s.now, far, 65 * kib);
    s.work();
    CHECK(s.stopped.size() == i);
    REQUIRE(s.refused.contains(p));
    CHECK(s.refused.at(p).why == store_refusal::too_large);
  }
}

TEST_CASE("a value that its node has no memory to read back is not lost") {
  store s;
  const stored_id far{2, 7};
  const auto p = s.pin(a, far);
  s.state.pull_failed(far, "no memory", store_refusal::full);
  s.work();
  REQUIRE(s.refused.contains(p));
  CHECK(s.refused.at(p).why == store_refusal::full);
}

TEST_CASE("copies of other nodes' values are evicted first") {
  store s;
  const stored_id far{2, 7};
  s.pin(b, far);
  s.state.pull_located(s.now, far, 30 * kib);
  s.work();
  s.state.pulled(far);
  s.work();
  s.unpin(b, far);
  const stored_id own = s.put(a, 30 * kib);
  s.put(a, 20 * kib);
  CHECK(s.evicted == std::vector{far});
  CHECK(s.state.in_memory(own));
  CHECK(s.spills.empty());
}

TEST_CASE("a value that its node does not know is lost") {
  store s;
  const auto p = s.pin(a, {node, 99});
  REQUIRE(s.refused.contains(p));
  CHECK(s.refused.at(p).why == store_refusal::lost);
}

TEST_CASE("whatever happens in whatever order, all memory is free when all processes are gone") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::minstd_rand random(seed);
    store s(64 * kib, seed % 3 == 0 ? 96 * kib : std::uint64_t{1} << 30);
    const std::vector<process_id> processes{10, 11, 12, 13};
    std::set<process_id> alive(processes.begin(), processes.end());
    std::vector<stored_id> known;
    std::map<store_ticket, process_id> maker;
    std::map<store_ticket, process_id> reader;
    for (int step = 0; step < 400; ++step) {
      const process_id who = processes[random() % processes.size()];
      if (!alive.contains(who)) continue;
      switch (random() % 12) {
        case 0:
        case 1:
        case 2:
          maker[s.create(who, 1 + random() % (30 * kib), processes[random() % processes.size()])] =
              who;
          break;
        case 3:
        case 4: {
          const stored_id id = random() % 8 == 0 || known.empty() ? stored_id{2, 1 + random() % 5}
                                                                  : known[random() % known.size()];
          reader[s.pin(who, id)] = who;
          break;
        }
        case 5:
          if (!s.pinned.empty()) {
            auto at = std::next(s.pinned.begin(), static_cast<long>(random() % s.pinned.size()));
            s.unpin(reader[at->first], at->second.id);
            s.pinned.erase(at);
          }
          break;
        case 6:
          if (!known.empty() && random() % 2 == 0) s.drop(known[random() % known.size()]);
          break;
        case 7:
          s.settle_io(random() % 4 == 0 ? "broken" : "");
          break;
        case 8:
          s.pass(std::chrono::milliseconds(random() % 700));
          break;
        case 9:
          for (const auto id : std::exchange(s.pulls, {})) {
            if (random() % 3 == 0) {
              s.state.pull_failed(id, "gone");
            } else {
              s.state.pull_located(s.now, id, 1 + random() % (20 * kib));
            }
          }
          s.work();
          for (const auto& one : std::exchange(s.receiving, {})) s.state.pulled(one.id);
          s.work();
          break;
        case 10:
          s.state.cancel(1 + random() % (s.last + 1));
          s.work();
          break;
        default:
          if (random() % 12 == 0) {
            alive.erase(who);
            s.gone(who);
          }
      }
      for (const auto& [ticket, one] : std::exchange(s.created, {})) {
        if (random() % 8 == 0) {
          s.state.abort(maker[ticket], one.id);
        } else if (random() % 8 != 0) {
          s.seal(maker[ticket], one.id);
          known.push_back(one.id);
        }
      }
      REQUIRE(s.state.usage().used <= 64 * kib);
    }
    for (const process_id who : processes) s.gone(who);
    for (int i = 0; i < 50; ++i) {
      s.settle_io();
      for (const auto id : std::exchange(s.pulls, {})) s.state.pull_failed(id, "gone");
      s.pass(2s);
    }
    // Copies of other nodes' values may stay: a put evicts them.
    s.settle_io();
    for (const auto& item : s.state.items()) CHECK(item.copy);
    const auto all = s.create(50, 64 * kib);
    CHECK(s.created.contains(all));
  }
}
