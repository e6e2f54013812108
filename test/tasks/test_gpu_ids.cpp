// Which GPUs a task or an actor has.
#include <algorithm>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/detail/gpu_claim.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::remote;
using troupe::with;

namespace {

using ids = std::vector<int>;

ids mine() { return troupe::gpu_ids(); }
ids wait_for(signal began, signal go) {
  ids result = troupe::gpu_ids();
  began.raise();
  go.wait();
  return result;
}
ids of_a_child() { return troupe::get(remote<mine>()); }

struct model {
  model() : at_birth(troupe::gpu_ids()) {}
  ids born() { return at_birth; }
  ids now() { return troupe::gpu_ids(); }
  ids at_birth;
};

troupe::session with_gpus(double count) {
  return troupe::init({.num_cpus = 4, .num_gpus = count, .log_level = troupe::log_level::off});
}

}  // namespace

TEST_CASE("a task knows the GPUs that it has, others have none") {
  const auto session = with_gpus(4);
  CHECK(troupe::gpu_ids().empty());
  CHECK(fetch(remote<mine>()).empty());
  CHECK(fetch(with({.num_gpus = 1}).remote<mine>()).size() == 1);
  ids four = fetch(with({.num_gpus = 4}).remote<mine>());
  CHECK(four == ids{0, 1, 2, 3});
  CHECK(fetch(with({.num_gpus = 2}).remote<of_a_child>()).empty());
}

TEST_CASE("fractions share a device while they fit, exactly") {
  const auto session = with_gpus(2);
  signal began;
  signal go;
  const auto a = with({.num_gpus = 0.25}).remote<wait_for>(began, go);
  const auto b = with({.num_gpus = 0.25}).remote<wait_for>(began, go);
  const auto c = with({.num_gpus = 0.5}).remote<wait_for>(began, go);
  const auto whole = with({.num_gpus = 1}).remote<wait_for>(began, go);
  REQUIRE(began.wait(4));
  go.raise();
  const ids shared = fetch(a);
  CHECK(shared.size() == 1);
  CHECK(fetch(b) == shared);
  CHECK(fetch(c) == shared);
  CHECK(fetch(whole).size() == 1);
  CHECK(fetch(whole) != shared);
}

TEST_CASE("a fraction that is free in parts of several devices is waited for") {
  const auto session = with_gpus(2);
  signal began;
  signal first_ends;
  signal second_ends;
  const auto first = with({.num_gpus = 0.6}).remote<wait_for>(began, first_ends);
  const auto second = with({.num_gpus = 0.6}).remote<wait_for>(began, second_ends);
  REQUIRE(began.wait(2));
  const auto third = with({.num_gpus = 0.6}).remote<mine>();
  CHECK(troupe::wait(std::vector{third}, {.timeout = std::chrono::milliseconds(20)}).ready.empty());
  second_ends.raise();
  CHECK(fetch(third) == fetch(second));
  first_ends.raise();
  CHECK(fetch(first) != fetch(second));
  CHECK(eventually([] { return troupe::available_resources().at("GPU") == 2; }));
}

TEST_CASE("a request for parts that do not come together can be taken back") {
  const auto session = with_gpus(2);
  signal began;
  signal ends;
  const auto first = with({.num_gpus = 0.6}).remote<wait_for>(began, ends);
  const auto second = with({.num_gpus = 0.6}).remote<wait_for>(began, ends);
  REQUIRE(began.wait(2));
  const auto third = with({.num_gpus = 0.8}).remote<mine>();
  CHECK(troupe::cancel(third));
  ends.raise();
  CHECK(fetch(first) != fetch(second));
  CHECK(eventually([] { return troupe::available_resources().at("GPU") == 2; }));
}

TEST_CASE("an actor has its GPUs from its constructor on, and keeps them") {
  const auto session = with_gpus(2);
  const auto one = with({.num_gpus = 1}).remote<model>();
  const auto two = with({.num_gpus = 0.5}).remote<model>();
  const ids first = fetch(one.remote<&model::born>());
  const ids second = fetch(two.remote<&model::born>());
  CHECK(first.size() == 1);
  CHECK(second.size() == 1);
  CHECK(first != second);
  CHECK(fetch(one.remote<&model::now>()) == first);
  CHECK(fetch(two.remote<&model::now>()) == second);
}

// -- what a library that uses GPUs is told --------------------------------------------------------

namespace {

thread_local int told = -1;

/// Hears which GPU becomes current, as the library does.
struct hook {
  hook() {
    troupe::detail::set_gpu_hook([](int id) noexcept { told = id; });
  }
  ~hook() { troupe::detail::set_gpu_hook(nullptr); }
};

int told_here() { return told; }
struct listener {
  int hears() { return told; }
  double share() { return troupe::detail::current_gpu_claim().share; }
};
double share_here() { return troupe::detail::current_gpu_claim().share; }

}  // namespace

TEST_CASE("the device of a task or method is made current before it runs") {
  const hook heard;
  const auto session = with_gpus(2);
  CHECK(fetch(remote<told_here>()) == -1);
  const auto first = with({.num_gpus = 1}).remote<listener>();
  const ids of_first = [&] { return ids{fetch(first.remote<&listener::hears>())}; }();
  CHECK(of_first == ids{0});
  CHECK(fetch(with({.num_gpus = 1}).remote<told_here>()) == 1);
  CHECK(fetch(first.remote<&listener::hears>()) == 0);
  CHECK(fetch(remote<told_here>()) == -1);  // on threads that ran the others
}

TEST_CASE("running code knows its share of a GPU") {
  const auto session = with_gpus(3);
  CHECK(troupe::detail::current_gpu_claim().task == 0);
  CHECK(fetch(remote<share_here>()) == 0);
  CHECK(fetch(with({.num_gpus = 0.25}).remote<share_here>()) == 0.25);
  CHECK(fetch(with({.num_gpus = 2}).remote<share_here>()) == 1);
  const auto half = with({.num_gpus = 0.5}).remote<listener>();
  CHECK(fetch(half.remote<&listener::share>()) == 0.5);
}
