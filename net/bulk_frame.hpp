/// What travels on a data connection between two nodes: frames, each a header, ciphertext and a
/// tag.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "net/store_state.hpp"

namespace troupe::net {

/// The header of a frame, in the clear: the tag at the frame's end covers it with the bytes. Pure.
struct bulk_frame {
  enum class kind : std::uint32_t {
    hello = 1,    ///< reader -> source, the first and only one: without bytes
    welcome = 2,  ///< source -> reader, the first one: without bytes
    chunk = 3,    ///< source -> reader
  };
  kind what{};
  std::uint64_t channel = 0;  ///< the connection's number, as the source has told it
  std::uint64_t request = 0;  ///< of the `pull_chunk` that asked for it
  stored_id value{};
  std::uint64_t offset = 0;  ///< of the chunk in the value
  std::uint64_t size = 0;    ///< of the chunk: the bytes that follow
  std::uint64_t total = 0;   ///< of the value

  bool operator==(const bulk_frame&) const = default;
};

inline constexpr std::size_t bulk_header_bytes = 64;
inline constexpr std::size_t bulk_tag_bytes = 16;
/// All that a stranger can make a source hold.
inline constexpr std::size_t bulk_hello_bytes = bulk_header_bytes + bulk_tag_bytes;
/// Of one frame.
inline constexpr std::uint64_t most_bulk_bytes = std::uint64_t{64} << 20;

using bulk_header = std::array<std::byte, bulk_header_bytes>;

bulk_header write_bulk_header(const bulk_frame& frame);
/// Nothing when that is no header: another program, a size out of bounds, a chunk that its value
/// does not have.
std::optional<bulk_frame> read_bulk_header(std::span<const std::byte, bulk_header_bytes> bytes);

}  // namespace troupe::net
