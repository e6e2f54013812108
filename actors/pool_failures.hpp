/// How the parts of a pool fail objects.
#pragma once

#include <chrono>
#include <exception>
#include <string>

#include <troupe/detail/object_state.hpp>

namespace troupe::actors {

/// Bound of `batch_options::max_wait`.
inline constexpr std::chrono::hours longest_batch_wait{24};

/// A failure of troupe itself.
template <class Error>
detail::failure_ptr failure_of(const std::string& message) {
  return detail::make_failure(std::make_exception_ptr(Error(message)));
}

inline void fail_object(detail::object_state& object, const detail::failure_ptr& why) noexcept {
  if (object.claim()) object.fail(why);
}

}  // namespace troupe::actors
