/// Invariant checks that stay on in every build: a broken invariant ends the process with its name.
#pragma once

#include <troupe/detail/export.hpp>

namespace troupe::detail {

/// Prints `condition`, `why` and the place to stderr and aborts. Thread-safe.
[[noreturn]] TROUPE_API void assertion_failed(const char* condition, const char* why,
                                              const char* file, int line) noexcept;

}  // namespace troupe::detail

#define TROUPE_ASSERT(condition, why)                \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::troupe::detail::assertion_failed(#condition, why, __FILE__, __LINE__))
