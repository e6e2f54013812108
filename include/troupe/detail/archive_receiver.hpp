/// For whom a value is archived.
#pragma once

#include <cstdint>

#include <troupe/detail/export.hpp>

namespace troupe::detail {

/// One may share with a process of the same machine what it has to copy for others. Unknown: for a
/// store or a record, or outside of a cluster.
enum class archive_receiver : std::uint8_t { unknown, same_machine, elsewhere };
/// Of what this thread archives now.
TROUPE_API archive_receiver receiver_of_archive() noexcept;

}  // namespace troupe::detail
