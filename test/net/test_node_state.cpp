#include "net/node_state.hpp"

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/node_states.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr net::process_id own = 1;
constexpr net::process_id head = 2;
constexpr net::process_id driver = 10;
constexpr net::process_id other_driver = 11;

net::node_settings settings_with(core::resource_set total) {
  net::node_settings settings;
  settings.self = peer_of(own);
  settings.head = peer_of(head);
  settings.name = "n1";
  settings.total = std::move(total);
  return settings;
}

/// A node with job 1 of `driver`, whose workers this plays.
class test_node {
 public:
  explicit test_node(core::resource_set total = resources({{"CPU", 2}}), bool with_job = true)
      : state(settings_with(std::move(total))) {
    if (with_job) add_job(1, driver);
  }

  void add_job(net::job_id id, net::process_id of) {
    net::register_process hello;
    hello.role = net::process_role::driver;
    hello.executable = "/program";
    state.received(now, peer_of(of), hello);
    net::job_started started;
    started.job = id;
    started.driver = peer_of(of);
    started.process = hello;
    tell(head, started);
  }
  template <class T>
  void tell(net::process_id from, T what) {
    state.received(now, from, std::move(what));
    take();
  }
  void take() { effects.add(state.take_effects()); }
  template <class T>
  std::vector<T> sent(net::process_id to) {
    return effects.sent<T>(to);
  }
  template <class T>
  std::vector<T> done() {
    return effects.done<T>();
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    state.tick(now);
    take();
  }
  /// The oldest worker that was to be started registers as this process.
  std::uint64_t worker_comes(net::process_id as) {
    const auto started = done<net::start_worker>();
    REQUIRE(started.size() == 1);
    net::register_process hello;
    hello.role = net::process_role::worker;
    hello.start_token = started[0].token;
    state.received(now, peer_of(as), hello);
    take();
    return started[0].token;
  }
  void exit(std::uint64_t token, const std::string& cause = "signal 9 (Killed)",
            bool in_order = false) {
    state.worker_exited(now, token, cause, in_order, "last words");
    take();
  }

  static net::request_lease wants(std::uint64_t request, double cpus, net::job_id job = 1) {
    net::request_lease what;
    what.request = request;
    what.job = job;
    what.wanted = amounts({{"CPU", cpus}});
    what.name = "work";
    return what;
  }
  void see_node(net::process_id id, const net::demand& total, const net::demand& available) {
    net::cluster_view view;
    view.whole = true;
    view.nodes.push_back({peer_of(own), "n1", amounts({{"CPU", 2}}), amounts({{"CPU", 2}}), {}});
    view.nodes.push_back({peer_of(id), "n" + std::to_string(id), total, available, {}});
    tell(head, view);
  }

  static net::cluster_view answer_to(const net::ask_view& asked) {
    net::cluster_view none;
    none.answers = asked.number;
    return none;
  }
  /// The head knows no more than it has told.
  void answer_view() { tell(head, answer_to(sent<net::ask_view>(head).at(0))); }

  net::node_state state;
  net::node_state::time now{1h};
  effects_of<net::node_effect, net::send_from_node> effects;
};

std::vector<std::uint64_t> requests_of(const std::vector<net::lease_granted>& granted) {
  std::vector<std::uint64_t> result;
  for (const auto& g : granted) result.push_back(g.request);
  return result;
}
using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("a driver is greeted when the head has numbered its job, and a worker is started ahead") {
  test_node n(resources({{"CPU", 2}}), false);
  n.add_job(7, driver);
  CHECK(n.sent<net::job_started>(head).at(0).job == 0);
  const auto greeting = n.sent<net::registered>(driver);
  REQUIRE(greeting.size() == 1);
  CHECK(greeting[0].job == 7);
  CHECK(greeting[0].refused.empty());
  CHECK(n.done<net::start_worker>().at(0).job == 7);
}

TEST_CASE("requests wait for their worker and are then granted on the one that the job has") {
  test_node n;
  n.tell(driver, n.wants(1, 1));
  n.tell(driver, n.wants(2, 1));
  n.tell(driver, n.wants(3, 1));
  CHECK(n.sent<net::lease_granted>(driver).empty());
  n.worker_comes(100);
  const auto opened = n.sent<net::open_lease>(100);
  const auto granted = n.sent<net::lease_granted>(driver);
  CHECK(requests_of(granted) == numbers{1, 2});
  REQUIRE(opened.size() == 2);
  CHECK(opened[0].lease == granted[0].lease);
  CHECK(opened[0].owner == driver);
  CHECK(granted[0].worker.id == 100);

  n.tell(driver, net::return_lease{granted[0].lease});
  CHECK(n.sent<net::close_lease>(100).at(0).lease == granted[0].lease);
  CHECK(requests_of(n.sent<net::lease_granted>(driver)) == numbers{3});
}

