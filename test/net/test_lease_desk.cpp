// What a process does with what nodes answer to its requests for leases: who is asked next, and
// what whoever wants the lease is told.
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "net/task_owner.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/endpoints.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr net::process_id own_node = 11;
constexpr net::process_id other_node = 12;

/// Keeps what it is told.
class client : public net::lease_client {
 public:
  void granted(const net::lease_granted&, net::process_id) override { ++grants; }
  void refused(const net::lease_refused& what) override { refusals.push_back(what); }
  int grants = 0;
  std::vector<net::lease_refused> refusals;
};

/// A process whose requests go nowhere but here.
class process_with_desk {
 public:
  process_with_desk() : self_(session_), here_(nullptr), desk(here_) {
    here_.net = &self_.endpoint;
    here_.node.id = own_node;
    here_.deliver = [this](net::process_id to, net::message&& what) {
      asked_.emplace_back(to, net::unpack<net::request_lease>(what));
      return true;
    };
  }

  /// Who was asked since, with the number of which request.
  std::vector<std::pair<net::process_id, std::uint64_t>> asked() {
    std::vector<std::pair<net::process_id, std::uint64_t>> result;
    for (const auto& [to, what] : std::exchange(asked_, {})) result.emplace_back(to, what.request);
    return result;
  }
  /// Until what was posted so far has run.
  void settle() {
    std::promise<void> done;
    self_.endpoint.post([&] { done.set_value(); });
    done.get_future().wait();
  }
  /// A request that the own node has sent on to the other one.
  std::uint64_t sent_on() {
    const std::uint64_t request = desk.ask({}, who);
    net::peer other;
    other.id = other_node;
    desk.on(own_node, net::lease_redirected{request, other});
    REQUIRE(asked() == std::vector{std::pair(own_node, request), std::pair(other_node, request)});
    return request;
  }

 private:
  const temp_folder session_;
  test_process self_;
  net::process here_;
  std::vector<std::pair<net::process_id, net::request_lease>> asked_;

 public:
  net::lease_desk desk;
  client who;
};

}  // namespace

TEST_CASE("a request that a node turns away because it ends is asked of the own node again") {
  process_with_desk at;
  const std::uint64_t request = at.sent_on();
  at.desk.on(other_node, net::lease_refused{request, net::refusal::shutting_down, "it ends"});
  CHECK(at.asked() == std::vector{std::pair(own_node, request)});
  CHECK(at.who.refusals.empty());
}

TEST_CASE("a request that the own node turns away because it ends is refused") {
  process_with_desk at;
  const std::uint64_t request = at.desk.ask({}, at.who);
  at.desk.on(own_node, net::lease_refused{request, net::refusal::shutting_down, "it ends"});
  REQUIRE(at.who.refusals.size() == 1);
  CHECK(at.who.refusals[0].text == "it ends");
}

// Simulator seed 9338: the head was asked, for whom the process was dead, and the task waited.
TEST_CASE(
    "a request of a process whose node is gone is refused, also one that the head has first") {
  process_with_desk at;
  at.desk.process_gone(own_node, "its daemon has ended");
  net::request_lease in_group;
  in_group.group = {1, 7};
  at.desk.ask(in_group, at.who);
  at.desk.ask({}, at.who);
  at.settle();
  CHECK(at.asked().empty());
  CHECK(at.who.refusals.size() == 2);
}

TEST_CASE("a refusal counts only when it comes from the node that the request lies with") {
  process_with_desk at;
  const std::uint64_t request = at.sent_on();
  at.desk.on(own_node, net::lease_refused{request, net::refusal::infeasible, "late"});
  CHECK(at.who.refusals.empty());
  at.desk.on(other_node, net::lease_refused{request, net::refusal::infeasible, "too much"});
  REQUIRE(at.who.refusals.size() == 1);
  CHECK(at.who.refusals[0].text == "too much");
}

TEST_CASE("what lay with a node that dies is asked of the own node, whose refusal counts then") {
  process_with_desk at;
  const std::uint64_t request = at.sent_on();
  at.desk.process_gone(other_node, "killed");
  CHECK(at.asked() == std::vector{std::pair(own_node, request)});
  at.desk.on(other_node, net::lease_refused{request, net::refusal::infeasible, "last words"});
  CHECK(at.who.refusals.empty());
  at.desk.process_gone(own_node, "killed, too");
  REQUIRE(at.who.refusals.size() == 1);
  CHECK_THAT(at.who.refusals[0].text, contains("killed, too"));
}
