/// Starts one process that dies with the thread that started it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/descriptor.hpp"

namespace troupe::net {

struct spawned {
  pid_t pid = -1;
  core::descriptor pidfd;
  core::descriptor out;  ///< reads its stdout; does not block
  core::descriptor err;  ///< reads its stderr; does not block
  std::string error;     ///< why it could not be started; then nothing of the above is there
};

/// The process leads a group of its own, reads /dev/null, inherits no other descriptor, and gets
/// SIGKILL when the calling thread ends.
spawned spawn(const std::string& executable, const std::vector<std::string>& arguments,
              const std::vector<std::string>& environment, const std::string& working_dir);

core::descriptor open_pidfd(pid_t pid);

}  // namespace troupe::net