TEST_CASE("equal requests are served in order, and a large one is not passed over for ever") {
  test_node n;
  n.worker_comes(100);
  n.tell(driver, n.wants(1, 1));
  n.tell(driver, n.wants(2, 2));
  std::uint64_t next = 3;
  auto held = n.sent<net::lease_granted>(driver).at(0).lease;
  bool large_came = false;
  for (int i = 0; i < 200 && !large_came; ++i) {
    n.tell(driver, n.wants(next++, 1));
    n.tell(driver, net::return_lease{held});
    for (const auto& g : n.sent<net::lease_granted>(driver)) {
      held = g.lease;
      large_came = large_came || g.request == 2;
    }
  }
  CHECK(large_came);
}

TEST_CASE("only its owner returns a lease, and only its worker suspends it") {
  test_node n;
  n.worker_comes(100);
  n.tell(driver, n.wants(1, 2));
  const auto lease = n.sent<net::lease_granted>(driver).at(0).lease;
  n.tell(99, net::return_lease{lease});
  n.tell(driver, net::suspend_lease{lease});
  n.tell(driver, n.wants(2, 1));
  CHECK(n.sent<net::lease_granted>(driver).empty());
}

TEST_CASE("a suspended lease lends its CPUs and has them back before those who ask anew") {
  test_node n(resources({{"CPU", 1}, {"disk", 1}}));
  n.worker_comes(100);
  auto first = n.wants(1, 1);
  first.wanted = amounts({{"CPU", 1}, {"disk", 1}});
  n.tell(driver, first);
  const auto a = n.sent<net::lease_granted>(driver).at(0).lease;
  n.tell(100, net::suspend_lease{a});
  n.tell(driver, n.wants(2, 1));
  const auto b = n.sent<net::lease_granted>(driver).at(0).lease;
  n.tell(driver, n.wants(3, 1));
  n.tell(100, net::resume_lease{a});
  CHECK(n.sent<net::lease_resumed>(100).empty());
  n.tell(driver, net::return_lease{b});
  CHECK(n.sent<net::lease_resumed>(100).at(0).lease == a);
  CHECK(n.sent<net::lease_granted>(driver).empty());
  // Resumed without having been suspended: said at once, and nothing is counted twice.
  n.tell(100, net::resume_lease{a});
  CHECK(n.sent<net::lease_resumed>(100).size() == 1);
  n.tell(driver, net::return_lease{a});
  CHECK(requests_of(n.sent<net::lease_granted>(driver)) == numbers{3});
}

TEST_CASE("a lease that ends while it waits to resume leaves nothing taken") {
  test_node n;
  n.worker_comes(100);
  n.tell(driver, n.wants(1, 2));
  const auto a = n.sent<net::lease_granted>(driver).at(0).lease;
  n.tell(100, net::suspend_lease{a});
  n.tell(driver, n.wants(2, 2));
  const auto b = n.sent<net::lease_granted>(driver).at(0).lease;
  n.tell(100, net::resume_lease{a});
  n.tell(driver, net::return_lease{a});
  n.tell(driver, net::return_lease{b});
  CHECK(n.state.leases() == 0);
  CHECK(n.state.report().available == amounts({{"CPU", 2}}));
}

TEST_CASE("a cancelled request is never granted, wherever it waits") {
  test_node n;
  n.tell(driver, n.wants(1, 1));  // for the worker
  n.tell(driver, n.wants(2, 2));  // for resources
  n.tell(driver, net::cancel_request{1});
  n.tell(driver, net::cancel_request{2});
  n.worker_comes(100);
  CHECK(n.sent<net::lease_granted>(driver).empty());
  CHECK(n.state.report().available == amounts({{"CPU", 2}}));
  CHECK(n.state.report().waiting.empty());
}

TEST_CASE("what no node has waits with one warning and goes on when one comes") {
  test_node n;
  n.worker_comes(100);
  n.done<net::say>();
  n.tell(driver, n.wants(1, 8));
  n.tell(driver, n.wants(2, 8));
  const auto said = n.done<net::say>();
  REQUIRE(said.size() == 1);
  CHECK_THAT(said[0].text, contains("'work' needs 8 CPU"));
  CHECK(n.state.report().waiting ==
        std::vector<std::pair<net::demand, std::uint32_t>>{{amounts({{"CPU", 8}}), 2}});
  n.see_node(3, amounts({{"CPU", 8}}), amounts({{"CPU", 8}}));
  const auto redirected = n.sent<net::lease_redirected>(driver);
  REQUIRE(redirected.size() == 2);
  CHECK(redirected[0].node.id == 3);
  CHECK(n.state.report().waiting.empty());
}

