// The program that the tests of worker processes run as a driver, and nodes as its workers: what
// workers print, which GPUs they have, and what they find around them.
// `worker_env_driver SCENARIO` prints what went wrong and ends with 1, or prints "ok".
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/programs/scenario.hpp"

#include "service_library.hpp"

using namespace std::chrono_literals;
using scenario::failures;
using scenario::fetch;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

/// Until the test has seen what it waits for and ends this process.
void wait_to_be_ended() {
  std::cout << "ok" << std::endl;
  std::this_thread::sleep_for(300s);
}

// -- output ---------------------------------------------------------------------------------------

int by_printf(int n) {
  std::printf("printf says %d", n);
  std::printf(", whole\n");
  return n;
}
int by_streams(int n) {
  std::cout << "cout says " << n << '\n';
  std::cerr << "cerr says " << n << '\n';
  return n;
}
int past_the_streams(int n) {
  static_cast<void>(::write(STDOUT_FILENO, "write says it\n", 14));
  return n;
}
struct parrot {
  int say(int n) {
    std::cout << "parrot says " << n << std::endl;
    return n;
  }
};
int many_lines(int n) {
  for (int i = 0; i < 2'000; ++i) std::cout << "half " << n << "-" << i << " and half\n";
  return n;
}
int same_line() {
  std::cout << "the same everywhere\n";
  return ::getpid();
}

void output() {
  fetch(remote<by_printf>(1));
  fetch(remote<by_streams>(2));
  fetch(remote<past_the_streams>(3));
  const auto unnamed = remote<parrot>();
  fetch(unnamed.remote<&parrot::say>(4));
  const auto polly = with({.name = "polly"}).remote<parrot>();
  fetch(polly.remote<&parrot::say>(5));
  wait_to_be_ended();
}

void output_of_many() {
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 4; ++i) refs.push_back(with({.num_cpus = 0}).remote<many_lines>(i));
  for (const auto& ref : refs) fetch(ref);
  wait_to_be_ended();
}

void output_repeated() {
  std::vector<object_ref<int>> refs;
  for (const double cpus : {0.1, 0.2, 0.3, 0.4}) {
    // Each demand of its own has a process of its own.
    refs.push_back(
        with({.num_cpus = cpus, .isolation = troupe::isolation::process}).remote<same_line>());
  }
  for (const auto& ref : refs) fetch(ref);
  wait_to_be_ended();
}

// -- GPUs -----------------------------------------------------------------------------------------

using ids = std::vector<int>;

ids mine() { return troupe::gpu_ids(); }
std::string visible() {
  const char* const text = std::getenv("CUDA_VISIBLE_DEVICES");
  return text != nullptr ? text : "";
}
struct model {
  model() : at_birth(troupe::gpu_ids()) {}
  ids born() { return at_birth; }
  ids now() { return troupe::gpu_ids(); }
  std::string sees() { return visible(); }
  ids at_birth;
};

std::string text_of(const ids& all) {
  std::string text;
  for (const int id : all) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

void gpus() {
  CHECK(troupe::gpu_ids().empty());
  CHECK(fetch(remote<mine>()).empty());
  CHECK(fetch(with({.num_gpus = 4}).remote<mine>()) == (ids{0, 1, 2, 3}));
  const auto quarter = with({.num_gpus = 0.25}).remote<model>();
  const auto another = with({.num_gpus = 0.25}).remote<model>();
  const auto half = with({.num_gpus = 0.5}).remote<model>();
  const ids shared = fetch(quarter.remote<&model::born>());
  CHECK(shared.size() == 1);
  CHECK(fetch(another.remote<&model::born>()) == shared);
  CHECK(fetch(half.remote<&model::now>()) == shared);
  const auto alone = with({.num_gpus = 2, .isolation = troupe::isolation::process}).remote<model>();
  const ids two = fetch(alone.remote<&model::born>());
  CHECK(two.size() == 2);
  CHECK(fetch(alone.remote<&model::sees>()) == text_of(two));
  const ids last = fetch(with({.num_gpus = 1}).remote<mine>());
  CHECK(last.size() == 1);
  CHECK((shared != last && two[0] != last[0] && two[1] != last[0]));
}

// -- executables ----------------------------------------------------------------------------------

std::string executable() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path));
  return {path, size > 0 ? static_cast<std::size_t>(size) : 0};
}
std::string on(const std::string& node) {
  const auto there = with({.scheduling = troupe::scheduling::node_affinity(node)});
  for (int attempt = 0;; ++attempt) {
    try {
      return fetch(there.remote<executable>());
    } catch (const troupe::placement_error&) {
      // A node that has just joined is not known to the others at once.
      if (attempt == 600) throw;
      std::this_thread::sleep_for(100ms);
    }
  }
}

