/// How an archived value lies in a block: what it consists of, its inline bytes, its segments, each
/// at a multiple of 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <troupe/detail/stored_value.hpp>

namespace troupe::net {

/// The size of the block.
std::uint64_t value_block_size(std::size_t inline_bytes,
                               std::span<const std::span<const std::byte>> segments) noexcept;
/// Copies the value there. Requires a block of that size.
void write_value(std::span<std::byte> block, std::span<const std::byte> inline_bytes,
                 std::span<const std::span<const std::byte>> segments) noexcept;
/// The value of a block, which `keeper` keeps. Throws `archive_error` when the block does not hold
/// one: any process of the node may have written it.
detail::mapping map_value(std::span<const std::byte> block, std::shared_ptr<const void> keeper);

}  // namespace troupe::net
