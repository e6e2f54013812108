// Whom a process asks for a lease, and whom it asks next.
#include "net/lease_request_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

constexpr process_id own_node = 1;
constexpr process_id other_node = 2;
constexpr process_id third_node = 3;
using state = lease_request_state<const char*>;

std::uint64_t ask(state& requests, const char* who = "client") {
  return requests.ask({}, who, own_node).request;
}

auto send_on(state& requests, process_id from, std::uint64_t request, process_id to) {
  return requests.redirected(from, request, to, own_node);
}

}  // namespace

TEST_CASE("requests have numbers of their own, and each is answered once") {
  state requests;
  const auto first = ask(requests, "a");
  const auto second = ask(requests, "b");
  CHECK(first != second);
  CHECK(requests.answered(second) == "b");
  CHECK_FALSE(requests.answered(second));
  CHECK(requests.answered(first) == "a");
  CHECK(requests.size() == 0);
}

TEST_CASE("a request that is withdrawn is cancelled where it lies, and its grant is nobody's") {
  state requests;
  const auto one = ask(requests);
  CHECK(send_on(requests, own_node, one, other_node));
  CHECK(requests.withdraw(one) == other_node);
  CHECK_FALSE(requests.withdraw(one));
  CHECK_FALSE(requests.answered(one));
}

TEST_CASE("a request goes where the node that has it sends it, and counts how often") {
  state requests;
  const auto one = ask(requests);
  const auto next = send_on(requests, own_node, one, other_node);
  REQUIRE(next);
  CHECK(next->to == other_node);
  CHECK(next->what.redirections == 1);
  CHECK(next->what.request == one);
  // A word of a node that had it before.
  CHECK_FALSE(send_on(requests, own_node, one, third_node));
  CHECK(send_on(requests, other_node, one, third_node)->what.redirections == 2);
}

TEST_CASE("requests that lay with a node that is gone are asked of the own node again") {
  state requests;
  const auto stays = ask(requests);
  const auto moved = ask(requests);
  send_on(requests, own_node, moved, other_node);
  const auto lost = requests.process_gone(other_node, own_node);
  REQUIRE(lost.again.size() == 1);
  CHECK(lost.again.front().request == moved);
  CHECK(lost.again.front().redirections == 0);
  CHECK(lost.hopeless.empty());
  CHECK(requests.is_open(stays));
  // It lies with the own node now.
  CHECK(send_on(requests, own_node, moved, third_node));
}

TEST_CASE("a request that is sent on to a node that is gone begins again at the own node") {
  state requests;
  const auto one = ask(requests);
  send_on(requests, own_node, one, other_node);
  requests.process_gone(third_node, own_node);
  CHECK(requests.is_gone(third_node));
  const auto next = send_on(requests, other_node, one, third_node);
  REQUIRE(next);
  CHECK(next->to == own_node);
  CHECK(next->what.redirections == 0);
  CHECK(requests.lies_with(own_node, one));
}

TEST_CASE("the head that was started again is not gone: what lay with it is asked of it again") {
  constexpr process_id head = 9;
  state requests;
  request_lease of_group;
  of_group.group = {head, 1};
  const auto one = requests.ask(of_group, "who", head).request;
  CHECK(requests.process_gone(head, own_node, head).again.size() == 1);
  CHECK_FALSE(requests.is_gone(head));
  CHECK(requests.lies_with(head, one));
}

TEST_CASE("a process without its own node has no hope for any request, wherever it lies") {
  state requests;
  const auto here = ask(requests);
  const auto there = ask(requests);
  send_on(requests, own_node, there, other_node);
  const auto lost = requests.process_gone(own_node, own_node);
  CHECK(lost.again.empty());
  CHECK(lost.hopeless == std::vector<std::uint64_t>{here, there});
}

TEST_CASE("a request that a node turned away because it ends begins again at the own node") {
  state requests;
  const auto one = ask(requests, "who");
  CHECK_FALSE(requests.turned_away(own_node, one, own_node));  // it ends with this process
  send_on(requests, own_node, one, other_node);
  CHECK_FALSE(requests.turned_away(own_node, one, own_node));  // it does not lie there any more
  const auto again = requests.turned_away(other_node, one, own_node);
  REQUIRE(again);
  CHECK(again->request == one);
  CHECK(again->redirections == 0);
  CHECK(requests.answered(one) == "who");
}

TEST_CASE("what a node says of a request that has begun again elsewhere counts no more") {
  state requests;
  const auto one = ask(requests);
  send_on(requests, own_node, one, other_node);
  CHECK(requests.lies_with(other_node, one));
  requests.process_gone(other_node, own_node);
  CHECK_FALSE(requests.lies_with(other_node, one));
  CHECK(requests.lies_with(own_node, one));
}

TEST_CASE("a request that only one node can serve ends with that node") {
  state requests;
  troupe::net::request_lease only;
  only.placement = troupe::net::placement_kind::affinity;
  const std::uint64_t one = requests.ask(only, "who", own_node).request;
  send_on(requests, own_node, one, other_node);
  CHECK_FALSE(requests.turned_away(other_node, one, own_node));
  only.soft = true;
  const std::uint64_t two = requests.ask(only, "who", own_node).request;
  send_on(requests, own_node, two, other_node);
  CHECK(requests.turned_away(other_node, two, own_node));
}

TEST_CASE("a grant of a worker that is known to be dead is asked for again") {
  state requests;
  const auto one = ask(requests, "who");
  send_on(requests, own_node, one, other_node);
  const auto again = requests.granted_in_vain(one, own_node);
  REQUIRE(again);
  CHECK(again->request == one);
  CHECK(again->redirections == 0);
  CHECK(requests.answered(one) == "who");
  CHECK_FALSE(requests.granted_in_vain(one, own_node));
}
