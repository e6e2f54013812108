// What a head takes up that was started again, by the store that its earlier life has written.
#include <algorithm>
#include <memory>

#include "net/control_state.hpp"
#include "net/control_store.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/node_states.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr net::process_id head = 1;
constexpr net::process_id head_node = 2;

/// A control whose process may die at any time: what it had stored by then is there.
class mortal_control {
 public:
  mortal_control() { begin(); }

  void die_and_begin_again() {
    store_.reset();
    begin();
  }
  template <class T>
  void tell(net::process_id from, T what) {
    state->received(now, from, std::move(what));
    take();
  }
  void join(net::process_id id, const std::string& name = "") { tell(id, hello_of(id, name)); }
  void come_back(net::process_id id, std::vector<net::process_id> processes,
                 std::vector<net::join_cluster::reservation> reservations = {}) {
    net::join_cluster hello = hello_of(id);
    hello.available = hello.total;
    hello.returning = true;
    hello.processes = std::move(processes);
    hello.reservations = std::move(reservations);
    tell(id, hello);
  }
  void pass(std::chrono::milliseconds time) {
    for (auto left = time; left.count() > 0;
         left -= std::min(left, std::chrono::milliseconds(500))) {
      now += std::min(left, std::chrono::milliseconds(500));
      for (const net::process_id node : state->nodes()) tell(node, net::node_report{});
      state->tick(now);
      take();
    }
  }
  template <class T>
  std::vector<T> sent(net::process_id to) {
    return effects.sent<T>(to);
  }
  net::job_id start_job(net::process_id node, net::process_id driver) {
    return start_job_of(*this, node, driver);
  }
  net::name_reply reg(net::process_id owner, const std::string& name, std::uint64_t actor = 5) {
    tell(owner, registration_of(owner, name, actor));
    return sent<net::name_reply>(owner).back();
  }
  net::name_reply find(const std::string& name) {
    tell(99, net::find_name{2, "", name});
    return sent<net::name_reply>(99).back();
  }
  bool is_dead(net::process_id who, net::process_id to) {
    const auto news = sent<net::process_died>(to);
    return std::any_of(news.begin(), news.end(),
                       [who](const auto& one) { return one.process == who; });
  }

  std::unique_ptr<net::control_state> state;
  net::control_state::time now{1h};
  effects_of<net::control_effect, net::send_from_control> effects;

 private:
  void begin() {
    effects.clear();
    store_ = std::make_unique<net::control_store>((folder_.path() / "store").string());
    net::stored_cluster known = store_->read();
    known.life = ++life_;
    net::control_settings settings;
    settings.self = peer_of(head);
    settings.own_node = head_node;
    settings.life = life_;
    state = std::make_unique<net::control_state>(settings);
    const std::vector<net::stored_actor> actors = std::move(known.actors);
    state->recover(now, std::move(known), actors);
    take();
  }
  void take() {
    auto more = state->take_effects();
    std::vector<net::store_change> changes;
    for (const net::control_effect& e : more) {
      if (const auto* const keep = std::get_if<net::keep_row>(&e)) changes.push_back(keep->what);
    }
    if (!changes.empty()) store_->commit(changes);
    effects.add(std::move(more));
  }

  temp_folder folder_;
  std::unique_ptr<net::control_store> store_;
  std::uint32_t life_ = 0;
};

net::demand one_cpu() { return amounts({{"CPU", 1}}); }

}  // namespace

TEST_CASE("a node comes back to a head that was started again, with what lives there") {
  mortal_control c;
  c.join(3);
  const net::job_id job = c.start_job(3, 30);
  CHECK(c.reg(30, "chef").done);
  c.die_and_begin_again();
  CHECK(c.state->nodes().empty());
  CHECK(c.find("chef").actor.owner == 30);
  c.come_back(3, {30, 31});
  const auto answer = c.sent<net::joined>(3).at(0);
  CHECK(answer.refused.empty());
  CHECK(answer.returning);
  CHECK(answer.jobs == std::vector<net::job_id>{job});
  CHECK(c.sent<net::job_started>(3).at(0).driver.id == 30);
  CHECK(c.effects.done<net::node_back>().at(0).processes.size() == 2);
  c.pass(20s);
  CHECK(c.find("chef").done);
  CHECK(c.start_job(3, 32) == job + 1);  // no number is given twice
}