/// The file of this program is gone before the second node needs it.
void deleted() {
  const std::string own = executable();
  CHECK(on("head") == own);
  std::filesystem::remove(own);
  CHECK(on("second").find("/second/packages/") != std::string::npos);
  // And it is there for the next worker.
  const auto again = with({.scheduling = troupe::scheduling::node_affinity("second"),
                           .isolation = troupe::isolation::process})
                         .remote<executable>();
  CHECK(fetch(again).find("/second/packages/") != std::string::npos);
}

void replaced() {
  const std::string own = executable();
  CHECK(on("head") == own);
  std::filesystem::remove(own);
  std::ofstream(own) << "#!/bin/sh\nexit 0\n";
  std::filesystem::permissions(own, std::filesystem::perms::owner_all);
  CHECK(on("second").find("/second/packages/") != std::string::npos);
}

void copied() { CHECK(on("head").find("/head/packages/") != std::string::npos); }

struct survivor {
  std::string where() { return executable(); }
  int host() { return ::getpid(); }
};
/// Its program is gone when it has to begin anew on a node that has never run it.
void leave_survivor() {
  const auto actor = with({.name = "survivor",
                           .lifetime = troupe::lifetime::detached,
                           .max_restarts = 1,
                           .isolation = troupe::isolation::process})
                         .remote<survivor>();
  std::cout << "host " << fetch(actor.remote<&survivor::host>()) << std::endl;
}
void find_survivor() {
  const auto actor = troupe::get_actor<survivor>("survivor");
  for (;;) {
    try {
      CHECK(fetch(actor.remote<&survivor::where>()).find("/packages/") != std::string::npos);
      return;
    } catch (const troupe::actor_unavailable_error&) {
      // Its death was not known yet; it restarts.
    }
  }
}

// -- environments ---------------------------------------------------------------------------------

std::string variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value != nullptr ? value : "(none)";
}
std::string content(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return text;
}
std::string folder() { return std::filesystem::current_path().string(); }
int pid() { return ::getpid(); }
std::string warmth = "cold";
void warm_up() { warmth += warmth == "cold" ? ", then warm" : ", and again"; }
std::string how_warm() { return warmth; }
void never_works() { throw std::runtime_error("no licence"); }
struct reader {
  std::string read(const std::string& path) { return content(path); }
};

/// In the folder that the test names: data/one.txt, data/sub/two.txt, three.txt.
void environment() {
  const std::string given = variable("TEST_FOLDER");
  const troupe::runtime_env env{.env_vars = {{"COLOUR", "green"}},
                                .working_dir = given + "/data",
                                .files = {given + "/three.txt"},
                                .setup = troupe::setup_of<warm_up>()};
  const auto in = with({.runtime_env = &env});
  CHECK(fetch(remote<variable>("COLOUR")) == "(none)");
  CHECK(fetch(in.remote<variable>("COLOUR")) == "green");
  CHECK(fetch(in.remote<content>("one.txt")) == "one");
  CHECK(fetch(in.remote<content>("sub/two.txt")) == "two");
  CHECK(fetch(in.remote<content>("link.txt")) == "one");
  CHECK(fetch(in.remote<content>("three.txt")) == "three");
  CHECK(fetch(in.remote<folder>()).find(given) == std::string::npos);
  CHECK(fetch(in.remote<how_warm>()) == "cold, then warm");
  CHECK(fetch(in.remote<how_warm>()) == "cold, then warm");
  CHECK(fetch(remote<how_warm>()) == "cold");
  CHECK(fetch(in.remote<pid>()) != fetch(remote<pid>()));
  const troupe::runtime_env same = env;
  CHECK(fetch(in.remote<pid>()) == fetch(with({.runtime_env = &same}).remote<pid>()));
  const auto actor = in.remote<reader>();
  CHECK(fetch(actor.remote<&reader::read>("one.txt")) == "one");
}

