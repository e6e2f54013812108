#include "net/control_state.hpp"

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/node_states.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

class control {
 public:
  control() { join(1); }

  template <class T>
  void tell(net::process_id from, T what) {
    state.received(now, from, std::move(what));
    effects.add(state.take_effects());
  }
  void join(net::process_id id, const std::string& name = "", const std::string& host = "here") {
    tell(id, hello_of(id, name, host));
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    state.tick(now);
    effects.add(state.take_effects());
  }
  template <class T>
  std::vector<T> sent(net::process_id to) {
    return effects.sent<T>(to);
  }
  net::name_reply reg(net::process_id owner, const std::string& name, std::uint64_t actor = 5) {
    tell(owner, registration_of(owner, name, actor));
    return sent<net::name_reply>(owner).at(0);
  }
  net::name_reply find(const std::string& name) {
    tell(99, net::find_name{2, "", name});
    return sent<net::name_reply>(99).at(0);
  }
  net::job_id start_job(net::process_id node, net::process_id driver) {
    return start_job_of(*this, node, driver);
  }

  net::control_state state{{peer_of(1)}};
  net::control_state::time now{1h};
  effects_of<net::control_effect, net::send_from_control> effects;
};

}  // namespace

TEST_CASE("a node that joins is told so, and all get the view, not more often than allowed") {
  control c;
  CHECK(c.sent<net::joined>(1).at(0).refused.empty());
  CHECK(c.sent<net::cluster_view>(1).at(0).nodes.size() == 1);
  c.join(2);
  CHECK(c.sent<net::cluster_view>(1).empty());
  c.pass(100ms);
  const auto news = c.sent<net::cluster_view>(1);
  CHECK(news.at(0).nodes.size() == 1);
  CHECK(!news.at(0).whole);
  const auto all = c.sent<net::cluster_view>(2);
  CHECK(all.at(0).nodes.size() == 2);
  CHECK(all.at(0).whole);
  c.pass(10s - 1ms);
  c.effects.clear();
}

TEST_CASE("all are told at once of a node that comes, unless many come") {
  control c;
  c.pass(50ms);
  c.effects.clear();
  c.join(2);
  CHECK(c.sent<net::cluster_view>(1).at(0).nodes.size() == 1);
  c.join(3);
  CHECK(c.sent<net::cluster_view>(1).empty());
  c.now += 5ms;
  c.join(4);
  CHECK(c.sent<net::cluster_view>(1).at(0).nodes.size() == 2);
}

TEST_CASE(
    "a node that asks is told at once of all that the head knows, the asked-for number last") {
  control c;
  c.join(2);
  c.join(3);
  c.effects.clear();
  c.tell(3, net::ask_view{7});
  const auto told = c.sent<net::cluster_view>(3);
  REQUIRE(told.size() == 2);
  CHECK(told[0].whole);
  CHECK(told[0].nodes.size() == 3);
  CHECK(told[0].answers == 0);
  CHECK(told[1].answers == 7);
  // Nothing is new any more, and strangers are not told.
  c.tell(3, net::ask_view{8});
  CHECK(c.sent<net::cluster_view>(3).size() == 1);
  c.tell(99, net::ask_view{1});
  CHECK(c.sent<net::cluster_view>(99).empty());
}

TEST_CASE("a view says what has changed since the last one, and who is gone") {
  control c;
  for (net::process_id id = 2; id < 6; ++id) c.join(id);
  c.pass(1s);
  c.effects.clear();
  net::node_report report;
  report.available = amounts({{"CPU", 1}});
  c.tell(3, report);
  c.state.node_gone(c.now, 4, "it was stopped", true);
  c.pass(1s);
  std::set<net::process_id> changed;
  std::set<net::process_id> gone;
  for (const auto& view : c.sent<net::cluster_view>(2)) {
    CHECK(!view.whole);
    for (const auto& node : view.nodes) changed.insert(node.at.id);
    gone.insert(view.gone.begin(), view.gone.end());
  }
  CHECK(changed == std::set<net::process_id>{3});
  CHECK(gone == std::set<net::process_id>{4});
}

TEST_CASE("a report that changes nothing sends no view, one that does sends it") {
  control c;
  c.pass(1s);
  c.effects.clear();
  net::node_report report;
  report.available = amounts({{"CPU", 4}});
  c.tell(1, report);
  c.pass(1s);
  CHECK(c.sent<net::cluster_view>(1).empty());
  report.available = amounts({{"CPU", 3}});
  c.tell(1, report);
  CHECK(c.sent<net::cluster_view>(1).at(0).nodes[0].available == report.available);
}