TEST_CASE("what a node had and does not come back with has ended") {
  mortal_control c;
  c.join(3);
  c.join(4);
  const net::job_id job = c.start_job(3, 30);
  CHECK(c.reg(30, "chef").done);
  c.tell(3, net::process_joined{31});
  c.die_and_begin_again();
  c.come_back(4, {});
  CHECK_FALSE(c.is_dead(30, 4));
  c.come_back(3, {31});
  CHECK(c.is_dead(30, 4));
  CHECK_FALSE(c.is_dead(31, 4));
  CHECK(c.sent<net::job_ended>(4).at(0).job == job);
  CHECK_FALSE(c.find("chef").done);
}

TEST_CASE("a node that does not come back in time is dead, with its processes") {
  mortal_control c;
  c.join(3);
  c.join(4);
  c.tell(3, net::process_joined{30});
  c.die_and_begin_again();
  c.come_back(4, {});
  c.pass(9s);
  CHECK_FALSE(c.is_dead(3, 4));
  c.pass(2s);
  const auto news = c.sent<net::process_died>(4);
  REQUIRE(news.size() == 2);
  CHECK_THAT(news[0].cause, contains("did not come back within 10 s"));
  CHECK(c.effects.done<net::recovery_over>().size() == 1);
  // It is refused from then on, also by the next life of the head.
  c.come_back(3, {30});
  CHECK_THAT(c.sent<net::joined>(3).at(0).refused, contains("declared dead"));
  c.die_and_begin_again();
  c.come_back(3, {30});
  CHECK_THAT(c.sent<net::joined>(3).at(0).refused, contains("declared dead"));
}

TEST_CASE("a node of an awaited one's name takes its place at once") {
  mortal_control c;
  c.join(head_node, "h");
  c.tell(head_node, net::process_joined{20});
  c.join(3);
  c.die_and_begin_again();
  c.come_back(3, {});
  c.join(5, "h");
  const auto news = c.sent<net::process_died>(3);
  REQUIRE(news.size() == 2);
  CHECK(news[0].process == head_node);
  CHECK(news[1].process == 20);
}

TEST_CASE("who died last is told to who comes back, for it may not have heard") {
  mortal_control c;
  c.join(3);
  c.join(4);
  c.tell(3, net::process_joined{30});
  c.tell(3, net::process_died{30, "signal 9 (Killed)", false});
  c.die_and_begin_again();
  c.come_back(4, {});
  CHECK(c.is_dead(30, 4));
}

TEST_CASE("a name asked for twice by the same actor is given, for the answer may have been lost") {
  mortal_control c;
  c.join(3);
  c.tell(3, net::process_joined{30});
  CHECK(c.reg(30, "chef").done);
  c.die_and_begin_again();
  c.come_back(3, {30});
  CHECK(c.reg(30, "chef").done);
  CHECK_FALSE(c.reg(30, "chef", 6).done);
}

TEST_CASE(
    "a name whose detached actor has ended is free, although the head died before it said so") {
  mortal_control c;
  c.join(3);
  c.tell(3, net::process_joined{30});
  REQUIRE(c.reg(head, "chef").done);  // of an actor of which nothing is stored any more
  REQUIRE(c.reg(30, "cook").done);
  c.die_and_begin_again();
  c.come_back(3, {30});
  CHECK_FALSE(c.find("chef").actor);
  CHECK(c.find("cook").actor);
  CHECK(c.reg(30, "chef", 7).done);
  c.die_and_begin_again();
  CHECK(c.find("chef").actor == net::global_id{30, 7});
}