TEST_CASE("an infeasible request that shall fail is refused with what is missing") {
  test_node n;
  auto what = n.wants(1, 8);
  what.infeasible_fails = true;
  n.tell(driver, what);
  n.answer_view();
  const auto refused = n.sent<net::lease_refused>(driver);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].why == net::refusal::infeasible);
  CHECK_THAT(refused[0].text, contains("'work' needs 8 CPU"));
}

TEST_CASE("nothing is refused for want of a node before the head has said which there are") {
  test_node n;
  n.worker_comes(100);
  n.done<net::say>();
  const auto on = [&n](std::uint64_t request, const std::string& node) {
    auto what = n.wants(request, 1);
    what.placement = net::placement_kind::affinity;
    what.place_key = node;
    n.tell(driver, what);
  };
  on(1, "n3");
  CHECK(n.sent<net::lease_refused>(driver).empty());
  const auto asked = n.sent<net::ask_view>(head);
  REQUIRE(asked.size() == 1);

  // A view that comes meanwhile is not the answer, and one that asks later needs one of its own.
  n.see_node(4, amounts({{"CPU", 2}}), amounts({{"CPU", 2}}));
  on(2, "n5");
  CHECK(n.sent<net::lease_refused>(driver).empty());
  CHECK(n.sent<net::ask_view>(head).empty());

  SECTION("the node was there") {
    n.see_node(3, amounts({{"CPU", 2}}), amounts({{"CPU", 2}}));
    CHECK(n.sent<net::lease_redirected>(driver).at(0).node.id == 3);
    CHECK(n.sent<net::lease_refused>(driver).empty());
  }
  SECTION("it was not") {
    n.tell(head, n.answer_to(asked[0]));
    const auto refused = n.sent<net::lease_refused>(driver);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].request == 1);
    CHECK_THAT(refused[0].text, contains("there is no node 'n3'"));
    n.answer_view();
    CHECK(n.sent<net::lease_refused>(driver).at(0).request == 2);
    CHECK(n.done<net::say>().empty());
  }
  SECTION("the head is started again before it has answered") {
    n.state.head_renewed(n.now, peer_of(head));
    n.state.say_again();
    n.take();
    CHECK(n.sent<net::ask_view>(head).at(0).number == asked[0].number);
  }
}

TEST_CASE("a demand that makes no sense is refused") {
  test_node n;
  auto what = n.wants(1, 1);
  what.wanted = {{"CPU", -5}};
  n.tell(driver, what);
  what.request = 2;
  what.wanted = {{"CPU", 1}, {"CPU", 1}};
  n.tell(driver, what);
  CHECK(n.sent<net::lease_refused>(driver).size() == 2);
}

TEST_CASE("a burst is spread by what was sent on, not by the last view alone") {
  test_node n;
  n.worker_comes(100);
  n.see_node(3, amounts({{"CPU", 2}}), amounts({{"CPU", 2}}));
  for (std::uint64_t i = 1; i <= 6; ++i) n.tell(driver, n.wants(i, 1));
  CHECK(n.sent<net::lease_granted>(driver).size() == 2);
  CHECK(n.sent<net::lease_redirected>(driver).size() == 2);
  CHECK(n.state.report().waiting.at(0).second == 2);
  // The other node has room again: those that wait here move.
  n.see_node(3, amounts({{"CPU", 2}}), amounts({{"CPU", 1}}));
  CHECK(n.sent<net::lease_redirected>(driver).size() == 1);
  CHECK(n.state.report().waiting.at(0).second == 1);
}

TEST_CASE("a view that is not whole changes what it names, and gives back what was sent on") {
  test_node n;
  n.worker_comes(100);
  n.see_node(3, amounts({{"CPU", 2}}), amounts({{"CPU", 2}}));
  for (std::uint64_t i = 1; i <= 6; ++i) n.tell(driver, n.wants(i, 1));
  CHECK(n.sent<net::lease_redirected>(driver).size() == 2);
  // Nothing has changed there: what was sent on has ended, or never came.
  n.tell(head, net::cluster_view());
  CHECK(n.sent<net::lease_redirected>(driver).size() == 2);
  CHECK(n.state.report().waiting.empty());
  net::cluster_view news;
  news.gone = {3};
  n.tell(head, news);
  n.tell(driver, n.wants(7, 1));
  CHECK(n.sent<net::lease_redirected>(driver).empty());
  news.gone.clear();
  news.nodes.push_back({peer_of(4), "n4", amounts({{"CPU", 2}}), amounts({{"CPU", 2}}), {}});
  n.tell(head, news);
  CHECK(n.sent<net::lease_redirected>(driver).size() == 1);
}

