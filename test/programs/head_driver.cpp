// What the tests of a head that dies run; see test/cluster/test_head_recovery.cpp.
#include <fcntl.h>
#include <sys/file.h>
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

/// Writes each life that it begins into a file, and holds a lock that only one life can have.
class tally {
 public:
  explicit tally(const std::string& path) {
    lock_ = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool alone = ::flock(lock_, LOCK_EX | LOCK_NB) == 0;
    std::ofstream(path, std::ios::app) << (alone ? "life " : "twin ") << ::getpid() << '\n';
  }
  ~tally() { ::close(lock_); }
  int add(int by) { return sum_ += by; }
  int pid() { return ::getpid(); }

 private:
  int lock_ = -1;
  int sum_ = 0;
};

void say(const char* word, long value) { std::cout << word << ' ' << value << std::endl; }
void wait_for_word() {
  std::string word;
  std::cin >> word;
}

auto make_tally(const std::string& path, int max_restarts = 0) {
  return with({.num_cpus = 1,
               .name = "tally",
               .lifetime = troupe::lifetime::detached,
               .max_restarts = max_restarts})
      .remote<tally>(path);
}

/// Makes it and leaves: PATH [RESTARTS].
void make(const scenario::words& given) {
  auto actor = make_tally(given.at(0), given.size() > 1 ? std::stoi(given.at(1)) : 0);
  CHECK(fetch(actor.remote<&tally::add>(3)) == 3);
  say("pid", fetch(actor.remote<&tally::pid>()));
}

/// Finds it: its state is there, when it lives in PID.
void find(const scenario::words& given) {
  auto actor = troupe::get_actor<tally>("tally");
  say("sum", fetch(actor.remote<&tally::add>(1)));
  CHECK(given.empty() || fetch(actor.remote<&tally::pid>()) == std::stol(given.at(0)));
}

void is_gone(const scenario::words&) {
  CHECK_THROWS_AS(troupe::get_actor<tally>("tally"), troupe::actor_name_error);
}

/// Finds one whose node has died: another life of it.
void find_elsewhere(const scenario::words& given) {
  auto actor = troupe::get_actor<tally>("tally");
  const auto until = std::chrono::steady_clock::now() + 90s;
  int pid = 0;
  while (pid == 0 && std::chrono::steady_clock::now() < until) {
    try {
      pid = troupe::get(actor.remote<&tally::pid>(), 1s);
      if (pid == std::stol(given.at(0))) pid = 0;
    } catch (const troupe::actor_died_error&) {
      throw;
    } catch (const troupe::error&) {
    }
    std::this_thread::sleep_for(20ms);
  }
  CHECK(pid != 0);
}

void end_it(const scenario::words&) {
  auto actor = troupe::get_actor<tally>("tally");
  troupe::kill(actor);
  const auto until = std::chrono::steady_clock::now() + 60s;
  for (bool there = true; there && std::chrono::steady_clock::now() < until;) {
    try {
      troupe::get_actor<tally>("tally");
    } catch (const troupe::actor_name_error&) {
      there = false;
    }
  }
  CHECK_THROWS_AS(troupe::get_actor<tally>("tally"), troupe::actor_name_error);
}

int square(int x) {
  std::this_thread::sleep_for(2ms);
  return x * x;
}
struct pair_of_calls {
  int add(int by) { return sum += by; }
  int sum = 0;
};

