/// What the running thread executes: which call, for which actor, with whose resources.
#pragma once

#include <troupe/detail/invocation.hpp>

#include "core/log_context.hpp"

namespace troupe::detail {
class local_actor;
}

namespace troupe::core {

/// Holds the resources of running code and can lend them out while that code blocks.
class resource_holder {
 public:
  /// Gives the CPUs back. Called before the thread blocks.
  virtual void suspend() noexcept = 0;
  /// Takes them again; blocks until they are granted, before all new work.
  virtual void resume() noexcept = 0;

 protected:
  ~resource_holder() = default;
};

/// One level of execution on a thread; a task that runs in place of a wait is a further one.
struct execution {
  detail::invocation* call = nullptr;
  detail::local_actor* actor = nullptr;
  resource_holder* resources = nullptr;
  const options* given = nullptr;  ///< of the task, or of the actor; null: the defaults
  execution* outer = nullptr;
};

inline thread_local execution* current_execution = nullptr;

/// Makes an execution the current one while it lives, and its name that of log records.
class execution_scope {
 public:
  explicit execution_scope(execution& inner) noexcept
      : log_({inner.call, [](const void* call) noexcept -> std::string_view {
                return static_cast<const detail::invocation*>(call)->name();
              }}) {
    inner.outer = current_execution;
    current_execution = &inner;
  }
  ~execution_scope() { current_execution = current_execution->outer; }
  execution_scope(const execution_scope&) = delete;
  execution_scope& operator=(const execution_scope&) = delete;

 private:
  log_context log_;
};

}  // namespace troupe::core