TEST_CASE("what was sent on counts as taken for a while only, when no view tells of it") {
  test_node n;
  n.worker_comes(100);
  n.see_node(3, amounts({{"CPU", 2}}), amounts({{"CPU", 2}}));
  for (std::uint64_t i = 1; i <= 5; ++i) n.tell(driver, n.wants(i, 1));
  CHECK(n.sent<net::lease_redirected>(driver).size() == 2);
  n.pass(100ms);
  CHECK(n.sent<net::lease_redirected>(driver).empty());
  n.pass(1s);  // it has ended there before that node could report it
  CHECK(n.sent<net::lease_redirected>(driver).size() == 1);
}

TEST_CASE("a worker's death ends its leases, is told with its cause, and its job has another") {
  test_node n;
  const auto token = n.worker_comes(100);
  n.tell(driver, n.wants(1, 2));
  n.effects.clear();
  n.exit(token);
  const auto told = n.sent<net::process_died>(driver);
  REQUIRE(told.size() == 1);
  CHECK(told[0].process == 100);
  CHECK_THAT(told[0].cause, contains("signal 9") && contains("last words"));
  CHECK(!told[0].clean);
  CHECK(n.sent<net::process_died>(head).size() == 1);
  CHECK(n.state.leases() == 0);
  n.tell(driver, n.wants(2, 2));
  n.worker_comes(101);
  CHECK(n.sent<net::lease_granted>(driver).at(0).worker.id == 101);
  // The head tells all, also who told it.
  n.tell(head, net::process_died{100, "signal 9", false});
  CHECK(n.sent<net::process_died>(driver).empty());
}

// The head hears of a process from its node; what registered there while it was cut off, it does
// not.
TEST_CASE("what the processes of a dead node owned is free again, also of those nobody heard of") {
  test_node n;
  n.worker_comes(100);
  constexpr net::process_id far = 50;
  constexpr net::process_id its_node = 51;
  const auto of_far = [&](std::uint64_t request) {
    net::request_lease what = n.wants(request, 2);
    what.home = its_node;
    return what;
  };
  n.tell(far, of_far(1));
  n.tell(far, of_far(2));
  n.tell(driver, n.wants(3, 2));
  REQUIRE(n.sent<net::lease_granted>(far).size() == 1);
  n.tell(head, net::process_died{its_node, "it was silent", false});
  CHECK(requests_of(n.sent<net::lease_granted>(driver)) == numbers{3});
  n.tell(far, of_far(4));
  CHECK(n.state.report().waiting.empty());
  CHECK(n.state.leases() == 1);
}

TEST_CASE("what a dead process owned is free again and what it waited for is forgotten") {
  test_node n;
  n.worker_comes(100);
  constexpr net::process_id far = 50;
  n.tell(far, n.wants(1, 2));
  n.tell(far, n.wants(2, 2));
  n.tell(driver, n.wants(3, 2));
  const auto lease = n.sent<net::lease_granted>(far).at(0).lease;
  n.tell(head, net::process_died{far, "signal 9", false});
  CHECK(n.sent<net::close_lease>(100).at(0).lease == lease);
  CHECK(requests_of(n.sent<net::lease_granted>(driver)) == numbers{3});
  CHECK(n.sent<net::process_died>(driver).at(0).process == far);
  n.tell(far, n.wants(4, 1));
  CHECK(n.state.report().waiting.empty());
}

TEST_CASE(
    "a worker that ends before it registers is started again, then the requests are refused") {
  test_node n;
  n.tell(driver, n.wants(1, 1));
  for (int i = 0; i < 3; ++i) {
    const auto started = n.done<net::start_worker>();
    REQUIRE(started.size() == 1);
    CHECK(n.sent<net::lease_refused>(driver).empty());
    n.exit(started[0].token, "exit code 3");
  }
  CHECK(n.done<net::start_worker>().empty());
  const auto refused = n.sent<net::lease_refused>(driver);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].why == net::refusal::worker_failed);
  CHECK_THAT(refused[0].text,
             contains("exit code 3") && contains("last words") && contains("/program"));
  CHECK(n.state.report().available == amounts({{"CPU", 2}}));
  n.tell(driver, n.wants(2, 1));
  CHECK(n.done<net::start_worker>().size() == 1);
}

