// wait and get over many refs.
#include <vector>

#include <troupe/object_ref.hpp>
#include <troupe/runtime.hpp>
#include <troupe/task.hpp>

#include "test/bench/bench.hpp"

namespace troupe::bench {
namespace {

int noop() { return 1; }

std::vector<object_ref<int>> put_many(int count) {
  std::vector<object_ref<int>> refs;
  refs.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) refs.push_back(put(i));
  return refs;
}

/// Microseconds per ref to drain `count` refs one by one as they complete.
double drain(int count) {
  std::vector<object_ref<int>> refs;
  refs.reserve(static_cast<std::size_t>(count));
  return seconds([&] {
           for (int i = 0; i < count; ++i) refs.push_back(remote<noop>());
           ref_set<object_ref<int>> rest(std::move(refs));
           while (!rest.empty()) {
             auto step = wait(std::move(rest));
             keep(step.ready);
             rest = std::move(step.rest);
           }
         }) /
         count * 1e6;
}

std::vector<figure> wait_1k() {
  const auto session = init();
  const auto small = alternate(
      9, [] { return drain(1'000); }, [] { return drain(1'000); });
  return {{.name = "wait_1k",
           .value = small.value,
           .unit = "us/ref",
           .higher_is_better = false,
           .note = "submit 1,000 tasks, then wait for one after the other"}};
}

std::vector<figure> wait_100k() {
  const auto session = init();
  const auto both = alternate(
      5, [] { return drain(100'000); }, [] { return drain(1'000); });
  return {{.name = "wait_100k",
           .value = both.value,
           .unit = "us/ref",
           .higher_is_better = false,
           .peer = "the same with 1,000 refs",
           .peer_value = both.peer,
           .note = "linear when the ratio is near 1"}};
}

std::vector<object_ref<int>> make_refs() { return put_many(10'000); }

std::vector<figure> get_10k() {
  const auto session = init();
  std::vector<double> runs;
  for (int i = 0; i < 9; ++i) {
    const auto outer = remote<make_refs>();
    wait({outer});
    runs.push_back(seconds([&] { keep(get(get(outer))); }) * 1e6);
  }
  return {{.name = "get_10k_refs",
           .value = median(runs),
           .unit = "us",
           .higher_is_better = false,
           .note = "get an object that holds 10,000 refs, then all of these"}};
}

const registered wait_1k_benchmark{"wait_1k", wait_1k};
const registered wait_100k_benchmark{"wait_100k", wait_100k};
const registered get_10k_benchmark{"get_10k_refs", get_10k};

}  // namespace
}  // namespace troupe::bench
