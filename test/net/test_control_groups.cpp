// Placement groups as the control and the nodes decide about them, without a network: messages are
// delivered in the order of their link, links in an order of the test's choice.
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "net/control_state.hpp"
#include "net/node_state.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/node_states.hpp"

using namespace troupe;
using namespace troupe::test;
using net::group_phase;
using net::group_strategy;

namespace {

constexpr net::process_id head = 1;
constexpr net::process_id driver = 100;

template <class T>
concept for_node = requires(net::node_state& n, T what) {
  n.received(net::node_state::time{}, net::process_id{}, what);
};
template <class T>
concept for_control = requires(net::control_state& c, T what) {
  c.received(net::control_state::time{}, net::process_id{}, what);
};

/// A control and nodes; node 1 is the head's.
class group_world {
 public:
  explicit group_world(std::size_t nodes, double cpus = 4, double gpus = 0, std::uint64_t seed = 1)
      : random_(seed) {
    for (net::process_id id = 1; id <= nodes; ++id) {
      add_node(id, cpus, gpus);
      settle();
    }
    start_job();
    settle();
  }

  void add_node(net::process_id id, double cpus, double gpus = 0) {
    net::node_settings settings;
    settings.self = peer_of(id, "host" + std::to_string(id));
    settings.head = peer_of(head, "host1");
    settings.name = "n" + std::to_string(id);
    settings.total = resources({{"CPU", cpus}, {"GPU", gpus}, {"disk", 2}});
    net::join_cluster hello;
    hello.node = settings.self;
    hello.name = settings.name;
    hello.total = amounts({{"CPU", cpus}, {"GPU", gpus}, {"disk", 2}});
    nodes_.emplace(id, std::make_unique<net::node_state>(settings));
    to_control(id, hello);
  }
  void kill_node(net::process_id id) {
    nodes_.erase(id);
    std::erase_if(links_, [id](const auto& link) {
      return link.first.first == id || link.first.second == id;
    });
    control_.node_gone(now, id, "it was killed", false);
    collect();
  }

  net::global_id create(std::vector<net::demand> bundles, group_strategy strategy,
                        const std::string& name = "", bool detached = false) {
    net::create_group what;
    what.group = {driver, ++last_group_};
    what.job = 1;
    what.name = name;
    what.strategy = strategy;
    what.detached = detached;
    what.bundles = std::move(bundles);
    const net::global_id id = what.group;
    to_control(driver, std::move(what));
    return id;
  }
  void remove(net::global_id id) { to_control(driver, net::remove_group{id}); }
  std::uint64_t ask_lease(net::global_id group, std::int32_t bundle, net::demand wanted) {
    net::request_lease what;
    what.request = ++last_request_;
    what.job = 1;
    what.name = "task";
    what.group = group;
    what.bundle = bundle;
    what.wanted = std::move(wanted);
    requests_[what.request] = what;
    to_control(driver, what);
    return what.request;
  }

  template <class T>
  void to_control(net::process_id from, T what) {
    links_[{from, head}].push_back([this, from, what = std::move(what)]() mutable {
      control_.received(now, from, std::move(what));
    });
  }

  /// Delivers everything; links take turns by chance.
  void settle() {
    collect();
    while (step()) collect();
  }
  bool step() {
    std::vector<link_key> busy;
    for (const auto& [key, queue] : links_) {
      if (!queue.empty()) busy.push_back(key);
    }
    if (busy.empty()) return false;
    const link_key chosen = busy[random_() % busy.size()];
    auto deliver = std::move(links_.at(chosen).front());
    links_.at(chosen).pop_front();
    deliver();
    return true;
  }
  void pass(std::chrono::milliseconds time) {
    for (auto end = now + time; now < end;) {
      now += 100ms;
      for (auto& [id, node] : nodes_) {
        node->tick(now);
        to_control(id, node->report());
      }
      control_.tick(now);
      settle();
    }
  }

  net::status::group group(net::global_id id) {
    for (const auto& g : control_.make_status().groups) {
      if (g.id == id) return g;
    }
    return {};
  }
  bool exists(net::global_id id) { return group(id).id == id; }
  double free_cpus(net::process_id node) {
    for (const auto& [name, units] : nodes_.at(node)->report().available) {
      if (name == "CPU") return static_cast<double>(units) / 10'000;
    }
    return 0;
  }
  std::size_t reservations() {
    std::size_t count = 0;
    for (const auto& [id, node] : nodes_) count += node->reservations();
    return count;
  }
  std::size_t leases() {
    std::size_t count = 0;
    for (const auto& [id, node] : nodes_) count += node->leases();
    return count;
  }

