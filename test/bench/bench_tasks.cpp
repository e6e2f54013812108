// Tasks beside raw CAF actors on the same scheduler, TBB and std::async.
#include <atomic>
#include <future>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <troupe/object_ref.hpp>
#include <troupe/runtime.hpp>
#include <troupe/task.hpp>

#ifdef TROUPE_BENCH_TBB
#include <tbb/global_control.h>
#include <tbb/task_group.h>
#endif

#include "core/parker.hpp"
#include "core/runtime.hpp"
#include "test/bench/bench.hpp"

namespace troupe::bench {
namespace {

int noop() { return 1; }

constexpr int batch = 200'000;

double tasks_per_second() {
  return batch / seconds([] {
           std::vector<object_ref<int>> refs;
           refs.reserve(batch);
           for (int i = 0; i < batch; ++i) refs.push_back(remote<noop>());
           keep(get(std::move(refs)));
         });
}

// An empty event-based actor that tells when it is done, as a task's ref does.
struct countdown {
  std::atomic<int> left{0};
  core::parker* sleep = nullptr;
  void done() {
    if (left.fetch_sub(1) == 1) sleep->unpark();
  }
};

double caf_actors_per_second() {
  static countdown counter;
  counter.left = batch;
  counter.sleep = &core::this_thread_parker();
  auto& system = core::find_runtime()->the_stage->system();
  return batch / seconds([&] {
           for (int i = 0; i < batch; ++i) {
             system.spawn([](caf::event_based_actor*) { counter.done(); });
           }
           while (counter.left.load() > 0) counter.sleep->park();
         });
}

std::vector<figure> noop_batch() {
  std::vector<figure> figures;
  {
    config settings;
    settings.num_cpus = 1;
    const auto session = init(settings);
    const auto caf = alternate(7, tasks_per_second, caf_actors_per_second);
    figures.push_back({.name = "task_noop_batch",
                       .value = caf.value,
                       .unit = "1/s",
                       .peer = "caf spawn, same scheduler",
                       .peer_value = caf.peer,
                       .note = "1 CPU; 200,000 tasks, all results got"});
  }
  {
    const auto session = init();
    const auto caf = alternate(7, tasks_per_second, caf_actors_per_second);
    figures.push_back({.name = "task_noop_batch_all_cpus",
                       .value = caf.value,
                       .unit = "1/s",
                       .peer = "caf spawn, same scheduler",
                       .peer_value = caf.peer,
                       .note = "all CPUs"});
#ifdef TROUPE_BENCH_TBB
    const auto tbb_rate = [] {
      return batch / seconds([] {
               tbb::task_group group;
               std::vector<int> results(batch);
               for (int i = 0; i < batch; ++i) group.run([&results, i] { results[i] = noop(); });
               group.wait();
               keep(results);
             });
    };
    const auto tbb = alternate(5, tasks_per_second, tbb_rate);
    figures.push_back({.name = "task_noop_batch_vs_tbb",
                       .value = tbb.value,
                       .unit = "1/s",
                       .peer = "tbb::task_group",
                       .peer_value = tbb.peer});
#endif
    const auto async_rate = [] {
      constexpr int count = 5'000;
      return count / seconds([] {
               std::vector<std::future<int>> futures;
               for (int i = 0; i < count; ++i) {
                 futures.push_back(std::async(std::launch::async, noop));
               }
               for (auto& f : futures) keep(f.get());
             });
    };
    const auto async = alternate(3, tasks_per_second, async_rate);
    figures.push_back({.name = "task_noop_batch_vs_async",
                       .value = async.value,
                       .unit = "1/s",
                       .peer = "std::async",
                       .peer_value = async.peer});
  }
  return figures;
}

std::vector<figure> noop_sync() {
  const auto session = init();
  constexpr int count = 20'000;
  const auto rate = [] {
    return seconds([] {
             for (int i = 0; i < count; ++i) keep(get(remote<noop>()));
           }) /
           count * 1e6;
  };
  const auto caf_rate = [] {
    auto& system = core::find_runtime()->the_stage->system();
    auto& sleep = core::this_thread_parker();
    return seconds([&] {
             for (int i = 0; i < count; ++i) {
               std::atomic<bool> done{false};
               system.spawn([&](caf::event_based_actor*) {
                 done.store(true);
                 sleep.unpark();
               });
               while (!done.load()) sleep.park();
             }
           }) /
           count * 1e6;
  };
  const auto both = alternate(5, rate, caf_rate);
  return {{.name = "task_noop_sync",
           .value = both.value,
           .unit = "us",
           .higher_is_better = false,
           .peer = "caf spawn and wait, same scheduler",
           .peer_value = both.peer,
           .note = "submit, get, one after the other"}};
}

const registered batch_benchmark{"task_noop_batch", noop_batch};
const registered sync_benchmark{"task_noop_sync", noop_sync};

}  // namespace
}  // namespace troupe::bench
