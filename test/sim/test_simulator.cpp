// What the simulator promises of itself: a seed is a run, and runs differ.
// ctest: TIMEOUT 300
#include "test/sim/simulation.hpp"
#include "test/support/catch.hpp"

using namespace troupe::sim;

namespace {

result run_seed(std::uint64_t seed) {
  settings wanted;
  wanted.seed = seed;
  return run(wanted);
}

}  // namespace

TEST_CASE("the same seed gives exactly the same run", "[replay]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const result once = run_seed(seed);
    const result again = run_seed(seed);
    INFO("seed " << seed);
    CHECK(once.digest == again.digest);
    CHECK(once.events == again.events);
    CHECK(once.broken == again.broken);
  }
}

TEST_CASE("a trace changes nothing of a run") {
  settings wanted;
  wanted.seed = 3;
  std::size_t lines = 0;
  wanted.trace = [&](troupe::sim::time, const std::string&) { ++lines; };
  CHECK(run(wanted).digest == run_seed(3).digest);
  CHECK(lines > 100);
}

TEST_CASE("different seeds give different runs") {
  CHECK(run_seed(1).digest != run_seed(2).digest);
}

TEST_CASE("a cluster without faults runs every task that did not fail") {
  settings wanted;
  wanted.seed = 7;
  wanted.nodes = 40;
  wanted.busy = 2s;
  wanted.faults = false;
  const result r = run(wanted);
  CHECK_FALSE(r.broken);
  CHECK(r.nodes == 40);
  CHECK(r.work.tasks > 100);
  CHECK(r.work.executions >= r.work.tasks - r.work.errors);
}

TEST_CASE("seeds with faults lose connections, and messages are sent again") {
  result sum;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const result r = run_seed(seed);
    sum.sent.broken += r.sent.broken;
    sum.sent.frames_lost += r.sent.frames_lost;
    sum.sent.resent += r.sent.resent;
    sum.sent.duplicates += r.sent.duplicates;
    sum.faults.workers_killed += r.faults.workers_killed;
  }
  CHECK(sum.sent.broken > 0);
  CHECK(sum.sent.frames_lost > 0);
  CHECK(sum.sent.resent > 0);
  CHECK(sum.sent.duplicates > 0);
  CHECK(sum.faults.workers_killed > 0);
}