TEST_CASE("a worker that does not register in time is killed, once its files were there") {
  test_node n;
  const auto started = n.done<net::start_worker>();
  REQUIRE(started.size() == 1);
  n.tell(driver, n.wants(1, 1));
  n.pass(1h);  // its files are on their way
  CHECK(n.done<net::kill_worker>().empty());
  n.state.worker_begins(n.now, started[0].token);
  n.pass(59s);
  CHECK(n.done<net::kill_worker>().empty());
  n.pass(1s);
  CHECK(n.done<net::kill_worker>().size() == 1);
}

TEST_CASE("a start token is good once, and only one that was given out") {
  test_node n;
  const auto token = n.worker_comes(100);
  net::register_process hello;
  hello.role = net::process_role::worker;
  for (const std::uint64_t wrong : {token, token + 1}) {
    hello.start_token = wrong;
    n.state.received(n.now, peer_of(200), hello);
    n.take();
    CHECK_THAT(n.sent<net::registered>(200).at(0).refused, contains("start token"));
  }
}

TEST_CASE("an isolated lease has a worker of its own, which ends with it") {
  test_node n(resources({{"CPU", 2}, {"GPU", 2}}));
  n.worker_comes(100);
  auto what = n.wants(1, 1);
  what.isolated = true;
  what.wanted = amounts({{"CPU", 1}, {"GPU", 1}});
  n.tell(driver, what);
  {
    auto started = n.done<net::start_worker>();
    REQUIRE(started.size() == 1);
    CHECK(started[0].gpus == std::vector<std::uint32_t>{0});
    net::register_process hello;
    hello.role = net::process_role::worker;
    hello.start_token = started[0].token;
    n.state.received(n.now, peer_of(101), hello);
    n.take();
  }
  const auto granted = n.sent<net::lease_granted>(driver);
  REQUIRE(granted.size() == 1);
  CHECK(granted[0].worker.id == 101);
  CHECK(n.sent<net::open_lease>(101).at(0).gpus == std::vector<std::uint32_t>{0});
  n.tell(driver, net::return_lease{granted[0].lease});
  CHECK(n.sent<net::end_process>(101).size() == 1);
  n.pass(10s);
  CHECK(n.done<net::kill_worker>().size() == 1);
  n.tell(driver, n.wants(2, 1));
  CHECK(n.sent<net::lease_granted>(driver).at(0).worker.id == 100);
}

TEST_CASE("whole GPUs wait for ids that are free of shares") {
  test_node n(resources({{"CPU", 8}, {"GPU", 2}}));
  n.worker_comes(100);
  const auto gpu = [&](std::uint64_t request, double amount) {
    auto what = n.wants(request, 1);
    what.wanted = amounts({{"GPU", amount}});
    n.tell(driver, what);
  };
  gpu(1, 0.6);
  gpu(2, 0.6);
  const auto shares = n.sent<net::lease_granted>(driver);
  REQUIRE(shares.size() == 2);
  gpu(3, 0.7);  // 0.8 are free, in two pieces
  CHECK(n.sent<net::lease_granted>(driver).empty());
  n.sent<net::open_lease>(100);
  n.tell(driver, net::return_lease{shares[0].lease});
  CHECK(requests_of(n.sent<net::lease_granted>(driver)) == numbers{3});
  CHECK(n.sent<net::open_lease>(100).at(0).gpus == std::vector<std::uint32_t>{0});
}

TEST_CASE("a job's end ends its workers, but not one that holds a detached actor") {
  test_node n;
  const auto shared = n.worker_comes(100);
  n.tell(head, n.wants(1, 1));
  const auto detached = n.sent<net::lease_granted>(head).at(0).lease;
  auto alone = n.wants(2, 1);
  alone.isolated = true;
  n.tell(driver, alone);
  n.worker_comes(101);
  n.effects.clear();

  n.tell(driver, net::goodbye{});
  CHECK(n.sent<net::job_ended>(head).at(0).job == 1);
  n.tell(head, net::job_ended{1, true});
  CHECK(n.sent<net::end_process>(100).empty());
  CHECK(n.sent<net::end_process>(101).size() == 1);
  n.pass(10s);
  const auto killed = n.done<net::kill_worker>();
  REQUIRE(killed.size() == 1);
  CHECK(killed[0].token != shared);

  n.tell(head, net::return_lease{detached});
  CHECK(n.sent<net::end_process>(100).size() == 1);
  n.pass(10s);
  CHECK(n.done<net::kill_worker>().at(0).token == shared);
}

