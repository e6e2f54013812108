// Which task goes to which lease, and what becomes of it when the lease is lost.
#include <algorithm>
#include <deque>
#include <memory>

#include "net/task_flight_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using namespace std::chrono_literals;

namespace {

using state = task_flight_state<const int*>;

constexpr process_id node = 1;
constexpr process_id worker = 2;
constexpr process_id other_worker = 3;

/// A line with tasks, whose ids are their places.
struct fixture {
  state flights;
  state::line line;
  std::deque<int> all;
  std::deque<const int*> waiting;
  state::time now{};

  void add(int count) {
    for (int i = 0; i < count; ++i) {
      all.push_back(static_cast<int>(all.size()) + 1);
      waiting.push_back(&all.back());
    }
  }
  std::vector<process_id> crowded;
  std::vector<state::departure> fill() {
    std::vector<state::departure> leaving;
    flights.fill(
        line,
        [this]() -> std::pair<const int*, std::uint64_t> {
          if (waiting.empty()) return {nullptr, 0};
          const int* const next = waiting.front();
          waiting.pop_front();
          return {next, static_cast<std::uint64_t>(*next)};
        },
        [this](process_id to) {
          return std::find(crowded.begin(), crowded.end(), to) == crowded.end();
        },
        leaving);
    return leaving;
  }
  std::vector<state::stranded> lose(process_id gone) {
    std::vector<state::stranded> tasks;
    flights.process_gone(line, gone, tasks);
    return tasks;
  }
};

}  // namespace

TEST_CASE("one request for a lease is open at a time") {
  fixture f;
  CHECK(f.flights.ask(f.line));
  CHECK_FALSE(f.flights.ask(f.line));
  f.flights.granted(f.line, 1, node, worker);
  CHECK(f.flights.ask(f.line));
}

TEST_CASE("tasks are dealt to leases in turn, as many as their windows hold") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.flights.granted(f.line, 2, node, other_worker);
  f.add(10);
  const auto leaving = f.fill();
  REQUIRE(leaving.size() == 4);
  CHECK(leaving[0].worker == worker);
  CHECK(leaving[1].worker == other_worker);
  CHECK(leaving[2].worker == worker);
  CHECK(f.waiting.size() == 6);
  CHECK(f.fill().empty());
}

TEST_CASE("a worker that takes no more gets one task, and others get theirs") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.flights.granted(f.line, 2, node, other_worker);
  f.crowded = {worker};
  f.add(10);
  const auto leaving = f.fill();
  REQUIRE(leaving.size() == 3);
  CHECK(std::count_if(leaving.begin(), leaving.end(),
                      [](const auto& one) { return one.worker == worker; }) == 1);
}

TEST_CASE("a task that ends makes room, and ends once") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.add(5);
  f.fill();
  CHECK(*f.flights.done(1, f.now)->task == 1);
  CHECK_FALSE(f.flights.done(1, f.now));
  CHECK_FALSE(f.flights.done(99, f.now));
  CHECK(f.fill().size() == 1);
  CHECK(f.flights.in_flight() == 2);
}

TEST_CASE("of the tasks of a dead worker the oldest was running, and the others had not begun") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.flights.granted(f.line, 2, node, other_worker);
  f.add(4);
  f.fill();
  f.flights.done(1, f.now);
  f.add(1);
  f.fill();
  const auto lost = f.lose(worker);
  REQUIRE(lost.size() == 2);
  CHECK(*lost[0].task == 3);
  CHECK(lost[0].was_running);
  CHECK(*lost[1].task == 5);
  CHECK_FALSE(lost[1].was_running);
  CHECK(f.line.leases.size() == 1);
  CHECK_FALSE(f.flights.find(3));
  CHECK(f.flights.find(2)->by->worker == other_worker);
  CHECK(f.lose(worker).empty());
}

TEST_CASE("leases of a node that is gone are lost with their tasks") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.add(2);
  f.fill();
  CHECK(f.lose(node).size() == 2);
  CHECK(f.line.leases.empty());
}

TEST_CASE("a process that is cut off loses all its leases") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.flights.granted(f.line, 2, 9, other_worker);
  f.add(4);
  f.fill();
  std::vector<state::stranded> tasks;
  f.flights.cut_off(f.line, tasks);
  CHECK(tasks.size() == 4);
  CHECK(f.line.leases.empty());
  CHECK(f.flights.in_flight() == 0);
}

TEST_CASE("a lease that stays idle is given back, one that found work is kept") {
  fixture f;
  state::lease& one = f.flights.granted(f.line, 1, node, worker);
  CHECK(f.flights.watch_idle(one));
  CHECK_FALSE(f.flights.watch_idle(one));
  f.add(1);
  f.fill();
  CHECK_FALSE(f.flights.idle_over(f.line, node, 1));
  f.flights.done(1, f.now);
  CHECK(f.flights.watch_idle(one));
  CHECK(f.flights.idle_over(f.line, node, 1));
  CHECK(f.line.leases.empty());
  CHECK_FALSE(f.flights.idle_over(f.line, node, 1));
}

TEST_CASE("a task that a worker sends back has left its lease") {
  fixture f;
  f.flights.granted(f.line, 1, node, worker);
  f.add(2);
  f.fill();
  CHECK(*f.flights.returned(1)->task == 1);
  const auto lost = f.lose(worker);
  REQUIRE(lost.size() == 1);
  CHECK(*lost[0].task == 2);
  CHECK(lost[0].was_running);
}

TEST_CASE("what was running when its worker died uses up a retry, what had not begun does not") {
  CHECK(decide_after_death(3, 0, true) == after_death::again_alone);
  CHECK(decide_after_death(3, 3, true) == after_death::fail);
  CHECK(decide_after_death(-1, 1000, true) == after_death::again_alone);
  CHECK(decide_after_death(3, 3, false) == after_death::again);
}

TEST_CASE("a task that must not run twice is not run again, whatever is known of it") {
  CHECK(decide_after_death(0, 0, true) == after_death::fail);
  // Its answer may have been lost.
  CHECK(decide_after_death(0, 0, false) == after_death::fail);
}
