/// What of an environment this process can take on itself: libraries and the setup function.
#pragma once

#include <string>
#include <vector>

#include <troupe/runtime_env.hpp>

namespace troupe::core {

/// Loads a shared library for good, so that the functions that it registers are known. Throws
/// `runtime_env_error` that names it and says why it cannot be loaded.
void load_library(const std::string& path);

/// Throws `runtime_env_error` that says that it failed and how.
void run_setup(std::uint64_t key);

/// An environment in an embedded runtime: its libraries are loaded and its setup runs, each once in
/// the life of the process; a failure is that of every later use, too. Throws `runtime_env_error`,
/// also for what can only be given to another process: variables, a working folder, files.
/// Thread-safe.
void adopt_environment(const runtime_env& wanted);

}  // namespace troupe::core
