// Processes that begin again under their id, as the head does.
#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "test/support/armed_faults.hpp"
#include "test/support/catch.hpp"
#include "test/support/endpoints.hpp"

using namespace troupe;
using namespace troupe::net;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr process_id head = 4711;

endpoint_options life(std::uint32_t epoch, endpoint_options options = {}) {
  options.id = head;
  options.epoch = epoch;
  return options;
}

}  // namespace

TEST_CASE("a process that begins again under its id is reached, and its peers are told once") {
  const temp_folder session;
  auto first = std::make_unique<test_process>(session, life(1));
  test_process a(session);
  a.endpoint.learn(first->endpoint.self());
  REQUIRE(a.endpoint.send(head, numbered(1)));
  REQUIRE(first->heard.wait(a.id(), 1));
  first.reset();
  // For the life that is over: it is not given to the next one.
  REQUIRE(a.endpoint.send(head, numbered(2)));
  test_process second(session, life(2));
  CHECK(a.heard.wait_renewed(head, 1) == std::vector<std::uint32_t>{2});
  REQUIRE(a.endpoint.send(head, numbered(3)));
  REQUIRE(second.heard.wait(a.id(), 1));
  const auto got = second.heard.taken(a.id());
  REQUIRE(got.size() == 1);
  CHECK(number_of(got[0]) == 3);
  CHECK(a.heard.times_unreachable(head) == 0);
}

TEST_CASE("a new life is noticed although what is sent to it took the signal of its answer") {
  const temp_folder session;
  auto first = std::make_unique<test_process>(session, life(1));
  test_process a(session);
  a.endpoint.learn(first->endpoint.self());
  REQUIRE(a.endpoint.send(head, numbered(1)));
  REQUIRE(first->heard.wait(a.id(), 1));
  first.reset();
  REQUIRE(eventually([&] { return !a.endpoint.is_connected(head); }));
  REQUIRE(a.endpoint.send(head, numbered(2)));
  // Until nobody looks after it any more, since the link is down.
  std::promise<void> later;
  a.endpoint.post_at(std::chrono::steady_clock::now() + 500ms, [&] { later.set_value(); });
  later.get_future().wait();
  const armed_faults held_up("link.held_up_after_hello=always");
  const test_process second(session, life(2));
  CHECK(a.heard.wait_renewed(head, 1) == std::vector<std::uint32_t>{2});
}

TEST_CASE("the first word of a new life tells of it, and is heard from its first message on") {
  const temp_folder session;
  auto first = std::make_unique<test_process>(session, life(1));
  test_process a(session);
  first->endpoint.learn(a.endpoint.self());
  for (std::uint64_t i = 0; i < 100; ++i) REQUIRE(first->endpoint.send(a.id(), numbered(i)));
  REQUIRE(a.heard.wait(head, 100));
  first.reset();
  static_cast<void>(a.heard.taken(head));
  test_process second(session, life(2));
  second.endpoint.learn(a.endpoint.self());
  for (std::uint64_t i = 0; i < 100; ++i) REQUIRE(second.endpoint.send(a.id(), numbered(i)));
  REQUIRE(a.heard.wait(head, 100));
  CHECK(a.heard.in_order(head, 100));
  CHECK(a.heard.wait_renewed(head, 1) == std::vector<std::uint32_t>{2});
}

TEST_CASE("an address of an earlier life leads to the one that is now") {
  const temp_folder session;
  test_process a(session);
  peer early;
  {
    const test_process first(session, life(1));
    early = first.endpoint.self();
  }
  test_process second(session, life(70'000));  // more lives than a header counts
  a.endpoint.learn(early);
  peer now = early;
  now.epoch = 69'999;
  a.endpoint.learn(now);
  CHECK(a.heard.wait_renewed(head, 1).size() == 1);
  REQUIRE(a.endpoint.send(head, numbered(1)));
  CHECK(a.heard.wait_renewed(head, 2).back() == 70'000);
  REQUIRE(a.endpoint.send(head, numbered(2)));
  REQUIRE(second.heard.wait(a.id(), 1));
  CHECK(number_of(second.heard.taken(a.id())[0]) == 2);
  // An old record changes nothing.
  a.endpoint.learn(early);
  REQUIRE(a.endpoint.send(head, numbered(3)));
  REQUIRE(second.heard.wait(a.id(), 1));
}

TEST_CASE("a life that was given up is tried again by who knows an earlier one") {
  const temp_folder session;
  endpoint_options impatient;
  impatient.connect_timeout = 100ms;
  test_process a(session, impatient);
  peer early;
  {
    const test_process first(session, life(1));
    early = first.endpoint.self();
  }
  peer now = early;
  now.epoch = 2;
  a.endpoint.learn(now);
  REQUIRE(a.endpoint.send(head, numbered(1)));
  CHECK_FALSE(a.heard.wait_unreachable(head).empty());
  test_process second(session, life(2));
  a.endpoint.learn(early);
  REQUIRE(a.endpoint.send(head, numbered(2)));
  REQUIRE(second.heard.wait(a.id(), 1));
  CHECK(number_of(second.heard.taken(a.id())[0]) == 2);
}

TEST_CASE(
    "who knows an address alone finds the process in front, or the head when it asks for it") {
  const temp_folder session;
  const std::string key = make_cluster_key();
  test_process node(session, by_tcp(key));
  endpoint_options options = life(3, by_tcp(key));
  options.front = node.endpoint.self();
  test_process control(session, options);
  test_process a(session, by_tcp(key));
  const std::string address = control.endpoint.self().remote;
  CHECK(a.endpoint.resolve(address, 60s) == node.endpoint.self());
  CHECK(a.endpoint.resolve(address, 60s, endpoint::whom::head) == control.endpoint.self());
}
