#include <troupe/error.hpp>

namespace troupe {

// The destructors are here so that each type has one vtable and one type_info, whichever library
// throws or catches it.
error::~error() = default;
task_error::~task_error() = default;
detail::runtime_failure::~runtime_failure() = default;
task_cancelled_error::~task_cancelled_error() = default;
task_timeout_error::~task_timeout_error() = default;
get_timeout_error::~get_timeout_error() = default;
worker_crashed_error::~worker_crashed_error() = default;
actor_died_error::~actor_died_error() = default;
actor_unavailable_error::~actor_unavailable_error() = default;
object_lost_error::~object_lost_error() = default;
owner_died_error::~owner_died_error() = default;
out_of_memory_error::~out_of_memory_error() = default;
runtime_env_error::~runtime_env_error() = default;
pending_calls_limit_error::~pending_calls_limit_error() = default;
placement_error::~placement_error() = default;
connection_error::~connection_error() = default;
actor_name_error::~actor_name_error() = default;

}  // namespace troupe
