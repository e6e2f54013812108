/// The name that log records of this thread carry: that of the task or actor which runs on it.
#pragma once

#include <string_view>

namespace troupe::core {

/// Where a running thing's name is found when a record is written. A pair of pointers, so that
/// entering a task costs two stores and no name is built for what never logs.
struct log_name_source {
  const void* object = nullptr;
  /// Called on the thread that logs; the view is used before anything else runs there. Must not
  /// log.
  std::string_view (*name)(const void* object) noexcept = nullptr;
};

/// Initial-exec: one instruction to reach also in the shared library, where the default is a call;
/// the 16 bytes come from the reserve that the loader keeps for libraries opened later.
[[gnu::tls_model("initial-exec")]] inline thread_local constinit log_name_source current_log_name{};

/// While it lives, records of this thread carry the source's name. Nests: what runs in place of a
/// task that waits has its own name, then the outer one's is back. Confined to its thread; the
/// object must outlive it. A coroutine makes a new one each time it is resumed.
class log_context {
 public:
  explicit log_context(log_name_source source) noexcept : outer_(current_log_name) {
    current_log_name = source;
  }
  log_context(const log_context&) = delete;
  log_context& operator=(const log_context&) = delete;
  ~log_context() { current_log_name = outer_; }

  /// The name of what runs on this thread; empty outside of tasks and actors.
  static std::string_view name() {
    const log_name_source source = current_log_name;
    return source.name == nullptr ? std::string_view{} : source.name(source.object);
  }

 private:
  log_name_source outer_;
};

}  // namespace troupe::core
