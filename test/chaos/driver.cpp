// The program that is struck, or whose cluster is: it works, and says when it has noticed and when
// everything is right again.
//
//     chaos_driver run ROUND PHASE FOLDER SEED NODE...     is told `struck`, then `end`; while its
//                                                          head is dead `away`, and says `works`
//     chaos_driver sweep ROUND FOLDER                      ends the detached actor of a dead driver
#include <unistd.h>

#include <atomic>
#include <exception>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/chaos/append_file.hpp"
#include "test/chaos/ledger.hpp"
#include "test/chaos/load.hpp"

using namespace std::chrono_literals;
using chaos::fetch;
using chaos::ledger;
using troupe::with;

namespace {

void say(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard guard(mutex);
  std::cout << line + '\n' << std::flush;
}

/// Numbers that go to a ledger, each once, and what became of each.
class caller {
 public:
  caller(std::string name, const std::string& folder, troupe::actor_handle<ledger> to)
      : name_(std::move(name)), calls_(folder + '/' + name_ + ".calls"), to_(std::move(to)) {}

  /// Sends so many, and waits for them. `retried`: all must be answered.
  void send(int count, bool retried) {
    std::vector<troupe::object_ref<std::int64_t>> refs;
    const std::int64_t first = next_;
    for (int i = 0; i < count; ++i) {
      note("sent", next_);
      refs.push_back(to_.remote<&ledger::enter>(next_++));
    }
    for (int i = 0; i < count; ++i) {
      try {
        const std::int64_t counted = fetch(refs[static_cast<std::size_t>(i)]);
        note("acked", first + i);
        if (retried && counted < first + i + 1) {
          say("violation " + name_ + " had counted " + std::to_string(counted) + " after call " +
              std::to_string(first + i));
        }
      } catch (const troupe::actor_unavailable_error& e) {
        if (retried) say("violation " + name_ + " was not retried: " + e.what());
        note("failed", first + i);
      }
    }
  }
  std::int64_t sent() const { return next_; }

 private:
  void note(const std::string& what, std::int64_t number) const {
    calls_.line(what + ' ' + std::to_string(number));
  }

  std::string name_;
  chaos::append_file calls_;
  troupe::actor_handle<ledger> to_;
  std::int64_t next_ = 0;
};

int plus_one(int number) { return number + 1; }

struct sentinel {
  std::int64_t pid() const { return ::getpid(); }
};

/// One actor on each node whose end is told at once.
class sentinels {
 public:
  explicit sentinels(const std::vector<std::string>& nodes) {
    for (const std::string& node : nodes) {
      const auto actor =
          with({.scheduling = troupe::scheduling::node_affinity(node)}).remote<sentinel>();
      say("sentinel " + node + ' ' + std::to_string(fetch(actor.remote<&sentinel::pid>())));
      actors_.push_back(actor);
      watches_.push_back(troupe::on_exit(actor, [node](const troupe::exit_info& end) {
        say("noticed " + node + ' ' + std::to_string(chaos::now()) + ' ' + end.message);
      }));
    }
  }

  void call() const {
    for (const auto& actor : actors_) fetch(actor.remote<&sentinel::pid>());
  }

 private:
  std::vector<troupe::actor_handle<sentinel>> actors_;
  std::vector<troupe::monitor> watches_;
};

/// Bundles on two nodes that are kept over the strike.
class reserved {
 public:
  /// Waits for a task in each.
  void use() const {
    for (int i = 0; i < 2; ++i) {
      const troupe::options inside{
          .num_cpus = 0.25, .max_retries = -1, .placement_group = group_, .bundle_index = i};
      if (fetch(with(inside).remote<plus_one>(i)) != i + 1) {
        say("violation a task in bundle " + std::to_string(i) + " gave nonsense");
      }
    }
  }

