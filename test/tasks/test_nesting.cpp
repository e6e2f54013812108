#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::get;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

int add(int a, int b) { return a + b; }

#ifdef __SANITIZE_THREAD__
constexpr int deep = 2'000;  // it records at most 65,535 frames of a stack
#else
constexpr int deep = 10'000;
#endif

int depth(int n) { return n == 0 ? 0 : 1 + get(remote<depth>(n - 1)); }

int fib(int n) {
  if (n < 2) return n;
  const auto a = remote<fib>(n - 1);
  const auto b = remote<fib>(n - 2);
  return get(a) + get(b);
}

int fib_by_wait(int n) {
  if (n < 2) return n;
  std::vector<object_ref<int>> refs{remote<fib_by_wait>(n - 1), remote<fib_by_wait>(n - 2)};
  int sum = 0;
  while (!refs.empty()) {
    auto [ready, rest] = troupe::wait(refs);
    sum += get(ready.front());
    refs = rest;
  }
  return sum;
}

int fib_by_vector(int n) {
  if (n < 2) return n;
  const std::vector<object_ref<int>> refs{remote<fib_by_vector>(n - 1),
                                          remote<fib_by_vector>(n - 2)};
  const auto parts = get(refs);
  return parts[0] + parts[1];
}

int fib_by_tuple(int n) {
  if (n < 2) return n;
  const auto [a, b] = get(remote<fib_by_tuple>(n - 1), remote<fib_by_tuple>(n - 2));
  return a + b;
}

/// Blocks with a timeout, so that no child may run in place of the wait.
int fib_timed(int n) {
  if (n < 2) return n;
  const auto a = remote<fib_timed>(n - 1);
  const auto b = remote<fib_timed>(n - 2);
  return get(a, patience) + get(b, patience);
}

std::atomic<int> running{0};
std::atomic<int> most_running{0};

int busy() {
  const int now = ++running;
  int seen = most_running;
  while (seen < now && !most_running.compare_exchange_weak(seen, now)) {
  }
  for (int i = 0; i < 100; ++i) std::atomic_thread_fence(std::memory_order_seq_cst);
  --running;
  return 1;
}

int fall(int n) {
  if (n == 0) throw std::out_of_range("the bottom");
  return get(remote<fall>(n - 1));
}

// A recursion of depth n has at most n tasks in one chain of waits; beside them stand the threads
// that hold slots and one lent by the monitor for each CPU.
std::size_t thread_bound(int n, std::size_t cpus) { return 2 * (n + 1) + 2 * cpus; }

void check_fib(double cpus) {
  const auto session = start(cpus);
  CHECK(fetch(remote<fib>(25)) == 75'025);
  const std::size_t peak = troupe::stats().peak_threads;
  std::printf("fib(25) on %g CPUs: at most %zu threads\n", cpus, peak);
  CHECK(peak <= thread_bound(25, static_cast<std::size_t>(cpus)));
}

}  // namespace

TEST_CASE("fib(25) by tasks with blocking get runs on one CPU in a bounded number of threads") {
  check_fib(1);
}

TEST_CASE("fib(25) by tasks with blocking get runs on two CPUs in a bounded number of threads") {
  check_fib(2);
}

TEST_CASE("recursion by wait, by get of a vector and by get of several ends on one CPU") {
  const auto session = start(1);
  CHECK(fetch(remote<fib_by_wait>(12)) == 144);
  CHECK(fetch(remote<fib_by_vector>(14)) == 377);
  CHECK(fetch(remote<fib_by_tuple>(14)) == 377);
  CHECK(troupe::stats().peak_threads <= thread_bound(14, 1));
}

TEST_CASE("recursion whose waits cannot run children in place ends on one CPU") {
  const auto session = start(1);
  CHECK(fetch(remote<fib_timed>(10)) == 55);
}

TEST_CASE("tasks nest to a depth of 10,000") {
  const auto session = start(1);
  CHECK(fetch(remote<depth>(deep)) == deep);
}

TEST_CASE("tasks nest to a depth of 10,000 on small stacks with many threads") {
  const auto session = troupe::init({.num_cpus = 2,
                                     .log_level = troupe::log_level::off,
                                     .thread_stack_bytes = std::size_t{1} << 20});
  CHECK(fetch(remote<depth>(deep)) == deep);
}