TEST_CASE("what a detached actor has got outlives the job, and ends with the last of them") {
  test_node n(resources({{"CPU", 4}}));
  n.worker_comes(100);
  n.tell(head, n.wants(1, 1));
  CHECK(n.sent<net::open_lease>(100).at(0).outlives_job);
  const auto alone = [&n](std::uint64_t request, net::process_id owner, bool outlives,
                          net::process_id worker) {
    auto what = n.wants(request, 1);
    what.isolated = true;
    what.outlives_job = outlives;
    n.tell(owner, what);
    n.worker_comes(worker);
    return n.sent<net::open_lease>(worker).at(0).outlives_job;
  };
  CHECK(alone(2, 100, true, 101));
  CHECK_FALSE(alone(3, driver, false, 102));
  n.effects.clear();

  n.tell(driver, net::goodbye{});
  n.tell(head, net::job_ended{1, true});
  CHECK(n.sent<net::end_process>(100).empty());
  CHECK(n.sent<net::end_process>(101).empty());
  CHECK(n.sent<net::end_process>(102).size() == 1);
  // Who asks now can only do so for one of those.
  CHECK(alone(4, 101, false, 103));

  SECTION("it has ended") { n.tell(head, net::job_ended{1, false}); }
  SECTION("it ended while the head was away") {
    net::joined answer;
    answer.returning = true;
    n.tell(head, answer);
  }
  for (const net::process_id worker : {100, 101, 103}) {
    CHECK(n.sent<net::end_process>(worker).size() == 1);
  }
  n.pass(10s);
  CHECK(n.done<net::kill_worker>().size() == 4);
}

TEST_CASE("what a head has not taken when it died is free again, what its next life got is not") {
  test_node n(resources({{"CPU", 4}}));
  n.worker_comes(100);
  n.tell(head, n.wants(1, 1));
  n.tell(head, n.wants(2, 1));
  const auto before = n.sent<net::lease_granted>(head);
  n.tell(driver, n.wants(3, 1));
  n.sent<net::open_lease>(100);
  n.state.head_renewed(n.now, peer_of(head));
  // It may ask before it has answered the node that returns, and knows of the grant after that.
  n.tell(head, n.wants(4, 1));
  net::joined answer;
  answer.returning = true;
  answer.jobs = {1};
  answer.leases = {before.at(0).lease};
  n.tell(head, answer);
  const auto closed = n.sent<net::close_lease>(100);
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].lease == before.at(1).lease);
  CHECK(n.state.leases() == 3);
}

TEST_CASE("an idle worker ends where its driver is not, and stays where it is") {
  test_node n(resources({{"CPU", 2}}), false);
  net::job_started elsewhere;
  elsewhere.job = 4;
  elsewhere.driver = peer_of(77);
  n.tell(head, elsewhere);
  CHECK(n.done<net::start_worker>().empty());
  n.tell(77, n.wants(1, 1, 4));
  n.worker_comes(100);
  const auto lease = n.sent<net::lease_granted>(77).at(0).lease;
  n.pass(100s);
  CHECK(n.sent<net::end_process>(100).empty());
  n.tell(77, net::return_lease{lease});
  n.pass(60s);
  CHECK(n.sent<net::end_process>(100).size() == 1);
  // It may still be leaving: the next request has a new one.
  n.tell(77, n.wants(2, 1, 4));
  CHECK(n.done<net::start_worker>().size() == 1);

  test_node m;
  m.worker_comes(100);
  m.pass(1h);
  CHECK(m.sent<net::end_process>(100).empty());
}

TEST_CASE("a request that is ahead of the news of its job waits for it, but not for ever") {
  test_node n;
  n.tell(50, n.wants(1, 1, 9));
  n.tell(50, n.wants(2, 1, 8));
  net::job_started late;
  late.job = 9;
  late.driver = peer_of(50);
  n.done<net::start_worker>();
  n.tell(head, late);
  n.worker_comes(100);
  CHECK(requests_of(n.sent<net::lease_granted>(50)) == numbers{1});
  n.pass(10s);
  const auto refused = n.sent<net::lease_refused>(50);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].request == 2);
  CHECK_THAT(refused[0].text, contains("job 8"));
}

