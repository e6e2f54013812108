// Device arrays, over a driver in the host's memory.
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/archive.hpp>
#include <troupe/gpu/array.hpp>
#include <troupe/gpu/copy.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/task.hpp>

#include "test/gpu/fake_driver.hpp"
#include "test/gpu/receiver_is.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::remote;
using troupe::with;
namespace gpu = troupe::gpu;

namespace {

std::vector<int> numbers(std::size_t count) {
  std::vector<int> result(count);
  std::iota(result.begin(), result.end(), 1);
  return result;
}

gpu::array<int> pass(gpu::array<int> what) { return what; }
std::uintptr_t address_in(const gpu::array<int>& what) {
  return reinterpret_cast<std::uintptr_t>(what.data());
}
std::uintptr_t address(gpu::array<int> what) { return address_in(what); }
struct keeper {
  void keep(gpu::array<int> what) { kept = std::move(what); }
  std::uintptr_t address() { return address_in(kept); }
  gpu::array<int> kept;
};

bool can_allocate(std::size_t bytes) {
  try {
    const gpu::array<std::byte> one(bytes);
    return true;
  } catch (const gpu::device_memory_error&) {
    return false;
  }
}
std::string refusal_of(std::size_t bytes) {
  try {
    const gpu::array<std::byte> one(bytes);
  } catch (const gpu::device_memory_error& error) {
    return error.what();
  }
  return "";
}
int device_here() { return gpu::current_device(); }

}  // namespace

TEST_CASE("what goes to the device comes back") {
  fake_devices fake;
  fake.driver.run_at_once();
  const std::vector<int> some = numbers(1000);
  CHECK(gpu::to_host(gpu::to_device(some)) == some);
  const std::vector<int> many = numbers(5'000'000);  // several pieces of pinned memory
  CHECK(gpu::to_host(gpu::to_device(many)) == many);
  CHECK(gpu::to_host(gpu::to_device(std::vector<int>())).empty());
}

TEST_CASE("the memory goes back with the last handle, after the device has done with it") {
  fake_devices fake;
  {
    const gpu::array<int> first(10);
    const gpu::array<int> second = first;
    CHECK(first == second);
    CHECK(fake.driver.allocated() == 1);
  }
  CHECK(fake.driver.allocated() == 1);  // the stream has not come so far
  fake.driver.run_all();
  CHECK(fake.driver.allocated() == 0);
}

TEST_CASE("a clone has elements of its own") {
  fake_devices fake;
  fake.driver.run_at_once();
  const auto first = gpu::to_device(numbers(3));
  const auto second = first.clone();
  first.data()[0] = 9;
  CHECK(gpu::to_host(second) == numbers(3));
  CHECK(gpu::to_host(first)[0] == 9);
}

TEST_CASE("tasks and actors of the process get the array itself") {
  fake_devices fake;
  fake.driver.run_at_once();
  const auto session = start();
  const gpu::array<int> made = gpu::to_device(numbers(3));
  const auto ref = troupe::put(made);
  CHECK(fetch(remote<address>(remote<pass>(ref))) == address_in(made));
  const auto actor = remote<keeper>();
  actor.remote<&keeper::keep>(ref);
  CHECK(fetch(actor.remote<&keeper::address>()) == address_in(made));
  CHECK(fake.driver.allocated() == 1);
}

TEST_CASE("refs go to the device and back as tasks") {
  fake_devices fake;
  fake.driver.run_at_once();
  const auto session = start();
  const auto there = gpu::to_device(troupe::put(numbers(100)));
  CHECK(fetch(gpu::to_host(there)) == numbers(100));
}

TEST_CASE("an array is archived for another process only") {
  fake_devices fake;
  fake.driver.run_at_once();
  const gpu::array<int> made = gpu::to_device(numbers(10));
  CHECK_THROWS_WITH(troupe::detail::encode(made), contains("only to be sent to another process"));
}

