/// Failures as messages carry them.
#pragma once

#include <string>

#include <troupe/detail/object_state.hpp>

#include "net/messages.hpp"

namespace troupe::net {

archived_failure to_message(const detail::failure& why);
detail::failure_ptr from_message(const archived_failure& from);

/// A failure of troupe itself.
template <class Error>
detail::failure_ptr failure_with(const std::string& text) {
  return detail::make_failure(std::make_exception_ptr(Error(text)));
}

}  // namespace troupe::net
