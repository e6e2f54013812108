/// For tests that need what not every machine has: Catch2 2.13 cannot skip by itself.
#pragma once

#include <string>

namespace troupe::test {

/// Says that the running case does not run here, and why; the case returns then. The program's exit
/// code is `some_skipped` when nothing failed. A file holds only cases that need the same, so that
/// ctest shows it as skipped (`// ctest: SKIP_RETURN_CODE 4`).
void skip(const std::string& why);
bool any_skipped() noexcept;
inline constexpr int some_skipped = 4;

}  // namespace troupe::test
