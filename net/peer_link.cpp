#include "net/peer_link.hpp"

#include <memory>
#include <utility>

#include "net/messages.hpp"

namespace troupe::net {

peer_link::peer_link(process_id self, peer other, std::size_t chunk_bytes, link_counters& counters)
    : self_(self),
      id_(other.id),
      counters_(counters),
      where_(std::move(other)),
      builder_(chunk_bytes) {}

peer_link::outcome peer_link::enqueue(message&& what) {
  const std::size_t bytes = weight(what);
  const std::lock_guard guard(outbox_mutex_);
  if (ended_) return outcome::gone;
  builder_.add(std::move(what));
  queued_.fetch_add(bytes);
  outcome result = outcome::queued;
  if (builder_.full()) {
    full_.push_back(builder_.take());
    result = outcome::batch_full;
  }
  pending_.store(true);
  return result;
}

peer peer_link::where() const {
  const std::lock_guard guard(outbox_mutex_);
  return where_;
}

void peer_link::pump() {
  // The order matters: who appends stores `pending_` and then tries the lock, who holds the lock
  // lets go of it and then loads `pending_`. One of the two sees the other.
  while (pending_.load() && up_.load()) {
    if (!socket_mutex_.try_lock()) {
      std::atomic_thread_fence(std::memory_order_seq_cst);
      return;
    }
    flush_locked();
    socket_mutex_.unlock();
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

batch_header peer_link::header(std::uint16_t flags) noexcept {
  const std::uint64_t ack = received_.load();
  acknowledged_.store(ack);
  return {.version = protocol_version,
          .flags = flags,
          .generation = sending_.generation(),
          .sender = self_,
          .receiver = id_,
          .first = sending_.next(),
          .ack = ack,
          .base = sending_.base()};
}

void peer_link::flush_locked() {
  if (!up_.load()) return;
  {
    const std::lock_guard guard(outbox_mutex_);
    pending_.store(false);
    if (!builder_.empty()) full_.push_back(builder_.take());
    taken_.swap(full_);
  }
  if (taken_.empty()) return;
  const auto now = clock::now();
  for (encoded_batch& b : taken_) {
    auto batch = std::make_shared<const encoded_batch>(std::move(b));
    batch_header h = header(0);
    h.count = batch->count;
    h.first = sending_.add(batch, now);
    h.base = sending_.base();
    counters_.messages_sent.fetch_add(batch->count, std::memory_order_relaxed);
    send_locked(h, batch);
  }
  taken_.clear();
}

void peer_link::send_locked(const batch_header& header,
                            const std::shared_ptr<const encoded_batch>& batch) {
  counters_.batches_sent.fetch_add(1, std::memory_order_relaxed);
  // A socket without a connection does not take it. It stays unacknowledged, and the endpoint's
  // thread is told of the lost connection by the watcher.
  if (up_.load() && !socket_.send(header, batch)) up_.store(false);
}

void peer_link::send_again_locked() {
  for (const send_state::sent& s : sending_.unacknowledged()) {
    batch_header h = header(0);
    h.count = s.batch->count;
    h.first = s.first;
    counters_.resent.fetch_add(s.batch->count, std::memory_order_relaxed);
    send_locked(h, s.batch);
  }
}

void peer_link::open(zmq_socket socket, zmq_socket watcher) {
  const std::lock_guard guard(socket_mutex_);
  socket_ = std::move(socket);
  watcher_ = std::move(watcher);
}

std::pair<zmq_socket, zmq_socket> peer_link::take_sockets() {
  const std::lock_guard guard(socket_mutex_);
  up_.store(false);
  return {std::exchange(socket_, {}), std::exchange(watcher_, {})};
}

void peer_link::came_up(const std::shared_ptr<const encoded_batch>& hello) {
  {
    const std::lock_guard guard(socket_mutex_);
    sending_.link_up(clock::now());
    up_.store(true);
    batch_header h = header(batch_flag::hello);
    h.first = h.base;
    send_locked(h, hello);
    send_again_locked();
    flush_locked();
  }
  pump();
}

void peer_link::went_down() {
  const std::lock_guard guard(socket_mutex_);
  up_.store(false);
}

void peer_link::end() {
  const std::scoped_lock guard(socket_mutex_, outbox_mutex_);
  up_.store(false);
  ended_ = true;
  pending_.store(false);
  static_cast<void>(builder_.take());
  full_.clear();
  sending_.drop();
  queued_.store(0);
}

void peer_link::revive(const peer& other) {
  const std::lock_guard guard(outbox_mutex_);
  where_ = other;
  ended_ = false;
}

bool peer_link::ended() const {
  const std::lock_guard guard(outbox_mutex_);
  return ended_;
}

void peer_link::heard(const batch_header& header) {
  {
    const std::lock_guard guard(socket_mutex_);
    const auto now = clock::now();
    release(sending_.acknowledged(header.ack, now));
    if (header.has(batch_flag::nack) && up_.load() &&
        sending_.asked_again(header.nack_generation, now)) {
      send_again_locked();
    }
  }
  pump();
}

receive_state::decision peer_link::received(const batch_header& header) {
  const auto decision = receiving_.batch(header);
  received_.store(receiving_.expected());
  return decision;
}

void peer_link::send_control(std::uint16_t flags, std::uint32_t nack_generation) {
  {
    const std::lock_guard guard(socket_mutex_);
    if (!up_.load()) return;  // the next hello says it
    batch_header h = header(flags);
    h.nack_generation = nack_generation;
    if (!socket_.send(zmq_frame(encode_header(h)), false)) up_.store(false);
  }
  pump();
}

bool peer_link::ask_if_silent() {
  bool ask = false;
  bool waiting = false;
  {
    const std::lock_guard guard(socket_mutex_);
    waiting = !sending_.unacknowledged().empty();
    ask = up_.load() && sending_.probe_due(clock::now());
  }
  if (ask) send_control(batch_flag::probe);
  return waiting;
}

bool peer_link::next_answer(batch_header& out) {
  bool found = false;
  {
    const std::lock_guard guard(socket_mutex_);
    zmq_frame frame;
    while (!found && socket_ && socket_.receive(frame)) {
      const auto header = decode_header(frame.bytes());
      if (header) out = *header;
      found = header.has_value();
      while (frame.more() && socket_.receive(frame)) {
      }
    }
  }
  pump();
  return found;
}

}  // namespace troupe::net