 private:
  troupe::placement_group group_{{.bundles = {{.num_cpus = 0.25}, {.num_cpus = 0.25}},
                                  .strategy = troupe::placement_strategy::strict_spread}};
};

/// What needs no head: calls of known actors, tasks, values. Then what waits for it and goes on.
void work_without_head(const sentinels& known, const reserved& bundles) {
  try {
    known.call();
    std::vector<troupe::object_ref<int>> results;
    for (int i = 0; i < 20; ++i) {
      results.push_back(with({.num_cpus = 0.25}).remote<plus_one>(troupe::put(i)));
    }
    for (int i = 0; i < 20; ++i) {
      if (fetch(results[static_cast<std::size_t>(i)]) != i + 1) {
        say("violation a task gave nonsense while the head was away");
      }
    }
    say("works");
    bundles.use();
  } catch (const std::exception& e) {
    say(std::string("violation while the head was away: ") + e.what());
    say("works");
  }
}

void run(const std::vector<std::string>& words) {
  const std::string& round = words.at(0);
  const std::string& phase = words.at(1);
  const std::string& folder = words.at(2);
  const std::vector<std::string> nodes(words.begin() + 4, words.end());
  const sentinels watched(nodes);
  const reserved bundles;
  std::atomic<bool> struck{false};
  std::atomic<bool> end{false};
  std::thread([&] {
    for (std::string word; std::cin >> word;) {
      if (word == "away") {
        work_without_head(watched, bundles);
      } else {
        (word == "struck" ? struck : end) = true;
      }
    }
    struck = true;
    end = true;
  }).detach();

  const troupe::options often{.num_cpus = 0.1, .max_restarts = -1};
  auto strict = with(often).remote<ledger>(folder + "/strict");
  const std::string name = "retried-" + round;
  auto retried = with({.num_cpus = 0.1, .name = name, .max_restarts = -1, .max_task_retries = -1})
                     .remote<ledger>(folder + "/retried");
  const std::string kept = "detached-" + round;
  auto detached = with({.num_cpus = 0.1,
                        .name = kept,
                        .lifetime = troupe::lifetime::detached,
                        .max_restarts = -1,
                        .max_task_retries = -1})
                      .remote<ledger>(folder + "/detached");
  caller to_strict("strict", folder, strict);
  caller to_retried("retried", folder, retried);
  caller to_detached("detached", folder, detached);
  to_strict.send(3, false);
  to_retried.send(3, true);
  to_detached.send(3, true);
  say("hosts " + std::to_string(fetch(retried.remote<&ledger::pid>())));

  chaos::load load(phase, nodes, std::stoull(words.at(3)));
  for (int i = 0; i < 5; ++i) load.step();
  bundles.use();
  say("ready " + std::to_string(::getpid()));

  std::exception_ptr failed;
  std::jthread traffic([&] {
    try {
      while (!struck) {
        if (phase == "idle") {
          std::this_thread::sleep_for(5ms);
          continue;
        }
        to_strict.send(4, false);
        to_retried.send(4, true);
        to_detached.send(1, true);
      }
    } catch (...) {
      failed = std::current_exception();
    }
  });
  while (!struck) load.step();
  traffic.join();
  if (failed) std::rethrow_exception(failed);
  load.drain();
  to_retried.send(10, true);
  to_detached.send(10, true);
  to_strict.send(10, false);
  const auto again = troupe::get_actor<ledger>(name);
  const std::int64_t counted = fetch(again.remote<&ledger::count>());
  if (counted != to_retried.sent()) {
    say("violation the retried ledger counted " + std::to_string(counted) + " of " +
        std::to_string(to_retried.sent()) + " calls");
  }
  bundles.use();
  fetch(troupe::get_actor<ledger>(kept).remote<&ledger::count>());
  for (const std::string& why : load.lost()) say("violation a value was lost: " + why);
  say("recovered " + std::to_string(chaos::now()) + ' ' + std::to_string(load.done()) + ' ' +
      std::to_string(load.lost().size()));
  while (!end) std::this_thread::sleep_for(2ms);
  troupe::kill(troupe::get_actor<ledger>(kept));
}

void sweep(const std::vector<std::string>& words) {
  const auto detached = troupe::get_actor<ledger>("detached-" + words.at(0));
  say("counted " + std::to_string(fetch(detached.remote<&ledger::count>())));
  troupe::kill(detached);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    const auto session = troupe::init(argc, argv);
    if (words.at(0) == "sweep") {
      sweep({words.begin() + 1, words.end()});
    } else {
      run({words.begin() + 1, words.end()});
    }
    say("ok");
    return 0;
  } catch (const std::exception& e) {
    say(std::string("thrown ") + e.what());
    return 1;
  }
}
