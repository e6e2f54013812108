/// Encryption of data connections: AES-256-GCM, several times as fast as CURVE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "net/aes_gcm.hpp"
#include "net/bulk_frame.hpp"

namespace troupe::net {

using bulk_key = aes_gcm::key;
using bulk_tag = aes_gcm::tag;
static_assert(sizeof(bulk_tag) == bulk_tag_bytes);

/// A key from the system's random numbers. Throws `connection_error` when there are none.
bulk_key draw_bulk_key();

/// One direction of one data connection, which has a key that no other one has. A frame's nonce is
/// its direction and its place in that direction, counted by both sides and not sent: none comes
/// twice under a key, and a frame that is repeated, left out, moved or of another connection does
/// not open. Thread-compatible. Nothing but `connection_error` is thrown, when a library fails.
class bulk_cipher {
 public:
  enum class direction : std::uint32_t { to_source = 1, to_reader = 2 };
  using use = aes_gcm::use;

  bulk_cipher(const bulk_key& key, direction way, use how);

  /// The next frame, whose header the tag shall cover.
  void begin(std::span<const std::byte> header);
  /// Its bytes, in any pieces, each to as many at `to`, which may be where they are. What `open`
  /// has not confirmed may be anything.
  void pass(std::span<const std::byte> from, std::byte* to) { by_->pass(from, to); }
  /// The tag of a frame that was sealed.
  bulk_tag seal() { return by_->seal(); }
  /// Whether all of a frame is as it was sealed.
  [[nodiscard]] bool open(const bulk_tag& tag) { return by_->open(tag); }

 private:
  const direction way_;
  const std::unique_ptr<aes_gcm> by_;
  std::uint64_t frames_ = 0;
};

}  // namespace troupe::net
