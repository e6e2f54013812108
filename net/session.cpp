#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <troupe/error.hpp>
#include <troupe/log.hpp>
#include <troupe/runtime.hpp>

#include "actors/actor_engine.hpp"
#include "actors/local_actor.hpp"
#include "core/cpu_limits.hpp"
#include "core/environment.hpp"
#include "core/execution.hpp"
#include "core/fault.hpp"
#include "core/gpu_devices.hpp"
#include "core/local_groups.hpp"
#include "core/logging.hpp"
#include "core/node_name.hpp"
#include "core/options.hpp"
#include "core/runtime.hpp"
#include "net/cluster.hpp"
#include "net/introduction.hpp"
#include "net/named_streams.hpp"
#include "tasks/task_engine.hpp"

namespace troupe {

namespace {

using clock = std::chrono::steady_clock;

// Serialises init and shutdown. Ended runtimes stay: a thread of the user's that races with
// shutdown may still read one, and code that outlives its deadline still uses its parts. Their
// threads are gone, unless such code runs on them. Neither is destroyed with the program: it may
// end by std::exit while tasks run, and must not wait for code that does not stop.
std::mutex lifecycle_mutex;
auto& ended_runtimes =
    *new std::vector<std::unique_ptr<core::runtime>>;  // guarded by lifecycle_mutex
auto& current = *new std::unique_ptr<core::runtime>;   // guarded by lifecycle_mutex

actors::actor_engine& actors_of(core::runtime& runtime) {
  return static_cast<actors::actor_engine&>(*runtime.actors);
}
tasks::task_engine& tasks_of(core::runtime& runtime) {
  return static_cast<tasks::task_engine&>(*runtime.tasks);
}

/// What an embedded runtime has. One of a cluster has what its nodes have, and looks for no GPUs.
core::resource_set total_of(const config& settings, bool clustered) {
  core::resource_set total;
  // A quota of a cgroup can be any fraction; the ledger counts in 0.0001.
  const double detected = std::floor(core::read_cpu_limits().cpus * 1e4) / 1e4;
  total.set(core::cpu_name,
            core::resource_amount::from_double(settings.num_cpus.value_or(detected), "num_cpus"));
  const auto gpus = [&] { return clustered ? 0.0 : static_cast<double>(core::detect_gpus()); };
  total.set(core::gpu_name, core::resource_amount::from_double(
                                settings.num_gpus ? *settings.num_gpus : gpus(), "num_gpus"));
  total.set(
      core::memory_name,
      core::resource_amount::from_whole(
          settings.memory.value_or(core::default_memory(core::read_memory_limits())), "memory"));
  for (const auto& [name, amount] : settings.resources) {
    if (name.empty() || name == core::cpu_name || name == core::gpu_name ||
        name == core::memory_name) {
      throw std::invalid_argument("resources: '" + name +
                                  "' is no name for a custom resource; CPU, GPU and memory have "
                                  "options of their own");
    }
    total.set(name, core::resource_amount::from_double(amount, name));
  }
  return total;
}

/// Waits until no task and no call is pending. False at the deadline.
bool wait_until_idle(core::runtime& runtime, clock::time_point until) {
  core::parker& sleep = core::this_thread_parker();
  tasks_of(runtime).set_drainer(&sleep);
  actors_of(runtime).set_drainer(&sleep);
  bool idle = false;
  do {
    idle = tasks_of(runtime).pending() == 0 && actors_of(runtime).idle();
  } while (!idle && sleep.park_until(until));
  tasks_of(runtime).set_drainer(nullptr);
  actors_of(runtime).set_drainer(nullptr);
  return idle;
}

// What moves between two places while an abort looks at them is found by a later one.
constexpr auto abort_period = std::chrono::milliseconds(2);

/// Cancels all tasks and ends all actors until none is left. False at the deadline.
bool wait_until_gone(core::runtime& runtime, clock::time_point until) {
  core::parker& sleep = core::this_thread_parker();
  tasks_of(runtime).set_drainer(&sleep);
  actors_of(runtime).set_drainer(&sleep);
  bool gone = false;
  for (;;) {
    tasks_of(runtime).abort();
    actors_of(runtime).abort();
    gone = tasks_of(runtime).pending() == 0 && actors_of(runtime).live() == 0;
    if (gone || clock::now() >= until) break;
    sleep.park_until(std::min(until, clock::now() + abort_period));
  }
  tasks_of(runtime).set_drainer(nullptr);
  actors_of(runtime).set_drainer(nullptr);
  return gone;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

void end_runtime(const shutdown_options& how) {
  const std::lock_guard guard(lifecycle_mutex);
  if (!current) return;
  core::runtime& runtime = *current;
  const auto patience = how.timeout.value_or(runtime.settings.shutdown_timeout);
  const clock::time_point until = clock::now() + patience;
  if (how.drain && !wait_until_idle(runtime, until)) {
    log::warn("shutdown: not all tasks and calls ended within ", patience.count(),
              " ms; the rest is cancelled");
  }
  runtime.closing.store(true);
  if (runtime.cluster != nullptr) runtime.cluster->leave(patience);
  // Code that runs has as long again to see its stop request.
  const clock::time_point last = clock::now() + patience;
  const bool gone = wait_until_gone(runtime, last);
  runtime.cluster.reset();
  core::set_runtime(nullptr);
  if (gone) {
    runtime.the_timers->stop();
    runtime.the_stage->stop();
  } else {
    const auto tasks = tasks_of(runtime).running();
    const auto names = actors_of(runtime).names(8);
    log::error("shutdown: code did not stop within ", patience.count(),
               " ms of its stop request and is left behind; tasks: ",
               tasks.empty() ? "none" : listed(tasks),
               ", actors: ", names.empty() ? "none" : listed(names));
  }
  ended_runtimes.push_back(std::move(current));
  core::logging::reset();
}

std::unique_ptr<core::placement_groups> embedded_groups(core::runtime& runtime) {
  return std::make_unique<core::local_groups>(
      runtime, [&runtime](placement_group_id group, const detail::failure_ptr& why,
                          const std::string& text) {
        tasks_of(runtime).end_group(group, why);
        actors_of(runtime).end_group(group, text);
      });
}

using demand_of_node = std::function<net::demand(const net::status::node&)>;

core::runtime& require(const char* what) { return core::require_runtime(what); }

std::map<std::string, double> as_map(const core::resource_set& set) {
  std::map<std::string, double> result;
  for (const auto& [name, amount] : set) result.emplace(name, amount.to_double());
  return result;
}

}  // namespace

namespace {

/// What runs on this thread, as a worker's output is named; empty when no task or actor does.
std::string running_name() {
  const core::execution* const now = core::current_execution;
  if (now == nullptr) return {};
  std::string name;
  if (now->actor != nullptr) {
    name = now->actor->name();
  } else if (now->call != nullptr) {
    name = now->call->name();
  }
  constexpr std::string_view unnamed = "{anonymous}::";
  return name.rfind(unnamed, 0) == 0 ? name.substr(unnamed.size()) : name;
}

/// A worker never returns to its program: its work comes from others.
[[noreturn]] void serve_and_exit() {
  static_cast<net::cluster&>(*current->cluster).serve();
  end_runtime({.drain = false, .timeout = std::chrono::milliseconds(2'000)});
  std::fflush(nullptr);
  // Not `exit`: the program's statics may be in use by code that did not stop.
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace

namespace {

/// A worker that cannot work in its environment tells its node why, and ends.
[[noreturn]] void report_and_exit(core::runtime& runtime, const net::cluster_address& at,
                                  net::register_process self, const std::string& why) {
  self.failure = why;
  try {
    const net::cluster refused(runtime, at, std::move(self));
  } catch (const std::exception& e) {
    log::error(e.what());
  }
  std::fflush(nullptr);
  std::_Exit(EXIT_FAILURE);
}

}  // namespace

session init(int argc, const char* const* argv, config base) {
  const bool ignore_reinit = base.ignore_reinit;
  const core::loaded_config loaded = core::load_config(argc, argv, std::move(base));
  if (loaded.help_requested) {
    std::fputs(loaded.help_text.c_str(), stdout);
    std::exit(EXIT_SUCCESS);
  }
  std::unique_lock guard(lifecycle_mutex);
  if (current) {
    if (ignore_reinit || loaded.value.ignore_reinit) return session(false);
    throw std::logic_error(
        "troupe::init: the runtime runs already in this process; call shutdown first, or set "
        "ignore_reinit to share it");
  }
  const bool is_worker = net::is_worker_process();
  if (is_worker) net::name_output_lines(&running_name);
  const bool clustered = is_worker || !loaded.value.address.empty();
  core::resource_set total = total_of(loaded.value, clustered);
  core::logging::configure(loaded.value);
  core::arm_faults_by_environment();
  if (is_worker && TROUPE_FAULT("worker.exit_at_start")) core::exit_by_fault();
  core::set_node_name(loaded.value.node_name);
  // Before there is a thread of the runtime: libraries and setup may do what they like.
  std::string broken;
  if (is_worker) {
    broken = net::prepare_worker();
  } else if (clustered) {
    for (const std::string& library : loaded.value.runtime_env.libraries) {
      core::load_library(library);
    }
  } else {
    core::adopt_environment(loaded.value.runtime_env);
  }
  auto runtime = std::make_unique<core::runtime>(loaded.value, std::move(total));
  runtime->tasks = std::make_unique<tasks::task_engine>(*runtime);
  runtime->actors = std::make_unique<actors::actor_engine>(*runtime);
  if (clustered) {
    const net::cluster_address at =
        is_worker ? net::worker_address() : net::find_cluster(loaded.value.address);
    net::register_process self = net::introduce(argc, argv, is_worker, loaded.value.job_namespace);
    if (!broken.empty()) report_and_exit(*runtime, at, std::move(self), broken);
    runtime->cluster = std::make_unique<net::cluster>(*runtime, at, std::move(self));
  }
  if (!clustered) runtime->groups = embedded_groups(*runtime);
  current = std::move(runtime);
  core::set_runtime(current.get());
  if (clustered) static_cast<net::cluster&>(*current->cluster).start();
  if (is_worker) {
    current->the_stage->read_when_idle();
    guard.unlock();
    serve_and_exit();
  }
  return session(true);
}

bool is_initialized() noexcept { return core::find_runtime() != nullptr; }

void shutdown(const shutdown_options& how) {
  if (core::current_execution != nullptr) {
    throw std::logic_error(
        "troupe::shutdown: called inside a task or actor, which it would wait for; call it from a "
        "thread of your own");
  }
  end_runtime(how);
}

session::session(session&& other) noexcept : owner_(std::exchange(other.owner_, false)) {}

session& session::operator=(session&& other) noexcept {
  if (this != &other) {
    shutdown();
    owner_ = std::exchange(other.owner_, false);
  }
  return *this;
}

session::~session() {
  try {
    shutdown();
  } catch (const std::exception& e) {
    log::error("the end of the session: ", e.what());
  }
}

void session::shutdown(const shutdown_options& how) {
  if (std::exchange(owner_, false)) troupe::shutdown(how);
}

namespace {

std::map<std::string, double> sum_of(core::runtime& runtime, const demand_of_node& pick) {
  std::map<std::string, double> sum;
  for (const auto& node : static_cast<net::cluster&>(*runtime.cluster).ask_head().nodes) {
    for (const auto& [name, units] : pick(node)) {
      sum[name] += core::resource_amount::from_units(units).to_double();
    }
  }
  return sum;
}

}  // namespace

std::string node_name() { return core::node_name(); }

std::map<std::string, double> cluster_resources() {
  core::runtime& runtime = require("cluster_resources");
  if (runtime.cluster != nullptr) {
    return sum_of(runtime, [](const net::status::node& node) { return node.total; });
  }
  return as_map(require("cluster_resources").the_ledger->total());
}

std::map<std::string, double> available_resources() {
  if (core::runtime& runtime = require("available_resources"); runtime.cluster != nullptr) {
    return sum_of(runtime, [](const net::status::node& node) {
      net::demand free = node.available;  // with what is used up, too
      for (const auto& [name, units] : node.total) free.emplace_back(name, 0);
      return free;
    });
  }
  const core::ledger& ledger = *require("available_resources").the_ledger;
  const core::resource_set free = ledger.available();
  std::map<std::string, double> result;  // with what is used up, too
  for (const auto& [name, amount] : ledger.total()) result[name] = free.get(name).to_double();
  return result;
}

runtime_stats stats() {
  core::runtime& runtime = require("stats");
  const core::stage_stats stage = runtime.the_stage->stats();
  return {.pending_tasks = tasks_of(runtime).pending(),
          .live_actors = actors_of(runtime).live(),
          .threads = stage.threads,
          .peak_threads = stage.peak_threads,
          .blocked_threads = stage.blocked};
}

}  // namespace troupe
