/// What a link remembers so that each message arrives once and in order: one half for each
/// direction.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "net/batch.hpp"

namespace troupe::net {

/// The sending half: numbers messages, keeps batches until they are acknowledged, and decides when
/// to send them again. Pure: told the time, touches no socket. Thread-compatible.
///
/// Connections keep order, so nothing is lost but with a connection: it is sent again when a new
/// one is up, or when the receiver saw a gap. Silence alone never makes it send again, because a
/// receiver may be busy; it makes it ask. A `generation` counts the times of sending again, so that
/// complaints about an earlier one are not heard twice.
class send_state {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using batch_ptr = std::shared_ptr<const encoded_batch>;
  struct sent {
    std::uint64_t first;
    batch_ptr batch;
  };

  static constexpr std::chrono::milliseconds first_patience{200};
  static constexpr std::chrono::milliseconds last_patience{10'000};
  static constexpr std::chrono::milliseconds first_stall{2'000};
  static constexpr std::chrono::milliseconds longest_stall{64'000};

  /// A batch is sent or will be: the number of its first message.
  std::uint64_t add(batch_ptr batch, time_point now);
  /// All below `upto` have arrived. Returns the bytes of the batches that are done with.
  std::size_t acknowledged(std::uint64_t upto, time_point now);
  /// The receiver misses what it should have. True: send `unacknowledged` again.
  bool asked_again(std::uint32_t generation, time_point now);
  /// A new connection: send a hello and then `unacknowledged` again.
  void link_up(time_point now);
  /// Whether the receiver has been silent for so long that it must be asked.
  bool probe_due(time_point now);
  /// Whether nothing was acknowledged for so long that the connection must be given up for another
  /// one: it may be open at this end alone. Without an acknowledgement in between each time takes
  /// twice as long, so that a batch that is large for a narrow network comes through at last.
  bool stalled(time_point now);
  /// What was sent is of no interest any more; the numbers go on. Returns the bytes.
  std::size_t drop();

  const std::deque<sent>& unacknowledged() const noexcept { return unacknowledged_; }
  /// The first message that still can be sent.
  std::uint64_t base() const noexcept {
    return unacknowledged_.empty() ? next_ : unacknowledged_.front().first;
  }
  std::uint64_t next() const noexcept { return next_; }
  std::uint32_t generation() const noexcept { return generation_; }

 private:
  void progress(time_point now) noexcept;

  std::deque<sent> unacknowledged_;
  std::uint64_t next_ = 1;
  std::uint32_t generation_ = 0;
  std::chrono::milliseconds patience_ = first_patience;
  time_point ask_at_{};
  std::chrono::milliseconds stall_ = first_stall;
  time_point stalled_at_{};
};

/// The receiving half: which messages of a batch are new. Pure and thread-compatible.
class receive_state {
 public:
  struct decision {
    bool accept = false;     ///< hand over all but the first `skip` messages
    std::uint32_t skip = 0;  ///< they were received before
    bool ask_again = false;  ///< tell the sender of the gap
    bool duplicate = false;  ///< nothing new in it; what the sender wants is an acknowledgement
  };

  decision batch(const batch_header& header);
  /// The number of the next message: what an acknowledgement says.
  std::uint64_t expected() const noexcept { return expected_; }

 private:
  std::uint64_t expected_ = 1;
  std::optional<std::uint32_t> complained_of_;
};

}  // namespace troupe::net
