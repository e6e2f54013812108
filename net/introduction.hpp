/// What a process tells its node of itself when it registers.
#pragma once

#include <string>

#include "net/messages.hpp"

namespace troupe::net {

/// Of this process: its executable and how it was started, so that workers can be started alike.
register_process introduce(int argc, const char* const* argv, bool is_worker,
                           const std::string& job_namespace);

}  // namespace troupe::net
