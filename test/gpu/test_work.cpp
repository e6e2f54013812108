// Device work, its order and its end, over a driver in the host's memory.
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/gpu/array.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/gpu/graph.hpp>
#include <troupe/gpu/work.hpp>
#include <troupe/task.hpp>

#include "test/gpu/fake_driver.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::object_ref;
namespace gpu = troupe::gpu;

namespace {

/// As a kernel that adds: enqueued now, run when the stream comes to it.
void enqueue_add(fake_driver& driver, const gpu::stream& on, const gpu::array<int>& to, int by) {
  int* const at = on.write(to);
  driver.enqueue(on.native(), [at, by] { *at += by; });
}
object_ref<gpu::array<int>> add(fake_driver& driver, const object_ref<gpu::array<int>>& to,
                                int by) {
  return gpu::run_named(
      "add",
      [&driver, by](const gpu::stream& on, const gpu::array<int>& what) {
        enqueue_add(driver, on, what, by);
        return what;
      },
      to);
}
object_ref<gpu::array<int>> zero() {
  return gpu::run([](const gpu::stream&) { return gpu::array<int>(1); });
}

}  // namespace

TEST_CASE("work is done when the device has done it, not when it was enqueued") {
  fake_devices fake;
  bool ran = false;
  const auto ref = gpu::run([&](const gpu::stream& on) {
    fake.driver.enqueue(on.native(), [&ran] { ran = true; });
    return 7;
  });
  CHECK_FALSE(ref.ready());
  CHECK_FALSE(ran);
  fake.driver.run_at_once();
  CHECK(fetch(ref) == 7);
  CHECK(ran);
}

TEST_CASE("a chain is enqueued as a whole before any of it runs") {
  fake_devices fake;
  auto sum = zero();
  for (int i = 1; i <= 100; ++i) sum = add(fake.driver, sum, i);
  CHECK_FALSE(sum.ready());
  fake.driver.run_at_once();
  CHECK(*fetch(sum).data() == 5050);
}

TEST_CASE("a chain needs few events") {
  fake_devices fake;
  auto sum = zero();
  for (int i = 0; i < 1000; ++i) sum = add(fake.driver, sum, 1);
  fake.driver.run_at_once();
  CHECK(*fetch(sum).data() == 1000);
  CHECK(fake.driver.waits() == 0);
  CHECK(fake.driver.records() < 500);
}

TEST_CASE("work of two streams on one array is ordered by an event") {
  fake_devices fake;
  const auto first = add(fake.driver, zero(), 5);
  object_ref<gpu::array<int>> second;
  std::thread([&] { second = add(fake.driver, first, 2); }).join();
  CHECK(fake.driver.streams() == 2);
  CHECK(fake.driver.waits() == 1);
  fake.driver.run_at_once();
  CHECK(*fetch(second).data() == 7);
}

TEST_CASE("work waits for an argument that a task makes") {
  fake_devices fake;
  const auto session = start();
  fake.driver.run_at_once();
  const signal go;
  const auto by = troupe::put(signal(go)).then([](const signal& when) {
    when.wait();
    return 3;
  });
  const auto ref = gpu::run(
      [&](const gpu::stream& on, int value) {
        gpu::array<int> made(1);
        enqueue_add(fake.driver, on, made, value);
        return made;
      },
      by);
  const auto next = add(fake.driver, ref, 4);
  CHECK_FALSE(ref.ready());
  CHECK_FALSE(next.ready());
  go.raise();
  CHECK(*fetch(next).data() == 7);
}

TEST_CASE("the failure of an argument is that of the work, which does not run") {
  fake_devices fake;
  const auto session = start();
  bool ran = false;
  const auto bad =
      troupe::put(1).then([](int) -> int { throw std::out_of_range("no such thing"); });
  const auto ref = gpu::run([&](const gpu::stream&, int) { ran = true; }, bad);
  const auto next = gpu::run([&](const gpu::stream&) { return 1; });
  CHECK_THROWS_AS(fetch(ref), std::out_of_range);
  CHECK_FALSE(ran);
  fake.driver.run_at_once();
  CHECK(fetch(next) == 1);
}

TEST_CASE("what enqueuing throws fails the work and what follows it") {
  fake_devices fake;
  const auto bad = gpu::run(
      [](const gpu::stream&) -> gpu::array<int> { throw std::invalid_argument("no shape"); });
  CHECK(bad.failed());
  CHECK_THROWS_AS(fetch(add(fake.driver, bad, 1)), std::invalid_argument);
}

TEST_CASE("a failure of the device is told by name, by all work that it ends") {
  fake_devices fake;
  const auto first = add(fake.driver, zero(), 1);
  const auto second = add(fake.driver, first, 1);
  fake.driver.break_device("an illegal memory access was encountered");
  for (const auto& ref : {first, second}) {
    try {
      fetch(ref);
      FAIL("it must throw");
    } catch (const gpu::device_error& error) {
      CHECK(error.fatal());
      CHECK(error.code() == 700);
      CHECK_THAT(error.what(), contains("'add'") && contains("illegal memory access"));
    }
  }
  // The device is of no use from then on, and says since when.
  try {
    fetch(gpu::run([](const gpu::stream&) { return 1; }));
    FAIL("it must throw");
  } catch (const gpu::device_error& error) {
    CHECK_THAT(error.what(), contains("of no use to this process any more"));
  }
}

TEST_CASE("cancelled work has failed for its ref, and the device goes on") {
  fake_devices fake;
  bool ran = false;
  const auto ref = gpu::run(
      [&](const gpu::stream& on) { fake.driver.enqueue(on.native(), [&ran] { ran = true; }); });
  CHECK(troupe::cancel(ref));
  CHECK_THROWS_AS(fetch(ref), troupe::task_cancelled_error);
  fake.driver.run_all();
  CHECK(ran);
}

TEST_CASE("what enqueued work needs is kept until the device has done it") {
  fake_devices fake;
  const auto needed = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = needed;
  auto ref = gpu::run([needed](const gpu::stream&) mutable { ++*needed; });
  const_cast<std::shared_ptr<int>&>(needed).reset();
  CHECK_FALSE(watched.expired());
  fake.driver.run_at_once();
  fetch(ref);
  CHECK(eventually([&] { return watched.expired(); }));
}

TEST_CASE("no thread of the stage waits for the device") {
  fake_devices fake;
  const auto session = start(1);
  std::vector<object_ref<int>> refs;
  for (int i = 0; i < 100; ++i) refs.push_back(gpu::run([i](const gpu::stream&) { return i; }));
  CHECK(troupe::stats().pending_tasks == 0);
  CHECK(fetch(troupe::put(1).then([](int value) { return value; })) == 1);  // the CPU is free
  fake.driver.run_at_once();
  CHECK(fetch(refs[99]) == 99);
}

TEST_CASE("a graph runs what was recorded, in order with other work") {
  fake_devices fake;
  fake.driver.run_at_once();
  const gpu::array<int> sum(1);
  const gpu::graph twice([&](const gpu::stream& on) {
    enqueue_add(fake.driver, on, sum, 1);
    enqueue_add(fake.driver, on, sum, 1);
  });
  CHECK(*sum.data() == 0);
  for (int i = 0; i < 3; ++i) fetch(twice.launch());
  CHECK(*sum.data() == 6);
}

TEST_CASE("a graph is freed with its last handle") {
  fake_devices fake;
  {
    const gpu::graph nothing([](const gpu::stream&) {});
  }
  CHECK(fake.driver.freed_graphs == 1);
}