/// A program's work goes on while the head is away, and what it asks the head is answered later.
void goes_on(const scenario::words& given) {
  auto actor = with({.num_cpus = 0}).remote<pair_of_calls>();
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 1);
  auto named = make_tally(given.at(0));
  CHECK(fetch(named.remote<&tally::add>(1)) == 1);
  say("ready", 1);
  wait_for_word();  // the head is dead now
  std::vector<troupe::object_ref<int>> squares;
  for (int i = 0; i < 200; ++i) squares.push_back(troupe::remote<square>(i));
  for (int i = 0; i < 200; ++i) CHECK(fetch(squares[static_cast<std::size_t>(i)]) == i * i);
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 2);
  CHECK(fetch(named.remote<&tally::add>(1)) == 2);
  // Asked while nobody is there to answer.
  std::jthread asker([] {
    auto again = troupe::get_actor<tally>("tally");
    CHECK(fetch(again.remote<&tally::add>(1)) == 3);
    auto other = with({.num_cpus = 0, .name = "other"}).remote<pair_of_calls>();
    CHECK(fetch(other.remote<&pair_of_calls::add>(5)) == 5);
  });
  std::this_thread::sleep_for(200ms);
  say("asked", 1);
  wait_for_word();  // and is being started again
  asker.join();
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 3);
  CHECK(troupe::cluster_resources().at("CPU") > 0);
}

int node_pid() { return ::getppid(); }

/// A placement group and what runs in it.
void holds_group(const scenario::words&) {
  const troupe::placement_group group({.bundles = {{.num_cpus = 1}, {.num_cpus = 1}},
                                       .strategy = troupe::placement_strategy::strict_spread});
  CHECK(group.wait(60s));
  auto actor =
      with({.num_cpus = 1, .placement_group = group, .bundle_index = 0}).remote<pair_of_calls>();
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 1);
  const int where =
      fetch(with({.num_cpus = 1, .placement_group = group, .bundle_index = 1}).remote<node_pid>());
  say("ready", 1);
  wait_for_word();  // the head is dead now
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 2);
  // Asked of the dead head: a task in the group, and another group, which waits for room.
  auto there =
      with({.num_cpus = 1, .placement_group = group, .bundle_index = 1}).remote<node_pid>();
  const troupe::placement_group second({.bundles = {{.num_cpus = 2}}});
  say("asked", 1);
  wait_for_word();  // and is being started again
  CHECK(fetch(there) == where);
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 3);
  CHECK(!second.wait(500ms));
  group.remove();
  CHECK(second.wait(60s));
}

std::vector<int> many(int x) { return std::vector<int>(200'000, x); }
bool is_lost(const troupe::object_ref<std::vector<int>>& value) {
  try {
    troupe::get(value, 20s);
  } catch (const troupe::object_lost_error&) {
    return true;
  } catch (const troupe::get_timeout_error&) {
  }
  return false;
}
/// Values of a node that dies while nobody is there who could tell of it.
void loses_values(const scenario::words&) {
  std::vector<troupe::object_ref<std::vector<int>>> values;
  for (int i = 0; i < 4; ++i) {
    values.push_back(with({.num_cpus = 1, .max_retries = 0}).remote<many>(i));
  }
  CHECK(troupe::wait(values, {.num_returns = 4, .timeout = 60s}).ready.size() == 4);
  CHECK(fetch(values[0]).back() == 0);
  say("ready", 1);
  wait_for_word();  // the head and the node of the values are dead now
  // The first is asked for before the death is noticed, the others right after that.
  for (std::size_t i = 1; i < 4; ++i) CHECK(is_lost(values[i]));
}

int sleep_for_long() {
  std::this_thread::sleep_for(10min);
  return 0;
}
void waits(const scenario::words&) {
  auto actor = with({.num_cpus = 1, .name = "mortal"}).remote<pair_of_calls>();
  CHECK(fetch(actor.remote<&pair_of_calls::add>(1)) == 1);
  const auto task = with({.num_cpus = 1}).remote<sleep_for_long>();
  say("ready", ::getpid());
  wait_for_word();
}

}  // namespace

int main(int argc, char** argv) {
  ::alarm(280);  // a test that has failed does not tell it to go on
  return scenario::run(argc, argv,
                       {{"make", make},
                        {"find", find},
                        {"is_gone", is_gone},
                        {"find_elsewhere", find_elsewhere},
                        {"end_it", end_it},
                        {"goes_on", goes_on},
                        {"holds_group", holds_group},
                        {"loses_values", loses_values},
                        {"waits", waits}});
}
