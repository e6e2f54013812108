// Which streams wait for which.
#include <vector>

#include "gpu/order_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::gpu;

namespace {

using lanes = std::vector<lane_id>;

/// Three lanes, and work that uses arrays there.
struct world {
  world() {
    for (int i = 0; i < 3; ++i) order.add_lane();
  }
  lanes reads(lane_id on, use_marks& what) { return work(on, what, false); }
  lanes writes(lane_id on, use_marks& what) { return work(on, what, true); }
  lanes work(lane_id on, use_marks& what, bool write) {
    lanes waits = order.use(on, what, write);
    order.enqueued(on);
    return waits;
  }
  order_state order;
  use_marks a;
  use_marks b;
};

}  // namespace

TEST_CASE("work on one stream waits for nothing") {
  world w;
  CHECK(w.writes(0, w.a).empty());
  CHECK(w.reads(0, w.a).empty());
  CHECK(w.writes(0, w.a).empty());
}

TEST_CASE("a read on another stream waits for the write, once") {
  world w;
  w.writes(0, w.a);
  CHECK(w.reads(1, w.a) == lanes{0});
  CHECK(w.reads(1, w.a).empty());
  w.writes(0, w.b);
  CHECK(w.reads(1, w.b) == lanes{0});
}

TEST_CASE("reads do not wait for reads") {
  world w;
  CHECK(w.reads(0, w.a).empty());
  CHECK(w.reads(1, w.a).empty());
  CHECK(w.reads(2, w.a).empty());
}

TEST_CASE("a write waits for all reads since the last write, and only for those") {
  world w;
  w.writes(0, w.a);
  w.reads(1, w.a);
  w.reads(2, w.a);
  CHECK(w.writes(0, w.a) == lanes{1, 2});
  CHECK(w.writes(1, w.a) == lanes{0});
}

TEST_CASE("a wait covers what was enqueued before, whichever array it used") {
  world w;
  w.writes(0, w.a);
  w.writes(0, w.b);
  CHECK(w.reads(1, w.a) == lanes{0});
  CHECK(w.reads(1, w.b).empty());
}

TEST_CASE("a wait covers what the other stream has waited for") {
  world w;
  w.writes(0, w.a);
  CHECK(w.reads(1, w.a) == lanes{0});
  w.writes(1, w.b);
  CHECK(w.reads(2, w.b) == lanes{1});
  CHECK(w.reads(2, w.a).empty());
}

TEST_CASE("what one piece of work reads and writes waits for itself never") {
  world w;
  CHECK(w.order.use(0, w.a, true).empty());
  CHECK(w.order.use(0, w.a, false).empty());
  w.order.enqueued(0);
  CHECK(w.a.readers.empty());
  CHECK(w.reads(1, w.a) == lanes{0});
}

TEST_CASE("a stream that is made later waits like the others") {
  world w;
  w.writes(0, w.a);
  const lane_id later = w.order.add_lane();
  CHECK(w.reads(later, w.a) == lanes{0});
  CHECK(w.writes(0, w.a) == lanes{later});
}

TEST_CASE("marks stay few however often an array is read") {
  world w;
  for (int i = 0; i < 1000; ++i) w.reads(static_cast<lane_id>(i % 3), w.a);
  CHECK(w.a.readers.size() == 3);
}
