/// A process's place in the cluster's network: listens, links to peers, sends and receives.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/ids.hpp"
#include "net/wire.hpp"

namespace troupe::net {

/// Who is told. All calls come from the endpoint's thread, or one that reads in its place while it
/// waits (`share_reading`); one at a time. They must not block.
/// They may call the endpoint.
class endpoint_handler {
 public:
  /// Messages of one sender arrive in the order of their sending, each once.
  virtual void received(process_id from, message&& what) = 0;
  /// A peer cannot be talked to: `why` says what is wrong and what to do ("it refused the cluster
  /// key", "it speaks protocol version 2, this process 1", "nothing listens at HOST:PORT").
  /// Told once; what was sent to it is dropped.
  virtual void unreachable(process_id peer, const std::string& why) = 0;
  /// The link to a process of this machine is broken and nobody listens at its socket any more: it
  /// has ended. Why is for those to tell who watched it. Told again when its link is dropped.
  virtual void ended(process_id /*peer*/) {}
  /// The peer has begun another life under its id, see `peer::epoch`. What was sent to the earlier
  /// one and not acknowledged, or not answered, may be lost; what is sent from now on goes to this
  /// one, and nothing of the earlier one is received any more.
  virtual void renewed(const peer&) {}
  /// The endpoint's thread is about to sleep: everything that came has been handed over.
  virtual void drained() {}

 protected:
  ~endpoint_handler() = default;
};

struct endpoint_options {
  process_id id = 0;              ///< 0: drawn at random
  std::uint32_t epoch = 0;        ///< of a process that begins again under its id
  std::string session_dir{};      ///< for the unix socket; mode 0700, the user's own
  std::string listen_address{};   ///< "HOST:PORT" or "HOST:0" for TCP; empty: unix socket only
  std::string advertised_host{};  ///< what others call this machine; default: from listen_address
  std::string cluster_key{};      ///< secret, Z85 (40 characters); needed for any TCP link
  /// Whom a process finds that knows the address alone and does not ask for the head; nobody: this.
  peer front{};
  std::chrono::milliseconds connect_timeout{10'000};  ///< then a peer is unreachable
  std::size_t max_message_bytes = std::size_t{8}
                                  << 20;  ///< of one frame, from a peer; at least 2 MiB
  /// Unacknowledged, per peer, above which `wait_for_room` waits.
  std::size_t max_queued_bytes = std::size_t{256} << 20;
};

/// Thread-safe. The constructor binds and starts the thread; it throws `connection_error` that
/// names the address and the cause (port in use, path too long, bad key).
class endpoint {
 public:
  endpoint(endpoint_options options, endpoint_handler& handler);
  /// Stops at once; see `flush`.
  ~endpoint();
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  process_id id() const noexcept;
  /// How others reach this process.
  const peer& self() const noexcept;

  /// Makes a peer known, so that it can be sent to. Links are made on the first send. A peer that
  /// sends here is known by itself.
  void learn(const peer& other);
  /// The peer as it was learned.
  std::optional<peer> find(process_id other) const;
  /// Whether a connection to the peer is open now.
  bool is_connected(process_id other) const;
  /// Learns a peer of which only the address is known: HOST:PORT. Blocks until it has answered;
  /// throws `connection_error` with the cause and what to do: at once when nothing listens there or
  /// it can not be talked to, at the end of the time when it is silent. Not on the endpoint's
  /// thread. `whom`: a head may be asked for, at whose address its node answers, too.
  enum class whom : std::uint8_t { node, head };
  peer resolve(const std::string& address, std::chrono::milliseconds timeout,
               whom wanted = whom::node);

  /// Sends, in order, each message once, also over a link that breaks and comes back. Never blocks
  /// for the network. A message to this process itself is received like any other. False, and
  /// nothing is sent, when the peer is not known or is gone. Attachments are not copied: what keeps
  /// them may end on any thread.
  bool send(process_id to, message what);
  /// Bytes that wait for the peer's acknowledgement: for those who can slow down.
  std::size_t queued_bytes(process_id to) const;
  /// Whether they are fewer than `max_queued_bytes`.
  bool has_room(process_id to) const;
  /// Waits until they are half of that, or the peer is gone. Not for the endpoint's thread, which
  /// would wait for itself: there it returns at once. Throws `task_cancelled_error` in a task that
  /// is asked to stop.
  void wait_for_room(process_id to);

  /// The peer is gone for good: what was sent is dropped, what it still sends is refused.
  void forget(process_id gone);
  /// Waits until the peers have everything, or the time is over. False then. Not on the endpoint's
  /// thread.
  bool flush(std::chrono::milliseconds timeout);

  /// Runs `f` on the endpoint's thread, after what it does now.
  void post(std::function<void()> f);
  /// Runs `f` on the endpoint's thread at that time, unless cancelled by the returned number.
  std::uint64_t post_at(std::chrono::steady_clock::time_point when, std::function<void()> f);
  void cancel(std::uint64_t timer);

  /// From now on holders of these keys (public halves) may connect by TCP, instead of holders of
  /// the cluster key. The connections of others are ended, and what still comes by them is refused.
  void allow_keys(std::vector<std::string> public_keys);

  /// From now on threads that wait in troupe read in place of the endpoint's thread: an answer then
  /// needs one hop less. For one endpoint of a process.
  void share_reading();

  struct statistics {
    std::uint64_t messages_sent = 0;
    std::uint64_t batches_sent = 0;
    std::uint64_t messages_received = 0;
    std::uint64_t resent = 0;
    std::uint64_t duplicates_dropped = 0;
    std::uint64_t strangers_refused = 0;
    std::uint64_t guest_readings = 0;  ///< times a waiting thread read
  };
  statistics stats() const;

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

/// A new cluster key, and the public half of one; that throws `connection_error` when it is no key.
std::string make_cluster_key();
std::string public_half(const std::string& cluster_key);

}  // namespace troupe::net
