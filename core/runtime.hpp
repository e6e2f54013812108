/// The parts of a running runtime, and the one slot through which they are found.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include <troupe/config.hpp>
#include <troupe/detail/actor_api.hpp>

#include "core/ledger.hpp"
#include "core/stage/stage.hpp"
#include "core/timers.hpp"

namespace troupe::detail {
class local_actor;
}
namespace troupe::tasks {
class task_queue;
}

namespace troupe::core {

/// A part that lives in a folder above core.
class component {
 public:
  virtual ~component() = default;
};

/// The cluster that this process is part of. Implemented in net/; thread-safe.
class cluster_link : public component {
 public:
  /// Tasks of this process wait in a queue that is run by leases of nodes.
  virtual void tasks_wait(tasks::task_queue& queue) noexcept = 0;
  /// The node of this process.
  virtual std::uint64_t own_node() const noexcept = 0;
  /// A task that runs elsewhere was cancelled or has run out of time.
  virtual void task_stopped(detail::task& task) noexcept = 0;
  /// Starts an actor on some node. As actor_engine::create.
  virtual detail::actor_core_ptr create_actor(const detail::class_info& info,
                                              detail::actor_call* creation,
                                              detail::options_ptr options, bool& taken) = 0;
  virtual detail::actor_core_ptr find_actor(std::string_view name, std::string_view in_namespace,
                                            const detail::class_info& info) = 0;
  /// The id of an environment for workers, ready to travel; see net/environments.hpp.
  virtual std::string prepare_environment(const runtime_env& wanted) = 0;
  /// Ends what this process owns elsewhere: no further messages of others are needed.
  virtual void leave(std::chrono::milliseconds patience) noexcept = 0;
  /// The handle that other processes know an actor of this one by; null when they know none.
  virtual detail::actor_core_ptr public_handle(detail::local_actor& actor) = 0;
};

class placement_groups;

/// One embedded node: created by `init`, ended by `shutdown`. Its parts are thread-safe.
struct runtime {
  runtime(config from, resource_set total);
  ~runtime();

  const config settings;
  const std::uint64_t epoch;         ///< 1 for the first runtime of the process, 2, ...
  std::atomic<bool> closing{false};  ///< no further tasks, calls and actors
  std::unique_ptr<stage> the_stage;
  std::unique_ptr<timers> the_timers;
  std::unique_ptr<ledger> the_ledger;
  std::unique_ptr<component> tasks;       ///< tasks/task_engine.hpp
  std::unique_ptr<component> actors;      ///< actors/actor_engine.hpp
  std::unique_ptr<cluster_link> cluster;  ///< net/; null when embedded
  std::unique_ptr<placement_groups> groups;
};

/// The running runtime, or null.
runtime* find_runtime() noexcept;
/// The running runtime. Throws `connection_error` that names what was tried when there is none.
runtime& require_runtime(const char* what);
/// Sets the slot. Null when the runtime ends.
void set_runtime(runtime* running) noexcept;

}  // namespace troupe::core