  net::control_state::time now{1h};
  std::map<std::uint64_t, std::pair<net::process_id, net::lease_id>> granted;  // by request
  std::map<std::uint64_t, std::string> refused;
  std::vector<net::lease_revoked> revoked;
  std::vector<net::group_reply> replies;

 private:
  using link_key = std::pair<net::process_id, net::process_id>;

  void start_job() {
    settle();
    net::register_process hello;
    hello.role = net::process_role::driver;
    hello.executable = "/program";
    nodes_.at(1)->received(now, peer_of(driver, "host1"), hello);
  }

  /// What a worker that was started says at once.
  void start(net::process_id node, const net::start_worker& what) {
    net::register_process hello;
    hello.role = net::process_role::worker;
    hello.start_token = what.token;
    const net::process_id worker = 1'000 + ++last_worker_;
    links_[{worker, node}].push_back([this, node, worker, hello] {
      if (nodes_.count(node) != 0) nodes_.at(node)->received(now, peer_of(worker), hello);
    });
  }

  void collect() {
    for (bool more = true; more;) {
      more = false;
      for (auto& [id, node] : nodes_) {
        for (net::node_effect& e : node->take_effects()) {
          more = true;
          if (const auto* begun = std::get_if<net::start_worker>(&e)) start(id, *begun);
          auto* const send = std::get_if<net::send_from_node>(&e);
          if (send == nullptr) continue;
          std::visit([&](auto& what) { from_node(id, send->to, what); }, send->what);
        }
      }
      for (net::control_effect& e : control_.take_effects()) {
        more = true;
        auto* const send = std::get_if<net::send_from_control>(&e);
        if (send == nullptr) continue;
        std::visit([&](auto& what) { from_control(send->to, what); }, send->what);
      }
    }
  }
  template <class T>
  void from_node(net::process_id node, net::process_id to, const T& what) {
    if (to == head) {
      if constexpr (for_control<T>) to_control(node, what);
    } else if (to == driver) {
      links_[{node, driver}].push_back([this, node, what] { to_driver(node, what); });
    }
  }
  template <class T>
  void from_control(net::process_id to, const T& what) {
    if (to == driver) {
      links_[{head, driver}].push_back([this, what] { to_driver(head, what); });
    } else if constexpr (for_node<T>) {
      links_[{head, to}].push_back([this, to, what] {
        if (nodes_.count(to) != 0) nodes_.at(to)->received(now, head, what);
      });
    }
  }
  template <class T>
  void to_driver(net::process_id from, const T& what) {
    if constexpr (std::is_same_v<T, net::lease_granted>) {
      granted[what.request] = {from, what.lease};
    } else if constexpr (std::is_same_v<T, net::lease_refused>) {
      refused[what.request] = what.text;
    } else if constexpr (std::is_same_v<T, net::lease_revoked>) {
      revoked.push_back(what);
    } else if constexpr (std::is_same_v<T, net::group_reply>) {
      replies.push_back(what);
    } else if constexpr (std::is_same_v<T, net::lease_redirected>) {
      net::request_lease again = requests_.at(what.request);
      again.located = what.located;
      if (!what.located) return to_control(driver, again);
      links_[{driver, what.node.id}].push_back([this, to = what.node.id, again] {
        if (nodes_.count(to) != 0) nodes_.at(to)->received(now, driver, again);
      });
    }
  }

  std::mt19937_64 random_;
  net::control_state control_{{peer_of(head, "host1")}};
  std::map<net::process_id, std::unique_ptr<net::node_state>> nodes_;
  std::map<link_key, std::deque<std::function<void()>>> links_;
  std::map<std::uint64_t, net::request_lease> requests_;
  std::uint64_t last_group_ = 0;
  std::uint64_t last_request_ = 0;
  std::uint64_t last_worker_ = 0;
};

const net::demand one_cpu = amounts({{"CPU", 1}});

}  // namespace

TEST_CASE("a group's bundles are reserved on the nodes, and free again when it is removed") {
  group_world w(2);
  const auto id = w.create({one_cpu, one_cpu}, group_strategy::strict_spread);
  w.settle();
  CHECK(w.group(id).phase == group_phase::created);
  CHECK(w.group(id).nodes == std::vector<std::string>{"n1", "n2"});
  CHECK(w.free_cpus(1) == 3);
  CHECK(w.free_cpus(2) == 3);
  w.remove(id);
  w.settle();
  CHECK(!w.exists(id));
  CHECK(w.free_cpus(1) == 4);
  CHECK(w.reservations() == 0);
}

