/// Makes the failure that an object carries from the exception that user code threw.
#pragma once

#include <string_view>

#include <troupe/detail/object_state.hpp>

namespace troupe::core {

/// The failure for the exception that is being handled, thrown by (or passing through) `name`.
///
/// An exception of exactly a standard type becomes one that is of this type and a `task_error`,
/// with the names of the tasks in its `what()`. Any other exception is kept as it is; its origin is
/// in `failure::info`. An error of troupe itself stays what it is.
detail::failure_ptr capture_failure(std::string_view name);

/// Remembers on this thread that `why` is about to be thrown, so that a task that lets it escape
/// adds itself to the same history. Null: what was
/// thrown before has been dealt with.
void note_thrown(const detail::failure_ptr& why);

}  // namespace troupe::core