TEST_CASE("the program of a job that has ended is kept while a detached actor needs it") {
  mortal_control c;
  c.join(3);
  const net::job_id job = c.start_job(3, 30);
  c.state->hold_job(job);
  c.tell(3, net::job_ended{job});
  CHECK(c.sent<net::job_ended>(3).at(0).held);
  c.die_and_begin_again();
  REQUIRE(c.state->find_job(job) != nullptr);
  SECTION("which its owner takes up") {
    c.state->hold_job(job);
    c.come_back(3, {});
    CHECK(c.sent<net::joined>(3).at(0).held == std::vector{job});
    c.join(4);
    CHECK(c.sent<net::job_started>(4).at(0).job == job);
    CHECK(c.sent<net::job_ended>(4).at(0).held);
    c.pass(1s);
    c.state->release_job(c.now, job);
    c.pass(1ms);
  }
  SECTION("which had ended when the head died") {
    c.come_back(3, {});
    c.join(4);
    c.effects.clear();
    c.pass(1s);
  }
  CHECK(c.state->find_job(job) == nullptr);
  CHECK_FALSE(c.sent<net::job_ended>(4).at(0).held);
  c.die_and_begin_again();
  CHECK(c.state->find_job(job) == nullptr);
}

TEST_CASE("bundles stay where they are when their node comes back with them") {
  mortal_control c;
  c.join(3);
  c.tell(3, net::process_joined{30});
  net::create_group wanted;
  wanted.group = {30, 1};
  wanted.bundles = {one_cpu(), one_cpu()};
  c.tell(30, wanted);
  const auto prepared = c.sent<net::prepare_bundles>(3).at(0);
  c.tell(3, net::bundles_prepared{wanted.group, prepared.attempt, true, {}});
  REQUIRE(c.sent<net::commit_bundles>(3).size() == 1);
  c.die_and_begin_again();
  const auto phase = [&] { return c.state->make_status().groups.at(0).phase; };
  CHECK(phase() == net::group_phase::created);

  SECTION("committed") {
    c.come_back(3, {30}, {{wanted.group, prepared.attempt, {0, 1}, true}});
    CHECK(c.sent<net::commit_bundles>(3).empty());
    CHECK(c.sent<net::drop_bundles>(3).empty());
    CHECK(phase() == net::group_phase::created);
  }
  SECTION("and are committed again when that was lost") {
    c.come_back(3, {30}, {{wanted.group, prepared.attempt, {0, 1}, false}});
    CHECK(c.sent<net::commit_bundles>(3).size() == 1);
  }
  SECTION("or are placed anew when it has lost them") {
    c.come_back(3, {30});
    const auto again = c.sent<net::prepare_bundles>(3).at(0);
    CHECK(again.bundles.size() == 2);
    CHECK(again.attempt > prepared.attempt);
  }
  SECTION("and what the head does not know is dropped") {
    c.come_back(3, {30}, {{wanted.group, prepared.attempt, {0, 1}, true}, {{30, 7}, 3, {0}, true}});
    CHECK(c.sent<net::drop_bundles>(3).at(0).group == net::global_id{30, 7});
  }
  SECTION("a request for one waits until then") {
    net::request_lease lease;
    lease.request = 9;
    lease.group = wanted.group;
    lease.bundle = 0;
    lease.wanted = one_cpu();
    c.tell(30, lease);
    CHECK(c.sent<net::lease_redirected>(30).empty());
    c.come_back(3, {30}, {{wanted.group, prepared.attempt, {0, 1}, true}});
    CHECK(c.sent<net::lease_redirected>(30).at(0).node.id == 3);
  }
  SECTION("a group that its creator says again is the same one") {
    c.come_back(3, {30}, {{wanted.group, prepared.attempt, {0, 1}, true}});
    c.tell(30, wanted);
    CHECK(c.state->make_status().groups.size() == 1);
    CHECK(c.sent<net::group_reply>(30).back().phase == net::group_phase::created);
  }
}
