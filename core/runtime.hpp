/// The parts of a running runtime, and the one slot through which they are found.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <troupe/config.hpp>

#include "core/ledger.hpp"
#include "core/stage/stage.hpp"
#include "core/timers.hpp"

namespace troupe::core {

/// A part that lives in a folder above core.
class component {
 public:
  virtual ~component() = default;
};

/// One embedded node: created by `init`, ended by `shutdown`. Its parts are thread-safe.
struct runtime {
  runtime(config from, resource_set total);

  const config settings;
  const std::uint64_t epoch;         ///< 1 for the first runtime of the process, 2, ...
  std::atomic<bool> closing{false};  ///< no further tasks, calls and actors
  std::unique_ptr<stage> the_stage;
  std::unique_ptr<timers> the_timers;
  std::unique_ptr<ledger> the_ledger;
  std::unique_ptr<component> tasks;   ///< tasks/task_engine.hpp
  std::unique_ptr<component> actors;  ///< actors/actor_engine.hpp
};

/// The running runtime, or null.
runtime* find_runtime() noexcept;
/// The running runtime. Throws `connection_error` that names what was tried when there is none.
runtime& require_runtime(const char* what);
/// Sets the slot. Null when the runtime ends.
void set_runtime(runtime* running) noexcept;

}  // namespace troupe::core
