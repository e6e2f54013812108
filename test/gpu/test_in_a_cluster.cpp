// What a cluster's program gets that wants devices where there are none: whatever the machine has,
// its workers see none here.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include <troupe/gpu/array.hpp>
#include <troupe/runtime.hpp>

#include "test/gpu/fake_driver.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/daemons.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;

namespace {

/// What `troupe status` shows of the only node's devices.
nlohmann::json gpu_memory_of(const daemons& cluster) {
  const command_result told = cluster.troupe({"status", "--json"});
  if (told.code != 0) throw std::runtime_error(told.err);
  return nlohmann::json::parse(told.out).at("nodes").at(0).at("gpu_memory");
}

}  // namespace

TEST_CASE("tasks with logical GPUs run in a cluster, and are told when they want a device") {
  const daemons cluster;
  const command_result started = cluster.troupe(
      {"start", "--head", "--port=0", "--node-name=head", "--num-cpus=2", "--num-gpus=2"},
      {"CUDA_VISIBLE_DEVICES="});
  INFO(started.out << started.err);
  REQUIRE(started.code == 0);
  const command_result ran = run_command(
      {TROUPE_TEST_BINARY_DIR "/test/gpu_array_driver", "no_device"},
      {"TROUPE_SESSION_BASE=" + cluster.base(), "TROUPE_ADDRESS=auto", "TROUPE_LOG_LEVEL=error"});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK_THAT(ran.out, contains("ok"));
}

TEST_CASE("the status shows what the arrays of a node's processes have of a device") {
  const daemons cluster;
  cluster.start_head("head", {"--num-cpus=1"});
  CHECK(gpu_memory_of(cluster).empty());
  fake_devices devices;
  devices.driver.run_at_once();
  ::setenv("TROUPE_SESSION_BASE", cluster.base().c_str(), 1);
  {
    const auto session = troupe::init({.address = "auto", .log_level = troupe::log_level::error});
    ::unsetenv("TROUPE_SESSION_BASE");
    {
      const troupe::gpu::array<float> some(1000);
      const troupe::gpu::array<float> more(24);
      CHECK(eventually([&] {
        const nlohmann::json shown = gpu_memory_of(cluster);
        return shown.size() == 1 && shown[0]["uuid"] == "GPU-0" && shown[0]["in_arrays"] == 4096 &&
               shown[0]["total"] == devices.driver.capacity && shown[0]["processes"] == 1;
      }));
      const command_result told = cluster.troupe({"status"});
      CHECK_THAT(told.out, contains("a fake device") && contains("4 KiB/1 GiB"));
    }
    CHECK(eventually([&] {
      const nlohmann::json shown = gpu_memory_of(cluster);
      return shown.size() == 1 && shown[0]["in_arrays"] == 0 && shown[0]["processes"] == 0;
    }));
  }
  CHECK(eventually([&] { return gpu_memory_of(cluster).empty(); }));
}
