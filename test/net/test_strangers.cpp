// What is decided about those who knock: pure, without sockets.
#include "net/connection_watch.hpp"
#include "net/knocking.hpp"
#include "test/support/catch.hpp"

using namespace std::chrono_literals;
using namespace troupe::net;

TEST_CASE("connections that end are told apart by what was heard of them") {
  connection_watch watch;
  watch.accepted(5, "five");
  CHECK(watch.ended(5) == "five");  // never shook hands
  CHECK_FALSE(watch.ended(5));

  watch.accepted(5, "five");
  watch.shook_hands();
  watch.heard(5, "key");
  CHECK_FALSE(watch.ended(5));

  watch.accepted(5, "five");
  watch.shook_hands();
  CHECK_FALSE(watch.ended(5));  // had nothing to say

  watch.accepted(5, "five");
  watch.accepted(6, "six");
  watch.shook_hands();
  watch.failed();
  CHECK(watch.ended(6) == "six");
  CHECK_FALSE(watch.ended(5));

  watch.accepted(7, "seven");
  watch.refused_by_gatekeeper();  // counted there
  CHECK_FALSE(watch.ended(7));
}

TEST_CASE("connections are found by the key that they were heard under") {
  connection_watch watch;
  watch.accepted(5, "five");
  watch.accepted(6, "six");
  watch.accepted(7, "seven");
  watch.heard(5, "old");
  watch.heard(6, "new");
  const auto found = watch.heard_without([](const std::string& key) { return key == "new"; });
  CHECK(found == std::vector<connection_watch::open_connection>{{5, "five"}});
  CHECK(watch.unheard() == std::vector<connection_watch::open_connection>{{7, "seven"}});
}

TEST_CASE("of too many connections that say nothing the oldest is found") {
  connection_watch watch;
  watch.accepted(9, "first");
  watch.accepted(5, "second");
  watch.accepted(7, "third");
  CHECK_FALSE(watch.silent_too_long(3));
  CHECK(watch.silent_too_long(2)->address == "first");
  watch.heard(9, "key");
  CHECK_FALSE(watch.silent_too_long(2));
  CHECK(watch.silent_too_long(1)->descriptor == 5);
}

TEST_CASE("each host that knocks is logged once a second") {
  knocking all;
  const knocking::time_point start{};
  CHECK(all.came("10.0.0.1:5000", start) == 0);
  CHECK_FALSE(all.came("10.0.0.1:5001", start + 500ms));
  CHECK_FALSE(all.came("10.0.0.1", start + 600ms));
  CHECK(all.came("[::1]:7", start + 600ms) == 0);
  CHECK(all.came("::1", start + 600ms) == 0);
  CHECK(all.came("10.0.0.1:5002", start + 1s) == 2);
  CHECK(all.came("10.0.0.1:5003", start + 2s) == 0);
}

TEST_CASE("hosts beyond the bound share one turn") {
  knocking all;
  const knocking::time_point start{};
  for (std::size_t i = 0; i < knocking::most_hosts; ++i) {
    REQUIRE(all.came("host" + std::to_string(i), start) == 0);
  }
  CHECK(all.came("one more", start) == 0);
  CHECK_FALSE(all.came("and another", start));
  CHECK(all.came("later", start + 1s) == 0);  // the others are forgotten by then
}
