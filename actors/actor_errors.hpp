/// Failures that an actor gives to its calls.
#pragma once

#include <exception>
#include <string>

#include <troupe/detail/object_state.hpp>

namespace troupe::actors {

template <class Error>
detail::failure_ptr failure_with(const std::string& message) {
  return detail::make_failure(std::make_exception_ptr(Error(message)));
}

}  // namespace troupe::actors
