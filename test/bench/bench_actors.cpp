// Actor calls beside CAF messages on the same scheduler; a million live actors.
#include <atomic>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <malloc.h>
#include <unistd.h>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <troupe/actor.hpp>
#include <troupe/runtime.hpp>

#include "core/parker.hpp"
#include "core/runtime.hpp"
#include "test/bench/bench.hpp"

namespace troupe::bench {
namespace {

struct counter {
  int increment() { return ++value; }
  std::vector<int> increment_by(std::span<const int> batch) {
    std::vector<int> results;
    results.reserve(batch.size());
    for (const int by : batch) results.push_back(value += by);
    return results;
  }
  int increment_by_one(int by) { return value += by; }
  int value = 0;
};

constexpr int batch = 200'000;

double calls_per_second() {
  const auto actor = remote<counter>();
  get(actor.remote<&counter::increment>());
  return batch / seconds([&] {
           std::vector<object_ref<int>> refs;
           refs.reserve(batch);
           for (int i = 0; i < batch; ++i) refs.push_back(actor.remote<&counter::increment>());
           keep(get(std::move(refs)));
         });
}

/// As many calls of one method, each with an argument.
template <auto M>
double calls_per_second_of(const options& given) {
  const auto actor = with(given).remote<counter>();
  get(actor.remote<M>(1));
  return batch / seconds([&] {
           std::vector<object_ref<int>> refs;
           refs.reserve(batch);
           for (int i = 0; i < batch; ++i) refs.push_back(actor.remote<M>(1));
           keep(get(std::move(refs)));
         });
}

std::vector<figure> call_batched() {
  const auto session = init();
  const auto both = alternate(
      7,
      [] { return calls_per_second_of<batched<&counter::increment_by>>({.max_batch_size = 64}); },
      [] { return calls_per_second_of<&counter::increment_by_one>({}); });
  return {{.name = "actor_call_batched",
           .value = both.value,
           .unit = "1/s",
           .peer = "the same calls, not batched",
           .peer_value = both.peer,
           .note = "200,000 calls with an argument, up to 64 as one batch"}};
}

double caf_sends_per_second() {
  auto& system = core::find_runtime()->the_stage->system();
  auto& sleep = core::this_thread_parker();
  std::atomic<bool> done{false};
  const auto actor = system.spawn([&](caf::event_based_actor*) -> caf::behavior {
    auto left = std::make_shared<int>(batch);
    return {[left, &done, &sleep](int) {
      if (--*left == 0) {
        done.store(true);
        sleep.unpark();
      }
    }};
  });
  return batch / seconds([&] {
           for (int i = 0; i < batch; ++i) caf::anon_send(actor, 1);
           while (!done.load()) sleep.park();
         });
}

std::vector<figure> call_async() {
  const auto session = init();
  const auto both = alternate(7, calls_per_second, caf_sends_per_second);
  return {{.name = "actor_call_async",
           .value = both.value,
           .unit = "1/s",
           .peer = "caf anon_send, same scheduler",
           .peer_value = both.peer,
           .note = "200,000 calls, all results got; anon_send gives no results"}};
}

std::vector<figure> call_sync() {
  const auto session = init();
  constexpr int count = 20'000;
  const auto actor = remote<counter>();
  const auto rate = [&] {
    return seconds([&] {
             for (int i = 0; i < count; ++i) keep(get(actor.remote<&counter::increment>()));
           }) /
           count * 1e6;
  };
  auto& system = core::find_runtime()->the_stage->system();
  const auto server = system.spawn(
      [](caf::event_based_actor*) -> caf::behavior { return {[](int x) { return x + 1; }}; });
  const auto caf_rate = [&] {
    caf::scoped_actor self{system};
    return seconds([&] {
             for (int i = 0; i < count; ++i) {
               self->request(server, std::chrono::seconds(10), i)
                   .receive([](int x) { keep(x); }, [](const caf::error&) { std::abort(); });
             }
           }) /
           count * 1e6;
  };
  const auto both = alternate(7, rate, caf_rate);
  caf::anon_send_exit(server, caf::exit_reason::user_shutdown);
  return {{.name = "actor_call_sync",
           .value = both.value,
           .unit = "us",
           .higher_is_better = false,
           .peer = "caf request and receive, same scheduler",
           .peer_value = both.peer,
           .note = "round trip from a thread of the user's"}};
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

std::vector<figure> live_1m() {
  const auto session = init();
  constexpr int count = 1'000'000;
  std::vector<actor_handle<counter>> actors;
  actors.reserve(count);
  malloc_trim(0);
  const double before = resident_bytes();
  const double created = seconds([&] {
    for (int i = 0; i < count; ++i) actors.push_back(remote<counter>());
    for (const auto& actor : actors) get(actor.ready());
  });
  const double bytes = (resident_bytes() - before) / count;
  const double called = seconds([&] {
    std::vector<object_ref<int>> refs;
    refs.reserve(count);
    for (const auto& actor : actors) refs.push_back(actor.remote<&counter::increment>());
    keep(get(std::move(refs)));
  });
  return {{.name = "actors_live_1m",
           .value = count / created,
           .unit = "1/s",
           .note = "created, constructed and held"},
          {.name = "actors_live_1m_bytes",
           .value = bytes,
           .unit = "B",
           .higher_is_better = false,
           .note = "resident memory per live actor"},
          {.name = "actors_live_1m_calls",
           .value = count / called,
           .unit = "1/s",
           .note = "one call to each, all results got"}};
}

const registered async_benchmark{"actor_call_async", call_async};
const registered sync_benchmark{"actor_call_sync", call_sync};
const registered batched_benchmark{"actor_call_batched", call_batched};
const registered live_benchmark{"actors_live_1m", live_1m};

}  // namespace
}  // namespace troupe::bench
