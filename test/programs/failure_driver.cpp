// The program that the failure tests run as a driver: its tasks and actors die in all ways that
// processes do, and what DESIGN promises is checked from inside.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/programs/scenario.hpp"

using namespace std::chrono_literals;
using scenario::fetch;
using scenario::words;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

// The workers' deaths by signals are what is tested: no sanitizer shall make another end of them.
#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __asan_default_options() { return "handle_segv=0"; }
#elif defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_options() { return "handle_segv=0"; }
#endif

namespace {

bool holds(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) std::cout << "'" << text << "' does not hold '" << part << "'\n";
  return found;
}

/// A file that survives all processes: what ran, one line each.
void note(const std::string& path, const std::string& line) {
  std::ofstream(path, std::ios::app) << line + "\n" << std::flush;
}
std::vector<std::string> notes(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// -- ways to die ----------------------------------------------------------------------------------

struct way {
  const char* name;
  const char* cause;  ///< as the error names it
};
const std::vector<way> ways{{"kill", "signal 9 (Killed)"},
                            {"segv", "signal 11 (Segmentation fault)"},
                            {"abort", "signal 6 (Aborted)"},
                            {"exit", "exit code 3"},
                            {"terminate", "signal 6 (Aborted)"}};

[[gnu::no_sanitize("undefined")]] int die(const std::string& how) {
  std::cerr << "the last words of " << how << std::endl;
  if (how == "kill") ::kill(::getpid(), SIGKILL);
  if (how == "segv") *static_cast<volatile int*>(nullptr) = 1;
  if (how == "abort") std::abort();
  if (how == "exit") std::exit(3);
  if (how == "terminate") std::terminate();
  return 0;
}

struct mortal {
  int die_by(const std::string& how) { return die(how); }
  int host() { return ::getpid(); }
  int lives() { return troupe::this_actor::restarts(); }
  int wait_for(int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    return ms;
  }
};

/// Each death ends a task and an actor with the cause, and what the process printed last.
void deaths(const words&) {
  for (const auto& [name, cause] : ways) {
    try {
      fetch(with({.max_retries = 0}).remote<die>(name));
      CHECK(false);
    } catch (const troupe::worker_crashed_error& e) {
      CHECK(holds(e.what(), cause));
      CHECK(holds(e.what(), std::string("the last words of ") + name));
    }
    const auto actor = with({.isolation = troupe::isolation::process}).remote<mortal>();
    try {
      fetch(actor.remote<&mortal::die_by>(name));
      CHECK(false);
    } catch (const troupe::actor_died_error& e) {
      CHECK(holds(e.what(), cause));
      CHECK(holds(e.what(), std::string("the last words of ") + name));
    }
    CHECK_THROWS_AS(fetch(actor.remote<&mortal::host>()), troupe::actor_died_error);
  }
}

// -- a worker with much on it ---------------------------------------------------------------------

int slowly(int n) {
  std::this_thread::sleep_for(20ms);
  return n;
}
int worker_pid() { return ::getpid(); }

/// Prints the worker's pid; the test kills it while all of this runs there.
void stranded(const words&) {
  std::vector<troupe::actor_handle<mortal>> actors;
  for (int i = 0; i < 3; ++i) actors.push_back(with({.max_restarts = 1}).remote<mortal>());
  const auto doomed = remote<mortal>();
  for (const auto& actor : actors) fetch(actor.remote<&mortal::host>());
  const int worker = fetch(doomed.remote<&mortal::host>());
  CHECK(worker == fetch(remote<worker_pid>()));
  std::vector<object_ref<int>> tasks;
  for (int i = 0; i < 300; ++i) tasks.push_back(remote<slowly>(i));
  const auto strict = with({.max_retries = 0}).remote<slowly>(1'000);
  const auto interrupted = doomed.remote<&mortal::wait_for>(3'600'000);
  std::cout << "ready " << ::getpid() << ' ' << worker << std::endl;

  for (int i = 0; i < 300; ++i) CHECK(fetch(tasks[i]) == i);
  try {
    CHECK(fetch(strict) == 1'000);  // it may have run before
  } catch (const troupe::worker_crashed_error& e) {
    CHECK(holds(e.what(), "signal 9 (Killed)"));
  }
  try {
    fetch(interrupted);
    CHECK(false);
  } catch (const troupe::actor_died_error& e) {
    CHECK(holds(e.what(), "signal 9 (Killed)"));
  }
  for (const auto& actor : actors) {
    CHECK(fetch(actor.remote<&mortal::host>()) != worker);
    CHECK(fetch(actor.remote<&mortal::lives>()) == 1);
  }
}

// -- calls over a link that breaks, or by which replies are lost ----------------------------------

/// Counts its calls, and tells when they do not come in the order of each caller.
struct ledger {
  explicit ledger(std::string path) : file(std::move(path)) {}
  int enter(int caller, int number) {
    if (!file.empty()) note(file, std::to_string(caller) + ' ' + std::to_string(number));
    if (last.size() <= static_cast<std::size_t>(caller)) last.resize(caller + 1, -1);
    if (last[caller] + 1 != number) ++disorders;
    last[caller] = number;
    return ++entries;
  }
  int disordered() const { return disorders; }
  int host() const { return ::getpid(); }
  std::string file;
  std::vector<int> last;
  int entries = 0;
  int disorders = 0;
};

/// Of the program itself: when all calls are on their way, it says so.
int enter_many(const troupe::actor_handle<ledger>& at, int caller, int count) {
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < count; ++i) calls.push_back(at.remote<&ledger::enter>(caller, i));
  if (caller == 0) std::cout << "sent" << std::endl;
  int last = 0;
  bool rising = true;
  for (const auto& call : calls) {
    const int entry = fetch(call);
    rising = rising && entry > last;
    last = entry;
  }
  return rising ? count : -1;
}

/// Rounds of calls, of this program and of a task; each runs once and in the order of its caller.
/// `ordered_calls ROUNDS [NODE]`
void ordered_calls(const words& given) {
  const int rounds = std::stoi(given.at(0));
  const auto options =
      given.size() > 1
          ? troupe::options{.scheduling = troupe::scheduling::node_affinity(given.at(1))}
          : troupe::options{};
  const auto pid_of_worker = fetch(with(options).remote<ledger>("").remote<&ledger::host>());
  std::cout << "ready " << ::getpid() << ' ' << pid_of_worker << std::endl;
  constexpr int count = 500;
  for (int round = 0; round < rounds; ++round) {
    const auto book = with(options).remote<ledger>("");
    const auto elsewhere = remote<enter_many>(book, 1, count);
    CHECK(enter_many(book, 0, count) == count);
    CHECK(fetch(elsewhere) == count);
    CHECK(fetch(book.remote<&ledger::disordered>()) == 0);
    CHECK(fetch(book.remote<&ledger::enter>(2, 0)) == 2 * count + 1);
  }
}

int noted(const std::string& path, int n) {
  note(path, std::to_string(n));
  return n;
}
std::vector<float> doubled(std::vector<float> values) {
  for (float& v : values) v *= 2;
  return values;
}

/// Tasks that must not run again: each runs once, whatever happens to the messages. Big arguments
/// and results arrive whole. `strict_tasks FILE`
void strict_tasks(const words& given) {
  const std::string& path = given.at(0);
  std::vector<object_ref<int>> tasks;
  for (int i = 0; i < 300; ++i) tasks.push_back(with({.max_retries = 0}).remote<noted>(path, i));
  for (int i = 0; i < 300; ++i) CHECK(fetch(tasks[i]) == i);
  std::vector<std::string> ran = notes(path);
  std::sort(ran.begin(), ran.end());
  CHECK(ran.size() == 300);
  CHECK(std::adjacent_find(ran.begin(), ran.end()) == ran.end());
  const auto big = fetch(remote<doubled>(std::vector<float>(200'000, 1.5f)));
  CHECK(big.size() == 200'000);
  CHECK(std::all_of(big.begin(), big.end(), [](float v) { return v == 3; }));
}

/// A worker exits with the result of its third task in hand. `lost_result FILE`: one that may run
/// again does, and one that must not fails and has run once.
void lost_result(const words& given) {
  const std::string& path = given.at(0);
  for (int i = 0; i < 5; ++i) CHECK(fetch(remote<noted>(path, i)) == i);
  CHECK(notes(path).size() == 6);
  // In the worker that came after it the count has begun anew.
  int failed = 0;
  for (int i = 10; i < 15; ++i) {
    try {
      CHECK(fetch(with({.max_retries = 0}).remote<noted>(path, i)) == i);
    } catch (const troupe::worker_crashed_error& e) {
      CHECK(holds(e.what(), "exit code 41"));
      ++failed;
    }
  }
  CHECK(failed >= 1);
  CHECK(notes(path).size() == 11);
}

/// An actor's process exits with the result of its third call in hand. `lost_call_result FILE`
void lost_call_result(const words& given) {
  const std::string& path = given.at(0);
  const auto alone = troupe::isolation::process;
  const auto strict = with({.max_restarts = -1, .isolation = alone}).remote<ledger>(path);
  CHECK(fetch(strict.remote<&ledger::enter>(0, 0)) == 1);
  CHECK(fetch(strict.remote<&ledger::enter>(0, 1)) == 2);
  CHECK_THROWS_AS(fetch(strict.remote<&ledger::enter>(0, 2)), troupe::actor_unavailable_error);
  CHECK(notes(path).size() == 3);
  CHECK(fetch(strict.remote<&ledger::enter>(0, 3)) == 1);  // another life
  CHECK(notes(path).size() == 4);

  const auto again = with({.max_restarts = -1, .max_task_retries = 1, .isolation = alone})
                         .remote<ledger>(path + ".again");
  for (int i = 0; i < 5; ++i) CHECK(fetch(again.remote<&ledger::enter>(0, i)) >= 1);
  CHECK(notes(path + ".again").size() > 5);
}

/// Whatever dies, what may run again does so until it succeeds.
void persistent(const words&) {
  for (int i = 0; i < 20; ++i) {
    CHECK(fetch(with({.max_retries = -1}).remote<slowly>(i)) == i);
  }
}

/// No worker lives long enough to register: the error says so.
void stillborn(const words&) {
  try {
    fetch(remote<slowly>(1));
    CHECK(false);
  } catch (const troupe::runtime_env_error& e) {
    CHECK(holds(e.what(), "exit code 41"));
  }
}

/// Leaves nothing behind but a detached actor when it is killed.
void leave_much(const words&) {
  const auto stays =
      with({.name = "survivor", .lifetime = troupe::lifetime::detached}).remote<mortal>();
  fetch(stays.remote<&mortal::host>());
  const auto alone =
      with({.num_cpus = 1, .isolation = troupe::isolation::process}).remote<mortal>();
  const int worker = fetch(alone.remote<&mortal::host>());
  const auto busy = alone.remote<&mortal::wait_for>(3'600'000);
  std::cout << "ready " << ::getpid() << ' ' << worker << std::endl;
  troupe::get(busy);
}
/// Has actors on another node, each of which has one of its own.
struct service {
  struct helper {
    int own = ::getpid();
    troupe::actor_handle<mortal> of_it =
        with({.isolation = troupe::isolation::process}).remote<mortal>();
    std::vector<int> pids() { return {own, fetch(of_it.remote<&mortal::host>())}; }
  };
  std::vector<troupe::actor_handle<helper>> helpers;
  std::vector<int> grow() {
    helpers.push_back(with({.scheduling = troupe::scheduling::node_affinity("n1"),
                            .isolation = troupe::isolation::process})
                          .remote<helper>());
    return pids();
  }
  std::vector<int> pids() {
    std::vector<int> all;
    for (const auto& one : helpers) {
      for (const int pid : fetch(one.remote<&helper::pids>())) all.push_back(pid);
    }
    return all;
  }
};

void say_pids(const std::vector<int>& all) {
  std::cout << "pids";
  for (const int one : all) std::cout << ' ' << one;
  std::cout << std::endl;
}

void leave_service(const words&) {
  const auto made =
      with({.name = "service", .lifetime = troupe::lifetime::detached}).remote<service>();
  say_pids(fetch(made.remote<&service::grow>()));
}
/// Of another job: those that it had are there, and it gets more.
void use_service(const words& given) {
  const auto found = troupe::get_actor<service>("service");
  const std::vector<int> before{std::stoi(given.at(0)), std::stoi(given.at(1))};
  CHECK(fetch(found.remote<&service::pids>()) == before);
  say_pids(fetch(found.remote<&service::grow>()));
}
void end_service(const words&) { troupe::kill(troupe::get_actor<service>("service")); }

/// One actor makes the other, in a process of its own.
void leave_nested(const words&) {
  const auto outer = remote<service::helper>();
  say_pids(fetch(outer.remote<&service::helper::pids>()));
}

void find_survivor(const words&) {
  const auto survivor = troupe::get_actor<mortal>("survivor");
  CHECK(fetch(survivor.remote<&mortal::host>()) != ::getpid());
  troupe::kill(survivor);
}

}  // namespace

int main(int argc, char** argv) {
  return scenario::run(argc, argv,
                       {{"deaths", deaths},
                        {"stranded", stranded},
                        {"ordered_calls", ordered_calls},
                        {"strict_tasks", strict_tasks},
                        {"lost_result", lost_result},
                        {"lost_call_result", lost_call_result},
                        {"persistent", persistent},
                        {"stillborn", stillborn},
                        {"leave_much", leave_much},
                        {"leave_service", leave_service},
                        {"use_service", use_service},
                        {"end_service", end_service},
                        {"leave_nested", leave_nested},
                        {"find_survivor", find_survivor}});
}