TEST_CASE("racing groups never keep a part of what they want, and all get their turn") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 60)));
  group_world w(4, 2, 0, seed);
  // Each wants most of the cluster: at most one of the large ones fits at a time.
  std::vector<net::global_id> waiting;
  for (int i = 0; i < 6; ++i) {
    const auto strategy = i % 2 == 0 ? group_strategy::spread : group_strategy::strict_spread;
    const auto amount = i % 3 == 2 ? 1 : 2;
    waiting.push_back(
        w.create(std::vector<net::demand>(4, amounts({{"CPU", double(amount)}})), strategy));
  }
  std::size_t created = 0;
  for (int round = 0; round < 200 && !waiting.empty(); ++round) {
    w.pass(300ms);
    double reserved = 0;
    double placed = 0;
    for (net::process_id node = 1; node <= 4; ++node) reserved += 2 - w.free_cpus(node);
    for (const auto id : waiting) {
      const auto g = w.group(id);
      if (g.phase != group_phase::created) continue;
      for (const auto& bundle : g.bundles) placed += static_cast<double>(bundle[0].second) / 1e4;
    }
    REQUIRE(reserved == placed);
    REQUIRE(placed > 0);  // somebody has won
    for (auto at = waiting.begin(); at != waiting.end();) {
      if (w.group(*at).phase != group_phase::created) {
        ++at;
        continue;
      }
      ++created;
      w.remove(*at);
      at = waiting.erase(at);
    }
  }
  CHECK(created == 6);
  w.pass(300ms);
  CHECK(w.reservations() == 0);
}

TEST_CASE("a group that cannot be placed says why, and is placed when a node brings the room") {
  group_world w(1);
  const auto id = w.create({one_cpu, one_cpu}, group_strategy::strict_spread);
  w.settle();
  CHECK(w.group(id).phase == group_phase::pending);
  CHECK_THAT(w.group(id).why, contains("infeasible: 2 bundles need as many nodes"));
  w.add_node(2, 4);
  w.settle();
  CHECK(w.group(id).phase == group_phase::created);
}

TEST_CASE("leases in a group go to the node of the bundle and use what was reserved alone") {
  group_world w(2);
  const auto id = w.create({one_cpu, one_cpu}, group_strategy::strict_spread);
  w.settle();
  const auto first = w.ask_lease(id, 0, one_cpu);
  const auto second = w.ask_lease(id, 1, one_cpu);
  const auto third = w.ask_lease(id, 1, one_cpu);
  w.settle();
  CHECK(w.granted.at(first).first == 1);
  CHECK(w.granted.at(second).first == 2);
  CHECK(w.granted.count(third) == 0);  // the bundle is full, the node is not
  CHECK(w.free_cpus(2) == 3);
  const auto any = w.ask_lease(id, -1, amounts({}));
  w.settle();
  CHECK(w.granted.count(any) == 1);
}

TEST_CASE("a request for any bundle that waits is served by whichever is free first") {
  group_world w(2, 1);
  const auto id = w.create({one_cpu, one_cpu}, group_strategy::strict_spread);
  w.settle();
  const auto a = w.ask_lease(id, -1, one_cpu);
  const auto b = w.ask_lease(id, -1, one_cpu);
  const auto c = w.ask_lease(id, -1, one_cpu);
  w.pass(500ms);
  REQUIRE(w.granted.size() == 2);
  w.remove(id);
  w.pass(500ms);
  CHECK(w.revoked.size() == 2);
  CHECK(w.refused.size() == 1);
  CHECK(w.leases() == 0);
  static_cast<void>(a + b + c);
}

TEST_CASE("what a bundle can never hold is refused, as is a bundle that is not there") {
  group_world w(1);
  const auto id = w.create({one_cpu}, group_strategy::pack, "small");
  const auto large = w.ask_lease(id, -1, amounts({{"CPU", 2}}));
  const auto beyond = w.ask_lease(id, 1, one_cpu);
  w.settle();
  CHECK_THAT(w.refused.at(large), contains("no bundle of placement group 'small' has"));
  CHECK_THAT(w.refused.at(beyond), contains("has 1 bundles, and no bundle 1"));
}

TEST_CASE("a request waits until its group is placed, or is known at all") {
  group_world w(1, 1);
  const auto blocker = w.create({one_cpu}, group_strategy::pack);
  const auto id = w.create({one_cpu}, group_strategy::pack);
  const auto early = w.ask_lease({driver, 3}, 0, one_cpu);
  const auto waits = w.ask_lease(id, 0, one_cpu);
  w.settle();
  CHECK(w.granted.empty());
  w.remove(blocker);
  w.settle();
  CHECK(w.granted.count(waits) == 1);
  w.pass(10s);
  CHECK_THAT(w.refused.at(early), contains("there is no such placement group"));
}

