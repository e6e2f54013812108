// The rules by which the chaos judges: each is broken once here.
#include "test/chaos/history.hpp"

#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"

using namespace troupe::test;
using chaos::check_history;
using chaos::promise;

namespace {

const std::string first_life = "start 1 10 100\ncall 1 10 110 0\ncall 1 10 120 1\ntick 1 10 130\n";
const std::string second_life = "start 2 20 200\ncall 2 20 210 1\ncall 2 20 220 2\n";

std::string only(const std::vector<std::string>& wrong) {
  return wrong.size() == 1 ? wrong.front() : std::to_string(wrong.size()) + " findings";
}

}  // namespace

TEST_CASE("a history in which a call is repeated in another life is right when it was retried") {
  const std::string calls = "sent 0\nsent 1\nacked 0\nsent 2\nacked 1\nacked 2\n";
  CHECK(check_history("a", first_life + second_life, calls, promise::retried).empty());
  CHECK_THAT(only(check_history("a", first_life + second_life, calls, promise::at_most_once)),
             contains("call 1 ran 2 times"));
}

TEST_CASE("two lives at once are found, whichever wrote first") {
  const std::string calls = "sent 0\nsent 1\nacked 0\nacked 1\n";
  const std::string beside = "start 2 20 125\ntick 2 20 300\n";
  CHECK_THAT(only(check_history("a", beside + first_life, calls, promise::retried)),
             contains("process 1 was alive for 0 ms beside the next life in process 2"));
}

TEST_CASE("an answer to a call that never ran is found") {
  const std::string calls = "sent 0\nsent 1\nacked 0\nacked 1\nsent 2\nacked 2\n";
  CHECK_THAT(only(check_history("a", first_life, calls, promise::at_most_once)),
             contains("call 2 was answered and never ran"));
}

TEST_CASE("a call that failed may have run or not, but only when it was not to be retried") {
  const std::string calls = "sent 0\nsent 1\nacked 0\nfailed 1\nsent 2\nfailed 2\n";
  CHECK(check_history("a", first_life, calls, promise::at_most_once).empty());
  CHECK(check_history("a", first_life, calls, promise::retried).size() == 2);
}

TEST_CASE("calls out of order, left out, doubled in one life, or never sent are found") {
  const std::string calls = "sent 0\nsent 1\nsent 2\n";
  CHECK_THAT(
      only(check_history("a", "call 1 10 100 1\ncall 1 10 110 0\n", calls, promise::at_most_once)),
      contains("call 0 ran after call 1"));
  CHECK_THAT(
      only(check_history("a", "call 1 10 100 0\ncall 1 10 110 2\n", calls, promise::retried)),
      contains("call 2 ran before call 1"));
  CHECK_THAT(
      only(check_history("a", "call 1 10 100 0\ncall 1 10 110 0\n", calls, promise::retried)),
      contains("call 0 ran after call 0"));
  CHECK_THAT(only(check_history("a", "call 1 10 100 7\n", calls, promise::at_most_once)),
             contains("call 7 ran and was never sent"));
}
