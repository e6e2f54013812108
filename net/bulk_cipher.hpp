/// Encryption of data connections: AES-256-GCM by OpenSSL, several times as fast as CURVE.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "net/bulk_frame.hpp"

namespace troupe::net {

inline constexpr std::size_t bulk_key_bytes = 32;
using bulk_key = std::array<std::byte, bulk_key_bytes>;
using bulk_tag = std::array<std::byte, bulk_tag_bytes>;

/// A key from the system's random numbers. Throws `connection_error` when there are none.
bulk_key draw_bulk_key();

/// One direction of one data connection, which has a key that no other one has. A frame's nonce is
/// its direction and its place in that direction, counted by both sides and not sent: none comes
/// twice under a key, and a frame that is repeated, left out, moved or of another connection does
/// not open. Thread-compatible. All but the constructor throw nothing but `connection_error`, when
/// OpenSSL fails.
class bulk_cipher {
 public:
  enum class direction : std::uint32_t { to_source = 1, to_reader = 2 };
  enum class use : std::uint8_t { seal, open };

  bulk_cipher(const bulk_key& key, direction way, use how);
  ~bulk_cipher();
  bulk_cipher(const bulk_cipher&) = delete;
  bulk_cipher& operator=(const bulk_cipher&) = delete;

  /// The next frame, whose header the tag shall cover.
  void begin(std::span<const std::byte> header);
  /// Its bytes, in any pieces, each to as many at `to`, which may be where they are. What `open`
  /// has not confirmed may be anything.
  void pass(std::span<const std::byte> from, std::byte* to);
  /// The tag of a frame that was sealed.
  bulk_tag seal();
  /// Whether all of a frame is as it was sealed.
  [[nodiscard]] bool open(const bulk_tag& tag);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe::net