TEST_CASE("bundles of a node that dies are placed anew before new groups, and the rest stays") {
  group_world w(3, 1);
  const auto id = w.create({one_cpu, one_cpu, one_cpu}, group_strategy::spread);
  w.settle();
  const auto newer = w.create({one_cpu}, group_strategy::pack);
  w.settle();
  REQUIRE(w.group(id).phase == group_phase::created);
  w.kill_node(3);
  w.settle();
  CHECK(w.group(id).phase == group_phase::rescheduling);
  const auto waits = w.ask_lease(id, 2, one_cpu);
  w.settle();
  CHECK(w.granted.empty());
  w.add_node(4, 1);
  w.settle();
  CHECK(w.group(id).phase == group_phase::created);
  CHECK(w.group(newer).phase == group_phase::pending);
  CHECK(w.granted.at(waits).first == 4);
}

TEST_CASE("a node that dies while a group is being prepared leaves nothing reserved elsewhere") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 40)));
  group_world w(3, 1, 0, seed);
  const auto id = w.create({one_cpu, one_cpu, one_cpu}, group_strategy::strict_spread);
  const auto steps = seed % 8;
  for (std::uint64_t i = 0; i < steps; ++i) w.step();
  w.kill_node(2);
  w.settle();
  w.pass(2s);
  if (w.group(id).phase == group_phase::pending) {
    CHECK(w.reservations() == 0);
  } else {
    CHECK(w.group(id).phase == group_phase::rescheduling);
    CHECK(w.reservations() == 2);
  }
  w.add_node(4, 1);
  w.pass(2s);
  CHECK(w.group(id).phase == group_phase::created);
}

TEST_CASE("bundles that are lost while others are placed anew are placed anew, too") {
  const auto steps = GENERATE(range(0, 12));
  group_world w(6, 1, 0, static_cast<std::uint64_t>(steps) + 1);
  const auto id = w.create({one_cpu, one_cpu, one_cpu}, group_strategy::strict_spread);
  w.settle();
  REQUIRE(w.group(id).phase == group_phase::created);
  const std::vector<std::string> nodes = w.group(id).nodes;
  const auto number = [](const std::string& name) {
    return static_cast<net::process_id>(std::stoi(name.substr(1)));
  };
  const auto first = number(nodes[0]) != head ? nodes[0] : nodes[2];
  const auto second = number(nodes[1]) != head ? nodes[1] : nodes[2];
  w.kill_node(number(first));
  for (int i = 0; i < steps; ++i) w.step();
  w.kill_node(number(second));
  w.settle();
  w.pass(2s);
  CHECK(w.group(id).phase == group_phase::created);
  CHECK(w.reservations() == 3);
}

TEST_CASE("groups end with their job and their creator unless they are detached") {
  group_world w(1);
  const auto scoped = w.create({one_cpu}, group_strategy::pack);
  const auto kept = w.create({one_cpu}, group_strategy::pack, "kept", true);
  w.settle();
  w.to_control(1, net::process_died{driver, "signal 9", false});
  w.settle();
  CHECK(!w.exists(scoped));
  CHECK(w.exists(kept));
}

TEST_CASE("of two groups of one name the second is refused, and told so") {
  group_world w(1);
  w.create({one_cpu}, group_strategy::pack, "gang");
  const auto second = w.create({one_cpu}, group_strategy::pack, "gang");
  w.settle();
  REQUIRE(w.replies.size() == 2);  // the first is told that the head knows it
  CHECK(w.replies[0].phase == group_phase::pending);
  CHECK(w.replies[1].group == second);
  CHECK_THAT(w.replies[1].why, contains("'gang' is taken"));
}

TEST_CASE("bundles of GPUs reserve ids, parts of one GPU lie together") {
  group_world w(1, 4, 2);
  const auto halves =
      w.create({amounts({{"GPU", 0.5}}), amounts({{"GPU", 0.5}})}, group_strategy::pack);
  const auto whole = w.create({amounts({{"GPU", 1}})}, group_strategy::pack);
  w.settle();
  CHECK(w.group(halves).phase == group_phase::created);
  CHECK(w.group(whole).phase == group_phase::created);
  const auto a = w.ask_lease(halves, 0, amounts({{"GPU", 0.5}}));
  const auto b = w.ask_lease(whole, 0, amounts({{"GPU", 1}}));
  w.settle();
  CHECK(w.granted.count(a) == 1);
  CHECK(w.granted.count(b) == 1);
}
