#include "core/gpu_ids.hpp"

#include "net/worker_environment.hpp"
#include "test/support/catch.hpp"

using namespace troupe;

namespace {

core::resource_amount gpus(double amount) {
  return core::resource_amount::from_double(amount, "GPU");
}
using ids = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("whole GPUs have an id that nobody else has, shares pack onto few") {
  core::gpu_ids all(gpus(3));
  const auto half = all.take(gpus(0.5));
  const auto quarter = all.take(gpus(0.25));
  const auto two = all.take(gpus(2));
  REQUIRE((half && quarter && two));
  CHECK(half->ids == ids{0});
  CHECK(quarter->ids == ids{0});
  CHECK(two->ids == ids{1, 2});
  CHECK(!all.take(gpus(0.5)));
  all.give_back(*half);
  CHECK(all.take(gpus(0.5))->ids == ids{0});
}

TEST_CASE("free parts of several GPUs are no whole one") {
  core::gpu_ids all(gpus(2));
  const auto a = all.take(gpus(0.6));
  const auto b = all.take(gpus(0.6));
  CHECK(b->ids == ids{1});
  CHECK(!all.take(gpus(0.8)));
  all.give_back(*a);
  CHECK(all.take(gpus(1))->ids == ids{0});
}

TEST_CASE("no GPU wanted is none given") {
  core::gpu_ids none(gpus(0));
  CHECK(none.take(gpus(0))->ids.empty());
  CHECK(!none.take(gpus(0.1)));
}

TEST_CASE("the devices that a worker sees are named as the node's own variable names them") {
  CHECK(net::visible_devices({0, 2}, "") == "0,2");
  CHECK(net::visible_devices({0, 1}, "4,GPU-abc") == "4,GPU-abc");
  CHECK(net::visible_devices({}, "1") == "");
}
