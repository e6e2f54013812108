// Which events are recorded, and which work they end.
#include <chrono>
#include <vector>

#include "gpu/completion_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::gpu;

namespace {

using lanes = std::vector<std::size_t>;

}  // namespace

TEST_CASE("nothing is watched where nothing was enqueued") {
  completion_state state;
  state.add_lane();
  CHECK(state.idle());
  CHECK(state.to_record().empty());
  CHECK(state.to_query().empty());
}

TEST_CASE("one event ends all work that was enqueued before it") {
  completion_state state;
  const std::size_t lane = state.add_lane();
  for (int i = 0; i < 1000; ++i) state.added(lane);
  CHECK(state.to_record() == lanes{lane});
  state.recorded(lane);
  CHECK(state.to_record().empty());
  CHECK(state.to_query() == lanes{lane});
  CHECK(state.happened(lane) == 1000);
  CHECK(state.idle());
}

TEST_CASE("work that came after an event waits for the next one") {
  completion_state state;
  const std::size_t lane = state.add_lane();
  state.added(lane);
  state.recorded(lane);
  state.added(lane);
  state.added(lane);
  CHECK(state.to_record().empty());  // one is on its way
  CHECK(state.happened(lane) == 1);
  CHECK_FALSE(state.idle());
  CHECK(state.to_query().empty());
  CHECK(state.to_record() == lanes{lane});
  state.recorded(lane);
  CHECK(state.happened(lane) == 2);
}

TEST_CASE("lanes end apart from each other") {
  completion_state state;
  const std::size_t first = state.add_lane();
  const std::size_t second = state.add_lane();
  state.added(first);
  state.added(second);
  CHECK(state.to_record() == lanes{first, second});
  state.recorded(first);
  state.recorded(second);
  CHECK(state.happened(second) == 1);
  CHECK(state.to_query() == lanes{first});
}

TEST_CASE("a failure ends all work of its lane, with and without an event") {
  completion_state state;
  const std::size_t lane = state.add_lane();
  state.added(lane);
  state.recorded(lane);
  state.added(lane);
  CHECK(state.failed(lane) == 2);
  CHECK(state.idle());
  CHECK(state.to_query().empty());
}

TEST_CASE("the watch begins eagerly and costs less the longer it takes") {
  using namespace std::chrono_literals;
  CHECK(pause_between_looks(0us) == 0ns);
  CHECK(pause_between_looks(49us) == 0ns);
  CHECK(pause_between_looks(80us) == 10us);
  CHECK(pause_between_looks(1ms) == 125us);
  CHECK(pause_between_looks(1h) == 500us);
}
