/// The form of what travels on a link: a frame with a header and many small messages, then frames
/// of big parts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "net/wire.hpp"

namespace troupe::net {

/// The first bytes of every batch, in every version of the protocol.
inline constexpr std::uint32_t batch_magic = 0x31505254;  // "TRP1"
inline constexpr std::size_t batch_header_bytes = 72;

// When a batch is full. One message always fits.
inline constexpr std::size_t max_batch_messages = 512;
inline constexpr std::size_t max_batch_bytes = std::size_t{64} << 10;

// A part of a message (its body, an attachment) travels among the small messages when it is smaller
// than the first, until those of its message together would pass the second. Else it has frames of
// its own. Both sides compute this from the sizes.
inline constexpr std::size_t inline_part_bytes = 4096;
inline constexpr std::size_t inline_message_bytes = std::size_t{256} << 10;

/// Of each message in the small frame: kind, number of attachments, size of the body.
inline constexpr std::size_t message_header_bytes = 2 + 2 + 8;

/// What a message counts for where bytes are counted.
inline std::size_t weight(const message& what) noexcept {
  return what.size() + message_header_bytes;
}

/// What the frame of small messages can not exceed: a full batch and one message more with every
/// attachment it may have.
inline constexpr std::size_t max_small_frame_bytes = std::size_t{1} << 20;

namespace batch_flag {
inline constexpr std::uint16_t hello = 1;     ///< behind the header is the sender's `peer`
inline constexpr std::uint16_t probe = 2;     ///< answer at once with what has arrived
inline constexpr std::uint16_t nack = 4;      ///< send again from `ack` on
inline constexpr std::uint16_t who = 8;       ///< asks for a hello on this same connection
inline constexpr std::uint16_t refusal = 16;  ///< `reason` says why the sender is not heard
inline constexpr std::uint16_t head = 32;     ///< with `who`: the head itself, not its node
}  // namespace batch_flag

/// `other_life`: the batch was for an earlier life of the receiver.
enum class refusal_reason : std::uint16_t { none, version, not_receiver, forgotten, other_life };

/// The epoch of a process in a header: its last bits.
using short_epoch = std::uint16_t;
/// How much later `a` is than `b`, which is less than half of all there are; below zero: earlier.
inline int later_by(short_epoch a, short_epoch b) noexcept {
  return static_cast<std::int16_t>(static_cast<short_epoch>(a - b));
}

struct batch_header {
  std::uint32_t version = 0;
  std::uint16_t flags = 0;
  refusal_reason reason = refusal_reason::none;
  std::uint32_t generation = 0;  ///< how often the sender has begun to send again
  process_id sender = 0;
  process_id receiver = 0;
  std::uint64_t first = 0;  ///< sequence number of the first message, or of the next one to come
  std::uint64_t ack = 0;    ///< of the other direction: all below have arrived
  std::uint64_t base = 0;   ///< what is below will not be sent (again)
  std::uint32_t count = 0;  ///< messages
  std::uint32_t nack_generation = 0;  ///< of the batch that showed the gap
  std::uint32_t parts = 0;            ///< frames of big parts that follow on the same connection
  short_epoch sender_epoch = 0;
  short_epoch receiver_epoch = 0;  ///< what the sender believes

  bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }
};

std::array<std::byte, batch_header_bytes> encode_header(const batch_header& header) noexcept;
/// Nothing when it is none. Of another version only `version`, `flags`, `reason`, `sender` and
/// `receiver` have a meaning.
std::optional<batch_header> decode_header(std::span<const std::byte> bytes) noexcept;

/// Messages in the form in which they travel. Immutable once built, so that it can be sent again
/// while an earlier sending of it still is in progress.
struct encoded_batch {
  std::vector<std::byte> first_frame;  ///< room for the header, then the small messages
  std::vector<blob> frames;  ///< parts of the big ones, in order, none longer than a chunk
  std::uint32_t count = 0;
  std::size_t bytes = 0;  ///< the messages' weights

  std::span<const std::byte> small() const noexcept {
    return std::span(first_frame).subspan(batch_header_bytes);
  }
  /// Before it is shared.
  void set_header(const batch_header& header) noexcept;
};

/// Collects messages. Thread-compatible.
class batch_builder {
 public:
  /// Big parts are cut into frames of `chunk_bytes`.
  explicit batch_builder(std::size_t chunk_bytes) noexcept : chunk_bytes_(chunk_bytes) {}

  /// Throws `std::invalid_argument` when it has more than `max_attachments`.
  void add(message&& what);
  bool empty() const noexcept { return batch_.count == 0; }
  bool full() const noexcept {
    return batch_.count >= max_batch_messages || batch_.first_frame.size() >= max_batch_bytes;
  }
  encoded_batch take();

 private:
  void add_frames(const blob& part);

  std::size_t chunk_bytes_;
  encoded_batch batch_;
  std::size_t expected_bytes_ = 0;  ///< a guess by the last batch
};

/// Reads the messages of a batch. Nothing when the bytes are not `count` messages exactly.
/// Allocates no more than a small multiple of what it is given. A big part of one frame is not
/// copied: its attachment shares the frame.
std::optional<std::vector<message>> decode_messages(std::uint32_t count,
                                                    std::span<const std::byte> small,
                                                    std::vector<blob> frames);

}  // namespace troupe::net
