// The program that the cluster tests run as a driver, and that nodes run again as its workers.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/programs/scenario.hpp"

using namespace std::chrono_literals;
using scenario::fetch;
using troupe::object_ref;
using troupe::remote;
using troupe::with;

namespace {

// -- tasks ----------------------------------------------------------------------------------------

int add(int a, int b) { return a + b; }
int pid() { return ::getpid(); }
int fib(int n) {
  return n < 2 ? n : troupe::get(remote<fib>(n - 1)) + troupe::get(remote<fib>(n - 2));
}
int throws(int n) { throw std::out_of_range("no element " + std::to_string(n)); }
struct own_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
int throws_own() { throw own_error("of my own"); }
double total(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += v;
  return sum;
}
std::size_t length(std::string_view text) { return text.size(); }
std::tuple<int, std::string> two() { return {1, "two"}; }
troupe::generator<int> count_to(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
}
troupe::generator<int> count_then_throw(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
  throw std::runtime_error("enough");
}
troupe::async<int> plus_one(object_ref<int> ref) { co_return co_await ref + 1; }
int wait_for_stop(std::stop_token token) {
  while (!token.stop_requested()) std::this_thread::sleep_for(1ms);
  return 1;
}
int sleepy() {
  troupe::sleep_for(1h);
  return 1;
}

void tasks() {
  CHECK(fetch(remote<add>(1, 2)) == 3);
  CHECK(fetch(remote<pid>()) != ::getpid());
  CHECK(fetch(remote<add>(remote<add>(1, 2), remote<add>(3, 4))) == 10);
  CHECK(fetch(remote<fib>(12)) == 144);
  CHECK(fetch(remote<length>("seven")) == 5);
  CHECK(fetch(remote<total>(std::vector<float>(1 << 20, 0.5f))) == (1 << 19));
  const auto [one, text] = troupe::remote_each<two>();
  CHECK(fetch(one) == 1);
  CHECK(fetch(text) == "two");
  CHECK(fetch(remote<plus_one>(remote<add>(1, 1))) == 3);
  std::vector<object_ref<int>> many;
  for (int i = 0; i < 5'000; ++i) many.push_back(remote<add>(i, 1));
  long sum = 0;
  for (const auto& ref : many) sum += fetch(ref);
  CHECK(sum == 5'000L * 5'001 / 2);
  CHECK(fetch(remote<add>(1, 2).then([](int n) { return n * 2; })) == 6);
}

void errors() {
  try {
    fetch(remote<throws>(7));
    CHECK(false);
  } catch (const std::out_of_range& e) {
    const auto* const told = dynamic_cast<const troupe::task_error*>(&e);
    CHECK(told != nullptr);
    if (told != nullptr) {
      CHECK(told->message() == "no element 7");
      CHECK(told->pid() != ::getpid());
    }
  }
  CHECK_THROWS_AS(fetch(remote<add>(remote<throws>(1), 2)), std::out_of_range);
  CHECK_THROWS_AS(fetch(remote<throws_own>()), troupe::task_error);
  int items = 0;
  bool failed = false;
  for (const auto& ref : remote<count_then_throw>(20)) {
    try {
      fetch(ref);
      ++items;
    } catch (const std::runtime_error&) {
      failed = true;
    }
  }
  CHECK(items == 20);
  CHECK(failed);
}

void streams() {
  long sum = 0;
  for (const auto& ref : remote<count_to>(1'000)) sum += fetch(ref);
  CHECK(sum == 499'500);
  auto dropped = with({.backpressure = 2}).remote<count_to>(1'000'000);
  CHECK(fetch(*dropped.next(60s)) == 0);
}

void cancels() {
  const auto spinning = remote<wait_for_stop>();
  const auto waiting = remote<sleepy>();
  troupe::wait(std::vector{spinning, waiting}, {.timeout = 300ms});
  CHECK(troupe::cancel(spinning));
  CHECK(troupe::cancel(waiting));
  CHECK_THROWS_AS(fetch(spinning), troupe::task_cancelled_error);
  CHECK_THROWS_AS(fetch(waiting), troupe::task_cancelled_error);
  // Their CPUs are free again.
  CHECK(fetch(remote<add>(1, 2)) == 3);
  CHECK(fetch(remote<fib>(8)) == 21);
}

// -- objects --------------------------------------------------------------------------------------

object_ref<int> put_there(int n) { return troupe::put(n * 2); }
int sum_of(const std::vector<object_ref<int>>& refs) {
  int sum = 0;
  for (const auto& ref : refs) sum += troupe::get(ref);
  return sum;
}
std::vector<object_ref<int>> pass_on(std::vector<object_ref<int>> refs) { return refs; }
object_ref<int> owned_by_dead(int n) { return troupe::put(n); }

void objects() {
  CHECK(fetch(fetch(remote<put_there>(21))) == 42);
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 100; ++i) refs.push_back(remote<add>(i, 0));
  CHECK(fetch(remote<sum_of>(refs)) == 4'950);
  const auto there_and_back = fetch(remote<pass_on>(refs));
  CHECK(there_and_back.size() == 100);
  CHECK(fetch(there_and_back[99]) == 99);
  CHECK(fetch(remote<sum_of>(std::vector{fetch(remote<put_there>(1)), troupe::put(3)})) == 5);
  // The worker that owns it dies before its value was asked for anywhere else.
  const auto owner = with({.isolation = troupe::isolation::process}).remote<owned_by_dead>(1);
  CHECK(fetch(fetch(owner)) == 1);
}

// -- actors ---------------------------------------------------------------------------------------

struct counter {
  explicit counter(int start = 0) : value(start) {}
  int add(int by) { return value += by; }
  int host() { return ::getpid(); }
  int lives() { return troupe::this_actor::restarts(); }
  void crash() { std::raise(SIGKILL); }
  void fail() { troupe::this_actor::fail("on purpose"); }
  void leave() { troupe::this_actor::exit(); }
  int refuse() { throw std::invalid_argument("not this"); }
  troupe::actor_handle<counter> self() { return troupe::this_actor::handle<counter>(); }
  int value;
};
struct unborn {
  unborn() { throw std::runtime_error("stillborn"); }
  int answer() { return 1; }
};
int add_to(troupe::actor_handle<counter> c, int by) {
  return troupe::get(c.remote<&counter::add>(by));
}
int add_by_name(const std::string& name, int by) {
  return troupe::get(troupe::get_actor<counter>(name).remote<&counter::add>(by));
}

void infeasible() {
  const auto refusing =
      troupe::with({.resources = {{"unobtainium", 1}}, .infeasible = troupe::infeasible::fail});
  try {
    fetch(refusing.remote<add>(1, 2));
    CHECK(false);
  } catch (const troupe::placement_error& e) {
    CHECK(std::string(e.what()).find("unobtainium") != std::string::npos);
  }
  const auto c = refusing.remote<counter>();
  CHECK_THROWS_AS(fetch(c.ready()), troupe::actor_died_error);
  // Another of that shape, which did not ask for it, waits for a node that may come.
  const auto patient = troupe::with({.resources = {{"unobtainium", 1}}}).remote<add>(1, 2);
  CHECK_THROWS_AS(fetch(refusing.remote<add>(1, 2)), troupe::placement_error);
  CHECK(!patient.ready());
  troupe::cancel(patient);
  CHECK_THROWS_AS(fetch(patient), troupe::task_cancelled_error);
}

void actors() {
  const auto c = remote<counter>(10);
  CHECK(fetch(c.remote<&counter::host>()) != ::getpid());
  CHECK(fetch(c.remote<&counter::add>(5)) == 15);
  CHECK(fetch(c.remote<&counter::add>(remote<add>(1, 1))) == 17);
  std::vector<object_ref<int>> calls;
  for (int i = 0; i < 2'000; ++i) calls.push_back(c.remote<&counter::add>(1));
  bool in_order = true;
  for (int i = 0; i < 2'000; ++i) in_order = in_order && fetch(calls[i]) == 18 + i;
  CHECK(in_order);
  CHECK(fetch(remote<add_to>(c, 3)) == 2'020);
  CHECK(fetch(fetch(c.remote<&counter::self>()).remote<&counter::add>(0)) == 2'020);
  CHECK_THROWS_AS(fetch(c.remote<&counter::refuse>()), std::invalid_argument);
  CHECK(fetch(c.remote<&counter::add>(0)) == 2'020);
  troupe::kill(c);
  while (c.alive()) std::this_thread::yield();  // its owner has it told to every handle
  CHECK_THROWS_AS(fetch(c.remote<&counter::add>(1)), troupe::actor_died_error);
  const auto u = remote<unborn>();
  CHECK_THROWS_AS(fetch(u.remote<&unborn::answer>()), troupe::actor_died_error);
  const auto leaving = remote<counter>();
  CHECK_THROWS_AS(fetch(leaving.remote<&counter::leave>()), troupe::actor_died_error);
}

void names() {
  const auto c = with({.name = "till"}).remote<counter>(1);
  CHECK(fetch(remote<add_by_name>("till", 1)) == 2);
  CHECK_THROWS_AS(with({.name = "till"}).remote<counter>(1), troupe::actor_name_error);
  const auto same = with({.name = "till", .get_if_exists = true}).remote<counter>(100);
  CHECK(fetch(same.remote<&counter::add>(1)) == 3);
  CHECK_THROWS_AS(troupe::get_actor<counter>("nobody"), troupe::actor_name_error);
  CHECK_THROWS_AS(troupe::get_actor<unborn>("till"), troupe::actor_name_error);
}

// -- pools ----------------------------------------------------------------------------------------

struct worker_of_pool {
  explicit worker_of_pool(std::string what = "soup") : dish(std::move(what)) {}
  std::string serve(int table) { return dish + " for " + std::to_string(table); }
  int host() { return ::getpid(); }
  std::vector<int> twice(std::vector<int> all) {
    for (int& one : all) one *= 2;
    return all;
  }
  int crash_once(const std::string& path) {
    if (!std::filesystem::exists(path)) {
      std::ofstream(path) << "x";
      std::raise(SIGKILL);
    }
    return 1;
  }
  std::string dish;
};
std::string order(troupe::shared_pool<worker_of_pool> kitchen, int table) {
  return troupe::get(kitchen.remote<&worker_of_pool::serve>(table));
}
std::string order_by_name(const std::string& name, int table) {
  return troupe::get(troupe::get_pool<worker_of_pool>(name).remote<&worker_of_pool::serve>(table));
}

void pools() {
  const troupe::shared_pool<worker_of_pool> kitchen(
      {.size = 2, .actor = {.isolation = troupe::isolation::process}, .name = "kitchen"}, "stew");
  CHECK(fetch(kitchen.remote<&worker_of_pool::serve>(1)) == "stew for 1");
  CHECK(fetch(remote<order>(kitchen, 2)) == "stew for 2");
  CHECK(fetch(remote<order_by_name>("kitchen", 3)) == "stew for 3");
  CHECK(fetch(kitchen.remote<&worker_of_pool::serve>(remote<add>(2, 2))) == "stew for 4");
  CHECK(fetch(kitchen.remote<&worker_of_pool::host>()) != ::getpid());
  const auto batched = kitchen.batched<&worker_of_pool::twice>({.max_batch_size = 4});
  std::vector<object_ref<int>> doubled;
  for (int i = 0; i < 10; ++i) doubled.push_back(batched.remote(i));
  for (int i = 0; i < 10; ++i) CHECK(fetch(doubled[static_cast<std::size_t>(i)]) == 2 * i);
  // A member that dies takes nothing along: its call goes to another one.
  const std::string path =
      std::filesystem::temp_directory_path() / ("troupe-pool-" + std::to_string(::getpid()));
  CHECK(fetch(kitchen.remote<&worker_of_pool::crash_once>(path)) == 1);
  std::filesystem::remove(path);
  CHECK(fetch(kitchen.stats()).members == 2);
  const auto extra = remote<worker_of_pool>("salad");
  const troupe::shared_pool<worker_of_pool> of_one({extra});
  CHECK(fetch(remote<order>(of_one, 5)) == "salad for 5");
  troupe::kill(kitchen);
  while (kitchen.actor().alive()) std::this_thread::yield();
  CHECK_THROWS_AS(fetch(kitchen.remote<&worker_of_pool::serve>(1)), troupe::actor_died_error);
}

// One program leaves a detached actor, the next one finds it.
void leave_detached() {
  const auto c =
      with({.name = "vault", .lifetime = troupe::lifetime::detached}).remote<counter>(100);
  CHECK(fetch(c.remote<&counter::add>(1)) == 101);
}
void find_detached() {
  const auto c = troupe::get_actor<counter>("vault");
  CHECK(fetch(c.remote<&counter::add>(1)) == 102);
  troupe::kill(c);
  while (c.alive()) std::this_thread::yield();
  CHECK_THROWS_AS(fetch(c.remote<&counter::add>(1)), troupe::actor_died_error);
}

// -- failure --------------------------------------------------------------------------------------

int crash_until(const std::string& path, int times) {
  const auto before = std::filesystem::exists(path) ? std::filesystem::file_size(path) : 0;
  if (static_cast<int>(before) >= times) return 7;
  std::ofstream(path, std::ios::app) << 'x';
  std::raise(SIGKILL);
  return 0;
}
int crash_by(int how) {
  if (how == 0) std::abort();
  if (how == 1) std::_Exit(3);
  *static_cast<volatile int*>(nullptr) = 1;
  return 0;
}

void worker_deaths() {
  const std::string path =
      std::filesystem::temp_directory_path() / ("troupe-crash-" + std::to_string(::getpid()));
  CHECK(fetch(remote<crash_until>(path, 2)) == 7);
  std::filesystem::remove(path);
  try {
    fetch(with({.max_retries = 0}).remote<crash_by>(0));
    CHECK(false);
  } catch (const troupe::worker_crashed_error& e) {
    CHECK(std::string(e.what()).find("signal 6") != std::string::npos);
  }
  try {
    fetch(with({.max_retries = 0}).remote<crash_by>(1));
    CHECK(false);
  } catch (const troupe::worker_crashed_error& e) {
    CHECK(std::string(e.what()).find("exit code 3") != std::string::npos);
  }
  CHECK_THROWS_AS(fetch(with({.max_retries = 0}).remote<crash_by>(2)),
                  troupe::worker_crashed_error);
  CHECK(fetch(remote<add>(1, 2)) == 3);
}

void actor_deaths() {
  const auto c =
      with({.max_restarts = 3, .isolation = troupe::isolation::process}).remote<counter>(10);
  const auto neighbour = remote<counter>(1);
  CHECK(fetch(c.remote<&counter::add>(1)) == 11);
  CHECK(fetch(neighbour.remote<&counter::add>(1)) == 2);
  CHECK_THROWS_AS(fetch(c.remote<&counter::crash>()), troupe::actor_unavailable_error);
  CHECK(fetch(c.remote<&counter::add>(1)) == 11);
  CHECK(fetch(c.remote<&counter::lives>()) == 1);
  CHECK_THROWS_AS(fetch(c.remote<&counter::fail>()), troupe::actor_unavailable_error);
  CHECK(fetch(c.remote<&counter::lives>()) == 2);
  CHECK(fetch(neighbour.remote<&counter::add>(1)) == 3);  // another process
  CHECK_THROWS_AS(fetch(c.remote<&counter::crash>()), troupe::actor_unavailable_error);
  CHECK_THROWS_AS(fetch(c.remote<&counter::crash>()), troupe::actor_died_error);
}

/// Prints that it is there and waits to be killed.
void wait_to_be_killed() {
  const auto c = remote<counter>(1);
  const auto host = fetch(c.remote<&counter::host>());
  const auto t = remote<sleepy>();
  std::cout << "ready " << ::getpid() << ' ' << host << std::endl;
  troupe::get(t);
}

/// Its node is killed meanwhile.
void lose_node() {
  const auto c = remote<counter>(1);
  const auto host = fetch(c.remote<&counter::host>());
  const auto t = remote<sleepy>();
  std::cout << "ready " << ::getpid() << ' ' << host << std::endl;
  CHECK_THROWS_AS(fetch(t), troupe::connection_error);
  CHECK_THROWS_AS(fetch(remote<add>(1, 2)), troupe::connection_error);
  // What it asks the head is refused at once, with the reason.
  const auto says_why = [](auto&& ask) {
    try {
      ask();
    } catch (const troupe::connection_error& e) {
      return std::string(e.what()).find("the node of this process is gone") != std::string::npos;
    }
    return false;
  };
  CHECK(says_why([] { troupe::get_actor<counter>("nobody"); }));
  CHECK(says_why([] { troupe::list_placement_groups(); }));
  const troupe::placement_group group({.bundles = {{.num_cpus = 1}}});
  CHECK(says_why([&] { fetch(group.ready()); }));
  // Its worker dies with the node, though perhaps a moment later.
  bool died = false;
  for (const auto until = std::chrono::steady_clock::now() + 60s;
       !died && std::chrono::steady_clock::now() < until;) {
    try {
      fetch(c.remote<&counter::add>(1));
    } catch (const troupe::actor_died_error&) {
      died = true;
    }
  }
  CHECK(died);
}

/// A generator whose worker dies goes on where it was.
troupe::generator<int> dies_at(int n, std::string path) {
  for (int i = 0; i < n; ++i) {
    if (i == n / 2 && !std::filesystem::exists(path)) {
      std::ofstream(path) << 'x';
      std::this_thread::sleep_for(200ms);  // what was given is on its way
      std::raise(SIGKILL);
    }
    co_yield i;
  }
}
void stream_deaths() {
  const std::string path =
      std::filesystem::temp_directory_path() / ("troupe-stream-" + std::to_string(::getpid()));
  std::vector<int> got;
  for (const auto& ref : remote<dies_at>(40, path)) got.push_back(fetch(ref));
  std::filesystem::remove(path);
  CHECK(got.size() == 40);
  bool in_order = true;
  for (std::size_t i = 0; i < got.size(); ++i) in_order = in_order && got[i] == static_cast<int>(i);
  CHECK(in_order);
}

using scenario::words;
const std::map<std::string, std::function<void(const words&)>> scenarios{
    {"tasks", [](const words&) { tasks(); }},
    {"errors", [](const words&) { errors(); }},
    {"infeasible", [](const words&) { infeasible(); }},
    {"streams", [](const words&) { streams(); }},
    {"cancels", [](const words&) { cancels(); }},
    {"objects", [](const words&) { objects(); }},
    {"actors", [](const words&) { actors(); }},
    {"names", [](const words&) { names(); }},
    {"pools", [](const words&) { pools(); }},
    {"leave_detached", [](const words&) { leave_detached(); }},
    {"find_detached", [](const words&) { find_detached(); }},
    {"worker_deaths", [](const words&) { worker_deaths(); }},
    {"actor_deaths", [](const words&) { actor_deaths(); }},
    {"wait_to_be_killed", [](const words&) { wait_to_be_killed(); }},
    {"lose_node", [](const words&) { lose_node(); }},
    {"stream_deaths", [](const words&) { stream_deaths(); }},
};

}  // namespace

int main(int argc, char** argv) { return scenario::run(argc, argv, scenarios); }