TEST_CASE("a driver that goes before its job is numbered has the job ended") {
  test_node n(resources({{"CPU", 2}}), false);
  net::register_process hello;
  hello.role = net::process_role::driver;
  n.state.received(n.now, peer_of(driver), hello);
  n.tell(driver, net::goodbye{});
  net::job_started started;
  started.job = 3;
  started.driver = peer_of(driver);
  n.tell(head, started);
  CHECK(n.sent<net::job_ended>(head).at(0).job == 3);
  CHECK(n.done<net::start_worker>().empty());
}

TEST_CASE("two jobs share the resources and not the workers") {
  test_node n;
  n.worker_comes(100);
  n.add_job(2, other_driver);
  n.worker_comes(101);
  n.tell(driver, n.wants(1, 1, 1));
  n.tell(other_driver, n.wants(1, 1, 2));
  n.tell(other_driver, n.wants(2, 1, 2));
  CHECK(n.sent<net::lease_granted>(driver).at(0).worker.id == 100);
  const auto theirs = n.sent<net::lease_granted>(other_driver);
  REQUIRE(theirs.size() == 1);
  CHECK(theirs[0].worker.id == 101);
}

TEST_CASE("a node that ends refuses what waits and what comes, and ends its workers") {
  test_node n;
  const auto token = n.worker_comes(100);
  n.tell(driver, n.wants(1, 2));
  n.tell(driver, n.wants(2, 2));
  n.state.shut_down(n.now);
  n.take();
  n.tell(driver, n.wants(3, 1));
  const auto refused = n.sent<net::lease_refused>(driver);
  REQUIRE(refused.size() == 2);
  CHECK(refused[0].why == net::refusal::shutting_down);
  CHECK(n.sent<net::end_process>(100).size() == 1);
  n.pass(5s);
  CHECK(n.done<net::kill_worker>().at(0).token == token);
  n.exit(token, "exit code 0", true);
  CHECK(n.state.workers() == 0);
  CHECK(n.sent<net::process_died>(driver).at(0).clean);
}

TEST_CASE("a process that begins is told who has died before") {
  test_node n;
  n.tell(head, net::process_died{77, "it was silent for 10 s", false});
  n.tell(head, net::process_died{78, "it left in good order", true});
  n.worker_comes(100);
  const auto told = n.sent<net::process_died>(100);
  REQUIRE(told.size() == 1);
  CHECK(told.front().process == 77);
}

TEST_CASE("nothing is sent on to a node that has died, also before the next view") {
  test_node n;
  constexpr net::process_id other = 30;
  n.see_node(other, amounts({{"CPU", 8}}), amounts({{"CPU", 8}}));
  n.tell(head, net::process_died{other, "signal 9 (Killed)", false});
  n.tell(driver, n.wants(1, 4));
  CHECK(n.sent<net::lease_redirected>(driver).empty());
}

TEST_CASE("what a node holds and what is free are all that it has") {
  test_node n(resources({{"CPU", 4}, {"GPU", 1}}));
  n.worker_comes(20);
  n.tell(driver, n.wants(1, 1));
  n.tell(driver, n.wants(2, 2));
  core::resource_set sum = n.state.available();
  for (const auto& one : n.state.holdings()) sum += one.wanted;
  CHECK(sum == n.state.settings().total);
  CHECK(n.state.holdings().size() == 2);
  n.tell(20, net::suspend_lease{n.sent<net::lease_granted>(driver).at(0).lease});
  sum = n.state.available();
  for (const auto& one : n.state.holdings()) sum += one.wanted;
  CHECK(sum == n.state.settings().total);
}

TEST_CASE("a request that lacks a whole GPU keeps no CPU from those who have parts of it") {
  test_node n(resources({{"CPU", 2}, {"GPU", 2}}));
  n.worker_comes(20);
  const auto wants_gpu = [](std::uint64_t request, double gpus) {
    net::request_lease what = test_node::wants(request, 0.5);
    what.wanted = amounts({{"CPU", 0.5}, {"GPU", gpus}});
    return what;
  };
  // Two shares on one GPU, one on the other; then one of the two goes: no GPU is whole.
  for (const auto& [request, gpus] : {std::pair{1, 0.5}, std::pair{2, 0.5}, std::pair{3, 0.5}}) {
    n.tell(driver, wants_gpu(static_cast<std::uint64_t>(request), gpus));
  }
  const auto shares = n.sent<net::lease_granted>(driver);
  REQUIRE(shares.size() == 3);
  n.tell(driver, net::return_lease{shares[0].lease});
  const auto free_before = n.state.available();
  n.tell(driver, wants_gpu(4, 1));
  CHECK(n.sent<net::lease_granted>(driver).empty());
  CHECK(n.state.available() == free_before);
  CHECK(n.state.report().waiting.size() == 1);
  n.tell(driver, net::return_lease{shares[2].lease});
  CHECK(requests_of(n.sent<net::lease_granted>(driver)) == numbers{4});
}

