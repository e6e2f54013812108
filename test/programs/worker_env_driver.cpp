// The program that the tests of worker processes run as a driver, and nodes as its workers: what
// workers print, which GPUs they have, and what they find around them.
// `worker_env_driver SCENARIO` prints what went wrong and ends with 1, or prints "ok".
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <troupe/troupe.hpp>

using namespace std::chrono_literals;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

int failures = 0;

void check(bool good, const char* what, int line) {
  if (good) return;
  ++failures;
  std::cout << "line " << line << ": " << what << std::endl;
}
#define CHECK(condition) check(static_cast<bool>(condition), #condition, __LINE__)

template <class T>
T fetch(const object_ref<T>& ref) {
  return troupe::get(ref, 60s);
}

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

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<void()>> scenarios{
      {"output", output},
      {"output_of_many", output_of_many},
      {"output_repeated", output_repeated},
      {"gpus", gpus},
  };
  try {
    const auto session = troupe::init(argc, argv);
    scenarios.at(argc > 1 ? argv[1] : "")();
  } catch (const std::exception& e) {
    std::cout << "exception: " << e.what() << std::endl;
    return 1;
  }
  if (failures == 0) std::cout << "ok" << std::endl;
  return failures == 0 ? 0 : 1;
}
