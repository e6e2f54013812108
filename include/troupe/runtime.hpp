/// Starting and ending the runtime, and what it has.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <troupe/config.hpp>
#include <troupe/detail/export.hpp>

namespace troupe {

struct shutdown_options {
  /// Wait for tasks and queued calls to end first. False: cancel what waits, ask what runs to stop.
  bool drain = false;
  /// How long to wait for running code, then a task or actor that goes on is named in the log and
  /// left behind. None: the configured `shutdown_timeout`.
  std::optional<std::chrono::milliseconds> timeout{};
};

/// The running runtime. Ends it when it goes; move-only.
class TROUPE_API session {
 public:
  session(session&& other) noexcept;
  session& operator=(session&& other) noexcept;
  ~session();

  /// Ends the runtime now, see `troupe::shutdown`. Once only; later calls do nothing.
  void shutdown(const shutdown_options& how = {});

 private:
  friend session init(int argc, const char* const* argv, config base);
  explicit session(bool owner) noexcept : owner_(owner) {}
  bool owner_;
};

/// Starts the runtime in this process. Options come from `argv` (`--troupe-num-cpus=4`; the
/// program's own arguments are left alone), then the environment (`TROUPE_NUM_CPUS`), then a
/// configuration file, then `base`. `--troupe-help` prints all of them and exits.
///
/// @throws std::invalid_argument for an option that is unknown or has a bad value; std::logic_error
///   when the runtime runs already (unless `base.ignore_reinit`, then the session that is returned
///   does not own it); connection_error when nothing answers at `address` or it
///   refuses this process.
[[nodiscard]] TROUPE_API session init(int argc, const char* const* argv, config base = {});
[[nodiscard]] inline session init(config base = {}) { return init(0, nullptr, std::move(base)); }
[[nodiscard]] inline session init(int argc, char** argv, config base = {}) {
  return init(argc, static_cast<const char* const*>(argv), std::move(base));
}

/// Whether `init` was called and `shutdown` was not.
TROUPE_API bool is_initialized() noexcept;

/// Ends the runtime: no further tasks or calls; what is pending fails with `task_cancelled_error`
/// or `actor_died_error`; actors' destructors run. Afterwards `init` may be called again. Values of
/// objects that are ready stay readable. Does nothing when nothing runs.
TROUPE_API void shutdown(const shutdown_options& how = {});

/// Name of the node that runs the caller: in a worker its node's, in a driver the one that it is
/// connected to, embedded the option `node-name` or the host's.
TROUPE_API std::string node_name();

/// What the runtime has in all: `{"CPU": 4, "GPU": 1, ...}`.
TROUPE_API std::map<std::string, double> cluster_resources();
/// What of it is free now.
TROUPE_API std::map<std::string, double> available_resources();

/// The GPUs of the task or actor that runs on this thread, by their numbers on its node: as many
/// as it asked for, one for a fraction, none elsewhere. Who gets a fraction shares that GPU with
/// others whose fractions fit beside it. A task that awaits gives its GPUs back, and may have other
/// ones when it goes on.
TROUPE_API std::vector<int> gpu_ids();

/// Counts for tests and monitoring. Each is exact when nothing runs.
struct runtime_stats {
  std::size_t pending_tasks = 0;  ///< submitted, not ended
  std::size_t live_actors = 0;
  std::size_t threads = 0;          ///< threads of the stage now
  std::size_t peak_threads = 0;     ///< their largest number so far
  std::size_t blocked_threads = 0;  ///< of them in a troupe wait
};
TROUPE_API runtime_stats stats();

}  // namespace troupe