template <class Error, class F>
std::string message_of(F&& f) {
  try {
    static_cast<void>(f());
  } catch (const Error& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another exception: ") + e.what();
  }
  return "nothing was thrown";
}
bool says(const std::string& text, const std::string& what) {
  if (text.find(what) != std::string::npos) return true;
  std::cout << "it says: " << text << std::endl;
  return false;
}

void bad_environments() {
  const std::string given = variable("TEST_FOLDER");
  const auto fails = [](const troupe::runtime_env& env) {
    return message_of<troupe::runtime_env_error>(
        [&] { return fetch(with({.runtime_env = &env}).remote<pid>()); });
  };
  CHECK(says(fails({.working_dir = given + "/nowhere"}), "/nowhere' is no folder"));
  CHECK(says(fails({.files = {given + "/none.txt"}}), "none.txt"));
  CHECK(says(fails({.working_dir = given + "/escape"}), "out of the folder"));
  CHECK(says(fails({.working_dir = given + "/big"}), "package-max-bytes"));
  CHECK(says(fails({.env_vars = {{"A=B", "c"}}}), "environment variable"));
  CHECK(says(fails({.libraries = {given + "/three.txt"}}), "cannot be loaded"));
  const troupe::runtime_env broken{.setup = troupe::setup_of<never_works>()};
  CHECK(says(fails(broken), "no licence"));
  // Each that needs it fails, and nothing is started again and again.
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(with({.runtime_env = &broken}).remote<pid>());
  for (const auto& ref : refs) {
    CHECK(says(message_of<troupe::runtime_env_error>([&] { return fetch(ref); }), "no licence"));
  }
  CHECK(fetch(remote<pid>()) != 0);
}

void job_environment() {
  CHECK(fetch(remote<variable>("COLOUR")) == "blue");
  CHECK(variable("COLOUR") == "(none)");
  CHECK(fetch(remote<how_warm>()) == "cold, then warm");
}

// -- libraries ------------------------------------------------------------------------------------

void libraries() {
  const auto ask = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_DEFAULT, "ask_the_library"));
  CHECK(ask != nullptr);
  if (ask != nullptr) CHECK(ask(6) == 42);
}

void use_service() {
  const auto tally = troupe::get_actor<service::tally>("tally");
  CHECK(fetch(tally.remote<&service::tally::add>(2)) == 2);
  CHECK(fetch(tally.remote<&service::tally::add>(3)) == 5);
  CHECK(says(fetch(tally.remote<&service::tally::where>()), "troupe-worker"));
  CHECK(fetch(tally.remote<&service::tally::host>()) != ::getpid());
}

troupe::config settings_for(const std::string& scenario) {
  troupe::config settings;
  if (scenario == "job_environment") {
    settings.runtime_env.env_vars = {{"COLOUR", "blue"}};
    settings.runtime_env.setup = troupe::setup_of<warm_up>();
  }
  if (scenario == "libraries") settings.runtime_env.libraries = {variable("TEST_LIBRARY")};
  if (scenario == "bad_environments") settings.package_max_bytes = 100'000;
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<void()>> scenarios{
      {"output", output},
      {"output_of_many", output_of_many},
      {"output_repeated", output_repeated},
      {"gpus", gpus},
      {"deleted", deleted},
      {"replaced", replaced},
      {"copied", copied},
      {"leave_survivor", leave_survivor},
      {"find_survivor", find_survivor},
      {"environment", environment},
      {"bad_environments", bad_environments},
      {"job_environment", job_environment},
      {"libraries", libraries},
      {"use_service", use_service},
  };
  try {
    const std::string scenario = argc > 1 ? argv[1] : "";
    const auto session = troupe::init(argc, argv, settings_for(scenario));
    scenarios.at(scenario)();
  } catch (const std::exception& e) {
    std::cout << "exception: " << e.what() << std::endl;
    return 1;
  }
  if (failures == 0) std::cout << "ok" << std::endl;
  return failures == 0 ? 0 : 1;
}
