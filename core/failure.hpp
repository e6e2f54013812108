/// Makes the failure that an object carries from the exception that user code threw.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/detail/object_state.hpp>
#include <troupe/error.hpp>

namespace troupe::core {

/// The failure for the exception that is being handled, thrown by (or passing through) `name`.
///
/// An exception of exactly a standard type becomes one that is of this type and a `task_error`,
/// with the names of the tasks in its `what()`. Any other exception is kept as it is; its origin is
/// in `failure::info`. An error of troupe itself stays what it is.
detail::failure_ptr capture_failure(std::string_view name);

/// A failure in words and numbers, from which another process can make one that behaves alike: of
/// the same standard type or error of troupe; another type becomes a `std::runtime_error` that is a
/// `task_error`.
struct failure_description {
  std::uint8_t error = 0;  ///< which error of troupe; 0: something else was thrown
  std::string message;     ///< of an error of troupe
  failure_info info;       ///< its frames are empty when there is none
  int code = 0;            ///< of a std::system_error, with its category
  std::string category;
};
failure_description describe(const detail::failure& why);
detail::failure_ptr rebuild(const failure_description& from);

/// Remembers on this thread that `why` is about to be thrown, so that a task that lets it escape
/// adds itself to the same history. Null: what was
/// thrown before has been dealt with.
void note_thrown(const detail::failure_ptr& why);

}  // namespace troupe::core