TEST_CASE("each environment has workers of its own, and what asks for the same shares them") {
  test_node n;
  n.worker_comes(100);
  auto asks = [&](std::uint64_t request, const std::string& environment) {
    net::request_lease what = n.wants(request, 0.1);
    what.surroundings.id = environment;
    n.tell(driver, what);
  };
  asks(1, "green");
  asks(2, "green");
  const auto started = n.done<net::start_worker>();
  REQUIRE(started.size() == 1);
  CHECK(started[0].surroundings.id == "green");
  net::register_process hello;
  hello.role = net::process_role::worker;
  hello.start_token = started[0].token;
  n.state.received(n.now, peer_of(101), hello);
  n.take();
  CHECK(n.sent<net::registered>(101).at(0).surroundings.id == "green");
  for (const auto& granted : n.sent<net::lease_granted>(driver)) CHECK(granted.worker.id == 101);
  asks(3, "");
  CHECK(n.sent<net::lease_granted>(driver).at(0).worker.id == 100);
  asks(4, "blue");
  CHECK(n.done<net::start_worker>().size() == 1);
}

TEST_CASE("an environment that cannot be had fails what waits for it, and is not tried by itself") {
  test_node n;
  n.worker_comes(100);
  net::request_lease what = n.wants(1, 0.1);
  what.surroundings.id = "broken";
  n.tell(driver, what);
  auto started = n.done<net::start_worker>();
  REQUIRE(started.size() == 1);
  SECTION("its files are not there") {
    n.state.worker_impossible(n.now, started[0].token, "the disk is full");
    n.take();
    CHECK_THAT(n.sent<net::lease_refused>(driver).at(0).text, contains("the disk is full"));
  }
  SECTION("its setup fails") {
    net::register_process hello;
    hello.role = net::process_role::worker;
    hello.start_token = started[0].token;
    hello.failure = "no licence";
    n.state.received(n.now, peer_of(101), hello);
    n.take();
    CHECK_THAT(n.sent<net::lease_refused>(driver).at(0).text, contains("no licence"));
    CHECK_THAT(n.sent<net::registered>(101).at(0).refused, contains("no licence"));
  }
  CHECK(n.done<net::kill_worker>().size() == 1);
  n.exit(started[0].token);
  CHECK(n.done<net::start_worker>().empty());
  n.pass(1h);
  CHECK(n.done<net::start_worker>().empty());
  // Whoever asks again has another attempt.
  what.request = 2;
  n.tell(driver, what);
  CHECK(n.done<net::start_worker>().size() == 1);
}

TEST_CASE("a node counts the actors that have a lease of it") {
  test_node n;
  n.worker_comes(100);
  net::request_lease what = n.wants(1, 0);
  what.for_actor = true;
  n.tell(driver, what);
  n.tell(driver, n.wants(2, 1));
  CHECK(n.state.report().actors == 1);
  CHECK(n.state.report().workers == 1);
  const auto granted = n.sent<net::lease_granted>(driver);
  REQUIRE(granted.size() == 2);
  n.tell(driver, net::return_lease{granted[0].lease});
  CHECK(n.state.report().actors == 0);
}

TEST_CASE("a head that was started again is told who came and went while it was away") {
  test_node n;
  const std::uint64_t token = n.worker_comes(20);
  n.exit(token);
  n.take();
  n.sent<net::process_joined>(head);
  n.sent<net::process_died>(head);

  net::peer again = peer_of(head);
  again.epoch = 2;
  n.state.head_renewed(n.now, again);
  n.state.say_again();
  n.take();
  const auto joined = n.sent<net::process_joined>(head);
  const auto died = n.sent<net::process_died>(head);
  REQUIRE(joined.size() == 1);
  REQUIRE(died.size() == 1);
  CHECK(joined[0].process == 20);
  CHECK(died[0].process == 20);
}

TEST_CASE("a request that goes back to the control takes no time from those that wait for a job") {
  test_node n;
  net::request_lease in_group = n.wants(1, 1);
  in_group.group = {driver, 5};
  in_group.located = true;
  n.tell(driver, in_group);
  CHECK(n.sent<net::lease_redirected>(driver).size() == 1);

  n.tell(driver, n.wants(2, 1, 9));
  n.pass(11s);
  const auto refused = n.sent<net::lease_refused>(driver);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].request == 2);
}