TEST_CASE("a recursion that needs more threads than there may be fails with the bound's name") {
  const auto session = troupe::init({.num_cpus = 1,
                                     .log_level = troupe::log_level::off,
                                     .max_threads = 8,
                                     .soft_max_threads = 8});
  constexpr auto message = [](int n) {
    return message_of<troupe::pending_calls_limit_error>([n] { fetch(remote<fib_timed>(n)); });
  };
  CHECK_THAT(message(20), contains("max-threads"));
  CHECK(fetch(remote<add>(1, 2)) == 3);
}

TEST_CASE("a chain of 10,000 tasks by refs needs no nesting") {
  const auto session = start(1);
  const promise<int> first;
  object_ref<int> last = first.ref();
  for (int i = 0; i < 10'000; ++i) last = remote<add>(last, 1);
  first.set(0);
  CHECK(fetch(last) == 10'000);
}

TEST_CASE("a task that waits for its child gives its CPU to it, whatever the child asks for") {
  const auto session =
      troupe::init({.num_cpus = 1, .resources = {{"pen", 1}}, .log_level = troupe::log_level::off});
  constexpr auto parent = [] {
    const int pen = get(with({.resources = {{"pen", 1}}}).remote<add>(1, 0));
    const int half = get(with({.num_cpus = 0.5}).remote<add>(2, 0));
    const int none = get(with({.num_cpus = 0}).remote<add>(4, 0));
    return pen + half + none;
  };
  CHECK(fetch(remote<parent>()) == 7);
  CHECK(fetch(with({.num_cpus = 0.3}).remote<parent>()) == 7);
}

TEST_CASE("a task that holds a resource and waits keeps it, but not its CPU") {
  const auto session =
      troupe::init({.num_cpus = 1, .resources = {{"pen", 1}}, .log_level = troupe::log_level::off});
  constexpr auto observe = [] {
    const auto free = troupe::available_resources();
    return std::pair(free.at("CPU"), free.at("pen"));
  };
  constexpr auto holder = [](object_ref<int> until) { return get(until); };
  const promise<int> later;
  const auto held = with({.resources = {{"pen", 1}}}).remote<holder>(later.ref());
  CHECK(eventually([] { return troupe::stats().blocked_threads == 1; }));
  CHECK(fetch(with({.num_cpus = 0}).remote<observe>()) == std::pair(1.0, 0.0));
  later.set(3);
  CHECK(fetch(held) == 3);
}

TEST_CASE("foreign waits in blocking() and sleeps give the CPU to others") {
  const auto session = start(1);
  constexpr auto foreign = [](const signal& go) {
    return troupe::blocking([&] { return go.wait(); });
  };
  const signal go;
  const auto waiting = remote<foreign>(go);
  const auto asleep = remote<[] { troupe::sleep_for(std::chrono::hours(1)); }>();
  fetch(remote<[](const signal& s) { s.raise(); }>(go));
  CHECK(fetch(waiting));
  CHECK(troupe::cancel(asleep));
}

TEST_CASE("no more tasks run at once than there are CPUs, though many block and go on") {
  const auto session = start(2);
  constexpr auto parent = [] {
    int sum = 0;
    for (int i = 0; i < 20; ++i) sum += get(remote<busy>(), patience) + busy();
    return sum;
  };
  std::vector<object_ref<int>> parents;
  for (int i = 0; i < 20; ++i) parents.push_back(remote<parent>());
  CHECK(fetch(parents) == std::vector<int>(20, 40));
  CHECK(most_running <= 2);
}

TEST_CASE("two tasks can wait for the same child") {
  const auto session = start(1);
  constexpr auto reader = [](object_ref<int> child) { return get(child); };
  constexpr auto parent = [] {
    const auto child = remote<add>(20, 1);
    return get(remote<reader>(child)) + get(remote<reader>(child));
  };
  CHECK(fetch(remote<parent>()) == 42);
}

TEST_CASE("a failure passes up through 1,000 nested tasks") {
  const auto session = start(1);
  const auto ref = remote<fall>(1000);
  CHECK_THROWS_AS(fetch(ref), std::out_of_range);
  CHECK(ref.failure()->frames.size() == 1001);
}
