/// The functions, methods and constructors that other processes can call in this one, by key.
#pragma once

#include <cstdint>
#include <string>

#include <troupe/detail/remote_call.hpp>

namespace troupe::core {

/// Null when this binary does not contain it. Thread-safe.
const detail::remote_function* find_remote(std::uint64_t key) noexcept;
/// Of an unknown key: which ones there are, for a message. "1,204 functions"
std::string describe_remotes();

}  // namespace troupe::core
