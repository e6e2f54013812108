/// The functions that environments name as their setup, by key.
#pragma once

#include <cstdint>

namespace troupe::core {

/// Null when no binary of this process contains it. Thread-safe.
void (*find_setup(std::uint64_t key) noexcept)();

}  // namespace troupe::core
