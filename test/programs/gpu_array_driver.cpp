// Passes device arrays between the processes of a cluster; prints "ok", or what went wrong.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include <troupe/gpu.hpp>
#include <troupe/troupe.hpp>

namespace {

namespace gpu = troupe::gpu;
using ints = std::vector<int>;
using std::chrono::seconds;

ints numbers(int count) {
  ints result(static_cast<std::size_t>(count));
  std::iota(result.begin(), result.end(), 0);
  return result;
}

struct maker {
  gpu::array<int> make(int count) {
    kept = gpu::to_device(numbers(count));
    return kept;
  }
  long process() { return ::getpid(); }
  gpu::array<int> kept;
};
struct reader {
  bool right(gpu::array<int> what, int count) { return gpu::to_host(what) == numbers(count); }
  /// Keeps it past the call, and past its maker's own handle.
  void keep(gpu::array<int> what) { kept = std::move(what); }
  bool kept_right(int count) { return right(kept, count); }
  long process() { return ::getpid(); }
  gpu::array<int> kept;
};

void check(bool right, const std::string& what) {
  if (right) return;
  std::cout << "wrong: " << what << "\n";
  std::exit(1);
}

template <class T>
T fetch(const troupe::object_ref<T>& ref) {
  return troupe::get(ref, seconds(60));
}

void arrays() {
  const auto alone = troupe::with({.num_gpus = 0.25, .isolation = troupe::isolation::process});
  const auto first = alone.remote<maker>();
  const auto second = alone.remote<reader>();
  check(fetch(first.remote<&maker::process>()) != fetch(second.remote<&reader::process>()),
        "both actors are in one process");
  for (const int count : {1, 1000, 10'000'000}) {
    const auto made = first.remote<&maker::make>(count);
    check(fetch(second.remote<&reader::right>(made, count)),
          "the other process reads another array");
    check(fetch(second.remote<&reader::right>(made, count)), "the second reading is another");
    check(gpu::to_host(fetch(made)) == numbers(count), "the driver reads another array");
  }
  fetch(second.remote<&reader::keep>(first.remote<&maker::make>(1000)));
  fetch(first.remote<&maker::make>(1));
  check(fetch(second.remote<&reader::kept_right>(1000)), "what was kept has changed");
}

gpu::array<int> make_one() { return gpu::array<int>(1); }

void no_device() {
  check(troupe::cluster_resources()["GPU"] == 2, "the cluster has not the GPUs that it was told");
  try {
    fetch(troupe::with({.num_gpus = 0.5}).remote<make_one>());
    check(false, "an array was made without a device");
  } catch (const std::exception& error) {
    check(std::string(error.what()).find("there is no GPU: ") != std::string::npos, error.what());
  }
  check(fetch(troupe::with({.num_gpus = 2}).remote<gpu::device_count>()) == 0, "a device appeared");
}

}  // namespace

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  try {
    if (std::string(argv[1]) == "arrays") arrays();
    if (std::string(argv[1]) == "no_device") no_device();
  } catch (const std::exception& error) {
    check(false, error.what());
  }
  std::cout << "ok\n";
  return 0;
}