TEST_CASE("an archived array is one of its own with the same elements") {
  const receiver_is far(troupe::detail::archive_receiver::elsewhere);
  fake_devices fake;
  fake.driver.run_at_once();
  const gpu::array<int> made = gpu::to_device(numbers(10'000));
  const auto bytes = troupe::detail::encode(made);
  const auto read = troupe::detail::decode<gpu::array<int>>(bytes.inline_bytes, bytes.segments);
  CHECK(read.data() != made.data());
  CHECK(gpu::to_host(read) == numbers(10'000));
}

TEST_CASE("damaged bytes are refused before anything is allocated") {
  const receiver_is far(troupe::detail::archive_receiver::elsewhere);
  fake_devices fake;
  fake.driver.run_at_once();
  const gpu::array<int> made = gpu::to_device(numbers(100));
  auto bytes = troupe::detail::encode(made);
  bytes.inline_bytes.resize(bytes.inline_bytes.size() / 2);
  CHECK_THROWS_AS(troupe::detail::decode<gpu::array<int>>(bytes.inline_bytes),
                  troupe::detail::archive_error);
  CHECK(fake.driver.allocated() == 1);
}

TEST_CASE("more than the device has is refused with what there is") {
  fake_devices fake;
  fake.driver.capacity = 1000;
  const gpu::array<std::byte> most(900);
  CHECK_THAT(refusal_of(200), contains("no 200 bytes") && contains("100 of 1000 are free"));
  CHECK(can_allocate(100));
}

TEST_CASE("sizes that have no number of bytes are refused") {
  fake_devices fake;
  CHECK_THROWS_AS(gpu::array<int>(static_cast<std::size_t>(-1)), std::length_error);
}

TEST_CASE("host memory of another size is refused") {
  fake_devices fake;
  fake.driver.run_at_once();
  std::vector<int> two(2);
  CHECK_THROWS_AS(gpu::copy_to_host(gpu::to_device(numbers(3)), std::span<int>(two)),
                  std::invalid_argument);
}

TEST_CASE("a task with a part of a GPU may have that part of its memory") {
  fake_devices fake;
  fake.driver.run_at_once();
  fake.driver.capacity = 1000;
  const auto session =
      troupe::init({.num_cpus = 2, .num_gpus = 1, .log_level = troupe::log_level::off});
  const auto quarter = with({.num_gpus = 0.25});
  CHECK(fetch(quarter.remote<can_allocate>(std::size_t{500})));  // nobody has asked for limits
  gpu::limit_memory_by_share(true);
  CHECK(fetch(quarter.remote<can_allocate>(std::size_t{250})));
  CHECK_THAT(fetch(quarter.remote<refusal_of>(std::size_t{251})),
             contains("250 bytes that are left of this task's part of device 0"));
  CHECK(fetch(with({.num_gpus = 1}).remote<can_allocate>(std::size_t{900})));
  CHECK(can_allocate(900));
}

TEST_CASE("a task works on the device that it has") {
  fake_devices fake(3);
  const auto session =
      troupe::init({.num_cpus = 4, .num_gpus = 4, .log_level = troupe::log_level::off});
  CHECK(gpu::current_device() == 0);
  std::vector<troupe::object_ref<int>> devices;
  const auto holder = with({.num_gpus = 1}).remote<keeper>();
  fetch(holder.remote<&keeper::address>());
  CHECK(fetch(with({.num_gpus = 1}).remote<device_here>()) == 1);
  // A task gives its devices back when its result is there already.
  REQUIRE(eventually([] { return troupe::available_resources().at("GPU") == 3; }));
  const auto others = with({.num_gpus = 2}).remote<keeper>();  // 1 and 2
  fetch(others.remote<&keeper::address>());
  // The fourth is a logical one: there are three devices.
  try {
    fetch(with({.num_gpus = 1}).remote<device_here>());
    FAIL("it must throw");
  } catch (const std::exception& error) {
    CHECK_THAT(error.what(),
               contains("GPU 3") && contains("a logical one") && contains("3 devices"));
  }
}

TEST_CASE("a thread can choose among devices") {
  fake_devices fake(2);
  {
    const gpu::on_device second(1);
    CHECK(gpu::current_device() == 1);
    CHECK(gpu::array<int>(1).device() == 1);
  }
  CHECK(gpu::current_device() == 0);
  CHECK_THROWS_AS(gpu::on_device(2), gpu::no_device_error);
}

TEST_CASE("an array of another device is refused, and here() brings it") {
  fake_devices fake(2);
  fake.driver.run_at_once();
  const gpu::array<int> first = gpu::to_device(numbers(3));
  const gpu::on_device second(1);
  const auto bad = gpu::run([&](const gpu::stream& on) { on.read(first); });
  CHECK_THROWS_WITH(fetch(bad), contains("lies on device 0") && contains("array.here()"));
  const gpu::array<int> moved = first.here();
  CHECK(moved.device() == 1);
  CHECK(gpu::to_host(moved) == numbers(3));
  CHECK(moved.here() == moved);
}
