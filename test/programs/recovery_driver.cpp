// What the tests of nodes that are cut off run; see test/cluster/test_recovery.cpp.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "test/programs/scenario.hpp"

using namespace std::chrono_literals;
using scenario::fetch;
using troupe::with;

namespace {

/// Writes a line into a file of all its lives, again and again.
class witness {
 public:
  explicit witness(std::string path) : path_(std::move(path)) {
    timer_ = troupe::this_actor::send_every<&witness::note>(5ms);
    note();
  }
  void note() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    std::ofstream(path_, std::ios::app) << ::getpid() << ' ' << now.count() << '\n';
  }
  int pid() { return ::getpid(); }

 private:
  std::string path_;
  troupe::timer timer_;
};

/// A named actor whose node is stopped; it lives on elsewhere, and its old life is over by then.
void witness_of(const scenario::words& given) {
  auto actor = with({.num_cpus = 1, .name = "witness", .max_restarts = -1, .max_task_retries = -1})
                   .remote<witness>(given.at(0));
  const int first = fetch(actor.remote<&witness::pid>());
  std::cout << "pid " << first << std::endl;
  std::string word;
  std::cin >> word;  // its node is stopped now
  int second = first;
  const auto until = std::chrono::steady_clock::now() + 90s;
  while (second == first && std::chrono::steady_clock::now() < until) {
    try {
      second = troupe::get(actor.remote<&witness::pid>(), 500ms);
    } catch (const troupe::error&) {
    }
    std::this_thread::sleep_for(20ms);
  }
  CHECK(second != first);
  auto same = troupe::get_actor<witness>("witness");
  CHECK(fetch(same.remote<&witness::pid>()) == second);
  std::cout << "again " << second << std::endl;
  std::cin >> word;  // and goes on
  CHECK(fetch(same.remote<&witness::pid>()) == second);
}

int pid() { return ::getpid(); }
/// Tasks run on the node that has come back.
void runs_on(const scenario::words& given) {
  const auto there =
      with({.scheduling = troupe::scheduling::node_affinity(given.at(0))}).remote<pid>();
  CHECK(fetch(there) != ::getpid());
}

/// An actor without restarts on a node that comes back in time: its calls wait, and each runs once.
struct counter {
  int count() { return ++counted; }
  void restore(int to) { counted = to; }
  int counted = 0;
};
void steady(const scenario::words& given) {
  std::vector<troupe::actor_handle<counter>> counters;
  for (const std::string& node : given) {
    counters.push_back(
        with({.scheduling = troupe::scheduling::node_affinity(node)}).remote<counter>());
    CHECK(fetch(counters.back().remote<&counter::count>()) == 1);
  }
  std::cout << "ready 1" << std::endl;
  std::string word;
  std::cin >> word;  // the first cannot be reached now
  const auto waits = counters.front().remote<&counter::count>();
  CHECK_THROWS_AS(troupe::get(waits, 1s), troupe::get_timeout_error);
  std::cout << "waits 1" << std::endl;
  CHECK(fetch(waits) == 2);
  counters.front().remote<&counter::restore>(1);
  for (int i = 2; i <= 500; ++i) {
    std::vector<troupe::object_ref<int>> calls;
    for (const auto& each : counters) calls.push_back(each.remote<&counter::count>());
    for (const auto& call : calls) CHECK(fetch(call) == i);
  }
}

/// The program's own machine loses the cluster: what it waits for ends in an error.
void cut_off(const scenario::words& given) {
  const auto here =
      with({.num_cpus = 0.5, .scheduling = troupe::scheduling::node_affinity(given.at(0))})
          .remote<witness>("/dev/null");
  std::cout << "ready " << fetch(here.remote<&witness::pid>()) << std::endl;
  std::string word;
  std::cin >> word;
  const auto until = std::chrono::steady_clock::now() + 60s;
  bool told = false;
  while (!told && std::chrono::steady_clock::now() < until) {
    try {
      fetch(here.remote<&witness::pid>());
      std::this_thread::sleep_for(20ms);
    } catch (const troupe::get_timeout_error&) {
      break;
    } catch (const troupe::error&) {
      told = true;
    }
  }
  CHECK(told);
}

}  // namespace

int main(int argc, char** argv) {
  return scenario::run(
      argc, argv,
      {{"witness", witness_of}, {"runs_on", runs_on}, {"steady", steady}, {"cut_off", cut_off}});
}