TEST_CASE("two nodes of one name are refused, unless the older one must have crashed") {
  control c;
  c.join(2, "same", "there");
  c.join(3, "same", "elsewhere");
  CHECK_THAT(c.sent<net::joined>(3).at(0).refused, contains("choose another --node-name"));
  c.join(4, "same", "there");
  CHECK(c.sent<net::joined>(4).at(0).refused.empty());
  CHECK(!c.state.is_node(2));
  CHECK(c.sent<net::process_died>(1).at(0).process == 2);
}

TEST_CASE("a silent node is dead once, with all that lived on it") {
  control c;
  c.join(2);
  c.tell(2, net::process_joined{20});
  c.pass(9s);
  c.tell(2, net::node_report{});
  c.pass(9s);
  CHECK(c.state.is_node(2));
  c.effects.clear();
  c.pass(1s);
  const auto died = c.sent<net::process_died>(1);
  REQUIRE(died.size() == 2);
  CHECK(died[0].process == 2);
  CHECK_THAT(died[0].cause, contains("silent for 10 s"));
  CHECK(died[1].process == 20);
  CHECK_THAT(died[1].cause, contains("its node 'n2' is gone"));
  c.pass(20s);
  CHECK(c.sent<net::process_died>(1).empty());
  c.tell(2, net::node_report{});
  CHECK_THAT(c.sent<net::joined>(2).at(0).refused, contains("not part"));
}

TEST_CASE("jobs are numbered, told to all nodes, and to those that join later while they live") {
  control c;
  c.join(2);
  CHECK(c.start_job(1, 10) == 1);
  CHECK(c.start_job(2, 11) == 2);
  CHECK(c.sent<net::job_started>(1).at(0).driver.id == 11);
  c.tell(1, net::job_ended{1});
  c.tell(1, net::job_ended{1});
  CHECK(c.sent<net::job_ended>(2).size() == 1);
  c.join(3);
  const auto told = c.sent<net::job_started>(3);
  REQUIRE(told.size() == 1);
  CHECK(told[0].job == 2);
}

TEST_CASE("a driver that died with its node has its job ended") {
  control c;
  c.join(2);
  const auto job = c.start_job(2, 20);
  c.state.node_gone(c.now, 2, "killed", false);
  c.effects.add(c.state.take_effects());
  CHECK(c.sent<net::job_ended>(1).at(0).job == job);
}

TEST_CASE("a death is told to all nodes once, by the dead one's own node alone") {
  control c;
  c.join(2);
  c.tell(2, net::process_joined{20});
  c.tell(1, net::process_died{20, "a lie", false});
  CHECK(c.sent<net::process_died>(1).empty());
  c.tell(2, net::process_died{20, "signal 9 (Killed)", false});
  c.tell(2, net::process_died{20, "signal 9 (Killed)", false});
  CHECK(c.sent<net::process_died>(1).size() == 1);
  CHECK(c.sent<net::process_died>(2).size() == 1);
}

// Simulator seed 2099: it asked a node for a value that had been declared dead before, and waited.
TEST_CASE("a node that joins is told who has died before") {
  control c;
  c.join(2);
  c.tell(2, net::process_died{2, "it was stopped", true});
  c.join(3);
  const auto told = c.sent<net::process_died>(3);
  REQUIRE(told.size() == 1);
  CHECK(told[0].process == 2);
}

TEST_CASE("a name is the first one's until it lets go or its owner dies") {
  control c;
  c.tell(1, net::process_joined{10});
  CHECK(c.reg(10, "chef").done);
  const auto second = c.reg(11, "chef");
  CHECK(!second.done);
  CHECK(second.actor == net::global_id{10, 5});
  CHECK(c.find("chef").owner.id == 10);
  CHECK(!c.find("nobody").actor);

  c.tell(11, net::release_name{"", "chef", {11, 5}});
  CHECK(c.find("chef").actor);
  c.tell(1, net::process_died{10, "signal 9", false});
  CHECK(!c.find("chef").actor);
  CHECK(!c.reg(10, "chef").done);
  CHECK(c.reg(11, "chef").done);
  c.tell(11, net::release_name{"", "chef", {11, 5}});
  CHECK(!c.find("chef").actor);
}

TEST_CASE("the status has the head first, and marks what it owns as detached") {
  control c;
  c.join(2, "a");
  c.reg(1, "service");
  c.reg(30, "own");
  const auto status = c.state.make_status();
  REQUIRE(status.nodes.size() == 2);
  CHECK(status.nodes[0].head);
  CHECK(status.nodes[1].name == "a");
  REQUIRE(status.actors.size() == 2);
  CHECK(!status.actors[0].detached);
  CHECK(status.actors[1].detached);
}
