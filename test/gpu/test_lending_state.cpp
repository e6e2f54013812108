// How long lent device memory is kept, and for whom.
#include <chrono>
#include <vector>

#include "gpu/lending_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::gpu;

namespace {

using memories = std::vector<memory_id>;
const lending_state::time begin{};
const auto too_late = begin + lending_state::patience;

}  // namespace

TEST_CASE("a loan is kept from its claim until it is given back") {
  lending_state state;
  const loan_id loan = state.lend(begin, 7);
  CHECK(state.claim(1, loan));
  CHECK(state.find(1, loan) == memory_id{7});
  state.expire(too_late);
  CHECK(state.take_free().empty());
  state.give_back(1, loan);
  CHECK(state.take_free() == memories{7});
  CHECK(state.take_free().empty());
  CHECK(state.size() == 0);
}

TEST_CASE("a loan that nobody claims ends after a while") {
  lending_state state;
  const loan_id loan = state.lend(begin, 7);
  CHECK(state.next_expiry() == too_late);
  state.expire(too_late - std::chrono::milliseconds(1));
  CHECK(state.take_free().empty());
  state.expire(too_late);
  CHECK(state.take_free() == memories{7});
  CHECK_FALSE(state.claim(1, loan));
  CHECK_FALSE(state.next_expiry());
}

TEST_CASE("a loan is one borrower's") {
  lending_state state;
  const loan_id loan = state.lend(begin, 7);
  CHECK(state.claim(1, loan));
  CHECK_FALSE(state.claim(2, loan));
  CHECK_FALSE(state.find(2, loan));
  state.give_back(2, loan);
  CHECK(state.take_free().empty());
  CHECK_FALSE(state.claim(1, 99));
}

TEST_CASE("what a borrower passes on outlives its own loan") {
  lending_state state;
  const loan_id first = state.lend(begin, 7);
  state.claim(1, first);
  const auto second = state.lend_again(begin, 1, first);
  REQUIRE(second);
  state.give_back(1, first);
  CHECK(state.take_free().empty());
  CHECK(state.claim(2, *second));
  state.give_back(2, *second);
  CHECK(state.take_free() == memories{7});
  CHECK_FALSE(state.lend_again(begin, 1, first));
}

TEST_CASE("the end of a borrower gives back what it had, and nothing else") {
  lending_state state;
  const loan_id first = state.lend(begin, 7);
  const loan_id second = state.lend(begin, 8);
  const loan_id third = state.lend(begin, 7);
  state.claim(1, first);
  state.claim(1, second);
  state.claim(2, third);
  state.gone(1);
  CHECK(state.take_free() == memories{8});
  state.gone(2);
  CHECK(state.take_free() == memories{7});
}
