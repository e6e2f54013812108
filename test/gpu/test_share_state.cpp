// How much memory the holders of parts of a device may have.
#include "gpu/share_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::gpu;

namespace {

const share_holder task{false, 1};
const share_holder actor{true, 1};

}  // namespace

TEST_CASE("a holder may have its part and not a byte more") {
  share_state state;
  CHECK_FALSE(state.take(0, task, 200, 0.25, 1000));
  CHECK_FALSE(state.take(0, task, 50, 0.25, 1000));
  CHECK(state.take(0, task, 1, 0.25, 1000) == 0U);
  CHECK(state.used(0, task) == 250);
}

TEST_CASE("what does not fit takes nothing and says what is left") {
  share_state state;
  CHECK_FALSE(state.take(0, task, 200, 0.5, 1000));
  CHECK(state.take(0, task, 301, 0.5, 1000) == 300U);
  CHECK(state.used(0, task) == 200);
}

TEST_CASE("what is given back can be taken again, and nobody is remembered for nothing") {
  share_state state;
  CHECK_FALSE(state.take(0, task, 500, 0.5, 1000));
  state.give_back(0, task, 500);
  CHECK(state.holders() == 0);
  CHECK_FALSE(state.take(0, task, 500, 0.5, 1000));
}

TEST_CASE("holders and devices are counted apart") {
  share_state state;
  CHECK_FALSE(state.take(0, task, 500, 0.5, 1000));
  CHECK_FALSE(state.take(0, actor, 500, 0.5, 1000));
  CHECK_FALSE(state.take(1, task, 500, 0.5, 1000));
  CHECK(state.holders() == 3);
}

TEST_CASE("parts that fill a device exactly fit exactly") {
  share_state state;
  constexpr std::uint64_t total = 150'754'820'096;  // an odd size, as devices report
  CHECK_FALSE(state.take(0, {false, 1}, total / 4, 0.25, total));
  CHECK_FALSE(state.take(0, {false, 2}, total / 4, 0.25, total));
  CHECK_FALSE(state.take(0, {false, 3}, total / 2, 0.5, total));
  CHECK(state.take(0, {false, 3}, 1, 0.5, total) == 0U);
}
