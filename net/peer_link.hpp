/// The way to one peer: its outbox, its socket, and what both directions remember.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/batch.hpp"
#include "net/ids.hpp"
#include "net/link_state.hpp"
#include "net/zmq_socket.hpp"

namespace troupe::net {

/// What an endpoint has done; see `endpoint::statistics`.
struct link_counters {
  std::atomic<std::uint64_t> messages_sent{0};
  std::atomic<std::uint64_t> batches_sent{0};
  std::atomic<std::uint64_t> messages_received{0};
  std::atomic<std::uint64_t> resent{0};
  std::atomic<std::uint64_t> duplicates_dropped{0};
  std::atomic<std::uint64_t> strangers_refused{0};
};

/// Any thread appends to the outbox and sends what is in it; the socket belongs to whoever got its
/// lock. Who does not get it leaves the message: the holder looks again after it has let go. So a
/// message to an idle peer is on its way when `send` returns, and under load they gather.
///
/// The rest is for the endpoint's thread, which opens and closes the socket.
class peer_link {
 public:
  using clock = std::chrono::steady_clock;

  /// `self`: with its own epoch. The link is to the life of the other that `other` names.
  peer_link(const peer& self, peer other, std::size_t chunk_bytes, link_counters& counters);

  process_id id() const noexcept { return id_; }
  std::uint32_t epoch() const noexcept { return epoch_; }

  // -- any thread -----------------------------------------------------------------------------

  enum class outcome : std::uint8_t { gone, queued, batch_full };
  outcome enqueue(message&& what);
  /// Sends what is in the outbox, or leaves it to who is sending. Nothing while the link is down.
  /// True: there is more, and somebody must call it again. To be called after each function below
  /// that says so: who appended while it held the lock relies on it.
  [[nodiscard]] bool pump();
  bool up() const noexcept { return up_.load(std::memory_order_acquire); }
  /// Bytes in the outbox and unacknowledged.
  std::size_t queued_bytes() const noexcept { return queued_.load(); }
  peer where() const;

  /// Whether it is on the list of links that the endpoint's thread shall look at.
  std::atomic<bool> listed{false};

  // -- the endpoint's thread --------------------------------------------------------------------

  void open(zmq_socket socket, zmq_socket watcher);
  /// The sockets, for who closes them; the link is down.
  std::pair<zmq_socket, zmq_socket> take_sockets();
  bool is_open() const noexcept { return static_cast<bool>(watcher_); }
  zmq_socket& watcher() noexcept { return watcher_; }
  int descriptor() const { return socket_.descriptor(); }

  /// Says hello on a new connection, sends again what was not acknowledged, and goes on. Then pump.
  void came_up(std::span<const std::byte> record);
  void went_down();
  /// Drops everything and accepts nothing more, until `revive`.
  void end();
  void revive(const peer& other);
  bool ended() const;

  /// The other side's word on what has arrived there. Then pump.
  void heard(const batch_header& header);
  /// Decides about a batch of theirs.
  receive_state::decision received(const batch_header& header);
  /// Messages that have arrived here and are not acknowledged.
  std::uint64_t owed() const noexcept { return received_.load() - acknowledged_.load(); }
  /// Sends a header alone: an acknowledgement, with these flags. Then pump. By any thread.
  void send_control(std::uint16_t flags, std::uint32_t nack_generation = 0);
  /// Asks a silent receiver, if it has been silent too long. False when nothing is unacknowledged.
  /// Then pump.
  bool ask_if_silent();
  /// Whether the connection carries nothing to the other side, or nothing back.
  bool has_stalled();
  /// What this side says when it is asked, on the connection by which it was asked.
  batch_header answer();
  /// What the other side's listener answered on our own connection; false when there is no more.
  /// Then pump.
  bool next_answer(batch_header& out);

  // What the endpoint's thread remembers of the link.
  std::uint64_t token = 0;     ///< of its descriptors
  std::uint64_t deadline = 0;  ///< timer: connect until then
  bool was_up = false;
  bool worked = false;           ///< has been up and was answered
  bool is_local = false;         ///< by a unix socket
  bool is_watched = false;       ///< because it is broken
  clock::time_point down_since;  ///< when it is watched
  bool in_ack_list = false;
  std::size_t owed_bytes = 0;
  int failed_handshakes = 0;
  std::string address;  ///< what it is connected to

 private:
  batch_header header(std::uint16_t flags) noexcept;
  void flush_locked();
  void send_again_locked();
  void send_control_locked(std::uint16_t flags, std::uint32_t nack_generation);
  void release(std::size_t bytes) noexcept { queued_.fetch_sub(bytes); }

  const process_id self_;
  const short_epoch self_epoch_;
  const process_id id_;
  const std::uint32_t epoch_;
  link_counters& counters_;

  mutable std::mutex outbox_mutex_;
  peer where_;
  batch_builder builder_;
  std::vector<encoded_batch> full_;
  bool ended_ = false;
  std::atomic<bool> pending_{false};  ///< something is in the outbox
  std::atomic<std::size_t> queued_{0};

  zmq_socket watcher_;  ///< the endpoint's thread's; closed after the socket
  std::mutex socket_mutex_;
  zmq_socket socket_;
  send_state sending_;
  std::vector<encoded_batch> taken_;
  std::atomic<bool> up_{false};

  receive_state receiving_;
  std::atomic<std::uint64_t> received_{1};      ///< the next number that is expected
  std::atomic<std::uint64_t> acknowledged_{1};  ///< the last that was said to be
};

}  // namespace troupe::net
