#include "net/peer_link.hpp"

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "core/fault.hpp"
#include "net/messages.hpp"

namespace troupe::net {
namespace {
/// So often a thread sends what others appended meanwhile before it leaves the rest.
constexpr int pump_rounds = 4;
/// With the fault of that name.
constexpr std::size_t tiny_chunk_bytes = 1024;
/// With the fault of that name: long enough for an answer.
constexpr std::chrono::milliseconds hold_up{20};
}  // namespace

peer_link::peer_link(const peer& self, peer other, std::size_t chunk_bytes, link_counters& counters)
    : self_(self.id),
      self_epoch_(static_cast<short_epoch>(self.epoch)),
      id_(other.id),
      epoch_(other.epoch),
      counters_(counters),
      where_(std::move(other)),
      builder_(TROUPE_FAULT("link.tiny_buffer") ? tiny_chunk_bytes : chunk_bytes) {}

peer_link::outcome peer_link::enqueue(message&& what) {
  const std::size_t bytes = weight(what);
  const std::lock_guard guard(outbox_mutex_);
  if (ended_) return outcome::gone;
  builder_.add(std::move(what));
  queued_.fetch_add(bytes);
  outcome result = outcome::queued;
  if (builder_.full() || TROUPE_FAULT("link.tiny_buffer")) {
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

bool peer_link::pump() {
  // The order matters: who appends stores `pending_` and then tries the lock, who holds the lock
  // lets go of it and then loads `pending_`. One of the two sees the other.
  for (int round = 0; pending_.load() && up_.load(); ++round) {
    // Others may append as fast as this thread sends: it has other things to do.
    if (round == pump_rounds) return true;
    if (!socket_mutex_.try_lock()) {
      std::atomic_thread_fence(std::memory_order_seq_cst);
      return false;
    }
    flush_locked();
    socket_mutex_.unlock();
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  return false;
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
          .base = sending_.base(),
          .sender_epoch = self_epoch_,
          .receiver_epoch = static_cast<short_epoch>(epoch_)};
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
    batch_header h = header(0);
    h.count = b.count;
    h.parts = static_cast<std::uint32_t>(b.frames.size());
    b.set_header(h);
    auto batch = std::make_shared<const encoded_batch>(std::move(b));
    sending_.add(batch, now);
    counters_.messages_sent.fetch_add(batch->count, std::memory_order_relaxed);
    counters_.batches_sent.fetch_add(1, std::memory_order_relaxed);
    // A socket without a connection does not take it. Then it stays unacknowledged, and the
    // endpoint's thread will be told of the lost connection.
    if (TROUPE_FAULT("link.lost_batch")) continue;
    if (up_.load() && !socket_.send(batch)) up_.store(false);
    if (TROUPE_FAULT("link.duplicate") && up_.load()) socket_.send_again(h, *batch);
  }
  taken_.clear();
}

void peer_link::send_again_locked() {
  for (const send_state::sent& s : sending_.unacknowledged()) {
    batch_header h = header(0);
    h.count = s.batch->count;
    h.parts = static_cast<std::uint32_t>(s.batch->frames.size());
    h.first = s.first;
    counters_.resent.fetch_add(s.batch->count, std::memory_order_relaxed);
    if (up_.load() && !socket_.send_again(h, *s.batch)) up_.store(false);
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

void peer_link::came_up(std::span<const std::byte> record) {
  const std::lock_guard guard(socket_mutex_);
  sending_.link_up(clock::now());
  socket_.catch_up();
  batch_header h = header(batch_flag::hello);
  h.first = h.base;
  up_.store(socket_.send(h, record));
  if (TROUPE_FAULT("link.held_up_after_hello")) std::this_thread::sleep_for(hold_up);
  send_again_locked();
  flush_locked();
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
  const std::lock_guard guard(socket_mutex_);
  const auto now = clock::now();
  release(sending_.acknowledged(header.ack, now));
  if (header.has(batch_flag::nack) && up_.load() &&
      sending_.asked_again(header.nack_generation, now)) {
    send_again_locked();
  }
}

receive_state::decision peer_link::received(const batch_header& header) {
  const auto decision = receiving_.batch(header);
  received_.store(receiving_.expected());
  return decision;
}

void peer_link::send_control(std::uint16_t flags, std::uint32_t nack_generation) {
  const std::lock_guard guard(socket_mutex_);
  send_control_locked(flags, nack_generation);
}

void peer_link::send_control_locked(std::uint16_t flags, std::uint32_t nack_generation) {
  if (!up_.load()) return;  // the next hello says it
  if (flags == 0 && TROUPE_FAULT("link.lost_ack")) return;
  batch_header h = header(flags);
  h.nack_generation = nack_generation;
  if (!socket_.send(h)) up_.store(false);
}

bool peer_link::ask_if_silent() {
  const std::lock_guard guard(socket_mutex_);
  if (up_.load() && sending_.probe_due(clock::now())) send_control_locked(batch_flag::probe, 0);
  return !sending_.unacknowledged().empty();
}

bool peer_link::has_stalled() {
  const std::lock_guard guard(socket_mutex_);
  return up_.load() && sending_.stalled(clock::now());
}

batch_header peer_link::answer() {
  const std::lock_guard guard(socket_mutex_);
  return header(0);
}

bool peer_link::next_answer(batch_header& out) {
  const std::lock_guard guard(socket_mutex_);
  zmq_frame frame;
  while (socket_ && socket_.receive(frame)) {
    const auto header = decode_header(frame.bytes());
    while (frame.more() && socket_.receive(frame)) {
    }
    if (!header) continue;
    out = *header;
    return true;
  }
  return false;
}

}  // namespace troupe::net
