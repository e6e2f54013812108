/// What a process tells its node of itself when it registers.
#pragma once

#include <string>

#include "net/messages.hpp"
#include "net/package_shelf.hpp"

namespace troupe::net {

/// Of this process: its executable and how it was started, so that workers can be started alike.
register_process introduce(int argc, const char* const* argv, bool is_worker,
                           const std::string& job_namespace);

/// Adds which file the program of this process is, and puts it where nodes can fetch it.
void describe_executable(register_process& of, package_shelf& shelf);
/// Of any file, for its descriptor. Throws `std::system_error`.
executable_file describe_file(int fd);

/// In a worker, before all else: loads the libraries of its environment and runs its setup. Why
/// that failed, or nothing.
std::string prepare_worker();

}  // namespace troupe::net
