// What crosses a process costs, beside ZeroMQ alone: tasks, calls and actors of a head on this
// machine with two CPUs.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/bench/bench.hpp"
#include "test/bench/nodes.hpp"
#include "test/bench/raw_zeromq.hpp"

namespace troupe::bench {

// Not in a nameless namespace: they are called by name in the workers.
inline int cluster_noop(int n) { return n; }
struct cluster_counter {
  int add(int by) { return value += by; }
  int value = 0;
};

namespace {

/// ZeroMQ's peer, a head, and this program as its driver.
class on_cluster {
 public:
  on_cluster() {
    nodes::command("start --head --port 0 --num-cpus 2 --node-name bench");
    nodes_.connect("auto");
    get(remote<&cluster_noop>(1));
  }

  raw_zeromq raw;  // first: it forks

 private:
  nodes nodes_;
};

template <class Make>
double rate_of(int count, Make&& make) {
  return count / seconds([&] {
           std::vector<object_ref<int>> refs;
           refs.reserve(static_cast<std::size_t>(count));
           for (int i = 0; i < count; ++i) refs.push_back(make(i));
           for (const auto& ref : refs) keep(get(ref));
         });
}

std::vector<figure> both(const std::string& name, pair_of_medians of, bool rate) {
  return {{.name = name,
           .value = of.value,
           .unit = rate ? "1/s" : "us",
           .higher_is_better = rate,
           .peer = "raw ZeroMQ DEALER/ROUTER, 100 B",
           .peer_value = of.peer}};
}

const registered task_async("cluster_task_noop_async", [] {
  on_cluster here;
  constexpr int count = 100'000;
  return both("cluster_task_noop_async",
              alternate(
                  5, [] { return rate_of(count, [](int i) { return remote<&cluster_noop>(i); }); },
                  [&] { return here.raw.rate(count); }),
              true);
});

const registered task_sync("cluster_task_noop_sync", [] {
  on_cluster here;
  constexpr int count = 3'000;
  return both("cluster_task_noop_sync",
              alternate(
                  5,
                  [] {
                    return seconds([] {
                             for (int i = 0; i < count; ++i) keep(get(remote<&cluster_noop>(i)));
                           }) /
                           count * 1e6;
                  },
                  [&] { return here.raw.round_trip(count); }),
              false);
});

const registered call_async("cluster_actor_call_async", [] {
  on_cluster here;
  constexpr int count = 100'000;
  const auto c = remote<cluster_counter>();
  get(c.ready());
  return both(
      "cluster_actor_call_async",
      alternate(
          5,
          [&] { return rate_of(count, [&](int) { return c.remote<&cluster_counter::add>(1); }); },
          [&] { return here.raw.rate(count); }),
      true);
});

const registered call_sync("cluster_actor_call_sync", [] {
  on_cluster here;
  constexpr int count = 3'000;
  const auto c = remote<cluster_counter>();
  get(c.ready());
  return both("cluster_actor_call_sync",
              alternate(
                  5,
                  [&] {
                    return seconds([&] {
                             for (int i = 0; i < count; ++i) {
                               keep(get(c.remote<&cluster_counter::add>(1)));
                             }
                           }) /
                           count * 1e6;
                  },
                  [&] { return here.raw.round_trip(count); }),
              false);
});

const registered actor_create("cluster_actor_create", [] {
  on_cluster here;
  constexpr int count = 5'000;
  const auto measured = [] {
    return count / seconds([] {
             std::vector<actor_handle<cluster_counter>> all;
             for (int i = 0; i < count; ++i) all.push_back(remote<cluster_counter>());
             for (const auto& one : all) get(one.ready());
           });
  };
  measured();
  std::vector<double> runs;
  for (int i = 0; i < 5; ++i) runs.push_back(measured());
  return std::vector<figure>{
      {.name = "cluster_actor_create", .value = median(std::move(runs)), .unit = "1/s"}};
});

/// Milliseconds to run this binary to its end, doing nothing.
double fork_and_exec() {
  return seconds([] {
           char self[] = "/proc/self/exe";
           char list[] = "--list";
           char* const arguments[] = {self, list, nullptr};
           posix_spawn_file_actions_t quiet;
           posix_spawn_file_actions_init(&quiet);
           posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
           pid_t child = 0;
           const int failed = ::posix_spawn(&child, self, &quiet, nullptr, arguments, environ);
           posix_spawn_file_actions_destroy(&quiet);
           int status = 0;
           if (failed != 0 || ::waitpid(child, &status, 0) != child || status != 0) {
             throw std::runtime_error("this program cannot be run again");
           }
         }) *
         1e3;
}

const registered actor_create_process("cluster_actor_create_process", [] {
  on_cluster here;
  constexpr int count = 10;
  const pair_of_medians of = alternate(
      5,
      [] {
        return seconds([] {
                 for (int i = 0; i < count; ++i) {
                   get(with({.isolation = isolation::process}).remote<cluster_counter>().ready());
                 }
               }) /
               count * 1e3;
      },
      [] {
        double sum = 0;
        for (int i = 0; i < count; ++i) sum += fork_and_exec();
        return sum / count;
      });
  return std::vector<figure>{{.name = "cluster_actor_create_process",
                              .value = of.value,
                              .unit = "ms",
                              .higher_is_better = false,
                              .peer = "fork and exec of the same binary",
                              .peer_value = of.peer}};
});

const registered wait_1k("cluster_wait_1k", [] {
  on_cluster here;
  constexpr int count = 1'000;
  const auto measured = [] {
    std::vector<object_ref<int>> refs;
    for (int i = 0; i < count; ++i) refs.push_back(remote<&cluster_noop>(i));
    return seconds([&] {
             auto rest = ref_set<object_ref<int>>(std::move(refs));
             while (!rest.empty()) keep(rest.take());
           }) /
           count * 1e6;
  };
  measured();
  std::vector<double> runs;
  for (int i = 0; i < 5; ++i) runs.push_back(measured());
  return std::vector<figure>{{.name = "cluster_wait_1k",
                              .value = median(std::move(runs)),
                              .unit = "us/ref",
                              .higher_is_better = false}};
});

const registered placement_groups("placement_group", [] {
  on_cluster here;
  constexpr int count = 1'000;
  const auto measured = [] {
    return count / seconds([] {
             std::vector<placement_group> groups;
             for (int i = 0; i < count; ++i) {
               groups.push_back(placement_group({.bundles = {{.num_cpus = 0.001}}}));
             }
             for (const placement_group& group : groups) get(group.ready());
             groups.clear();
             // The head has removed them all when it answers this.
             if (!list_placement_groups().empty()) throw std::runtime_error("groups are left");
           });
  };
  measured();
  std::vector<double> runs;
  for (int i = 0; i < 5; ++i) runs.push_back(measured());
  return std::vector<figure>{
      {.name = "placement_group", .value = median(std::move(runs)), .unit = "groups/s"}};
});

}  // namespace
}  // namespace troupe::bench
