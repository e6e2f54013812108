// What an endpoint does with what arrives.
#include <cstdlib>
#include <span>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/detail/archive_error.hpp>

#include "core/parker.hpp"
#include "net/endpoint_implementation.hpp"
#include "net/messages.hpp"

namespace troupe::net {
namespace {

// When messages are acknowledged although nothing travels back that could say so: after this time,
constexpr std::chrono::milliseconds ack_delay{20};
// when there is nothing else to do and so many or so much is owed,
constexpr std::uint64_t ack_messages = 64;
constexpr std::size_t ack_bytes = std::size_t{256} << 10;
// and in any case after so many times as much.
constexpr std::uint64_t ack_anyway = 64;

/// So many batches before other things get their turn.
constexpr int batches_at_a_time = 64;
/// Of the connection by which it came.
int descriptor_of(const zmq_frame& frame) { return std::atoi(frame.property("__fd")); }
std::string text_of(const zmq_frame& route) {
  const auto bytes = route.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// So many connections may be open of which nothing was heard. Before it has proved its key, each
/// can make libzmq hold a frame of the largest size, for as long as a handshake may take.
constexpr std::size_t max_silent_connections = 128;

/// A `peer` in its archive is shorter.
constexpr std::size_t max_record_bytes = 4096;

}  // namespace

void endpoint::implementation::receive(listening& from) {
  from.more = true;
  for (int i = 0; i < batches_at_a_time; ++i) {
    zmq_frame route;
    if (!from.socket.receive(route)) {
      from.more = false;
      return;
    }
    zmq_frame frame;
    bool more = route.more() && from.socket.receive(frame);
    const bool alone = more && !frame.more();
    while (more && frame.more()) more = from.socket.receive(frame);
    undrained_ = true;
    if (alone) call_out("the reading of a batch", [&] { handle_frame(from, route, frame); });
    flush_listed();
  }
}

bool endpoint::implementation::admitted(listening& from, const zmq_frame& frame) {
  if (!from.secure) return true;
  const char* const key = frame.property("User-Id");
  connections_.heard(descriptor_of(frame), key);
  return context_->admitted(domain_.domain, key);
}

void endpoint::implementation::handle_frame(listening& from, const zmq_frame& route,
                                            zmq_frame& frame) {
  if (!admitted(from, frame)) {
    told_of_stranger(remote_of(descriptor_of(frame)), "its key is no longer one of this cluster");
    return;
  }
  if (!from.partial.empty() && completes(from, route, frame)) return;
  const auto header = decode_header(frame.bytes());
  if (!header) {
    told_of_stranger(from.secure ? remote_of(descriptor_of(frame)) : std::string(),
                     "what it sent is not of troupe's protocol");
    return;
  }
  if (header->has(batch_flag::refusal) || header->sender == self_.id) return;
  if (header->version != protocol_version) {
    refuse(from, route, *header, refusal_reason::version);
    return;
  }
  if (header->has(batch_flag::who)) {
    answer_who(from, route, *header);
    return;
  }
  if (header->receiver != self_.id) {
    refuse(from, route, *header, refusal_reason::not_receiver);
    return;
  }
  if (header->receiver_epoch != static_cast<short_epoch>(self_.epoch)) {
    refuse(from, route, *header, refusal_reason::other_life);
    return;
  }
  const auto rest = frame.bytes().subspan(batch_header_bytes);
  if (header->has(batch_flag::hello)) {
    drop_partial(header->sender);  // its other connection is no more
    meet(*header, rest);
  }
  link_ptr link = find_link(header->sender);
  if (link) {
    const int later = later_by(header->sender_epoch, static_cast<short_epoch>(link->epoch()));
    if (later < 0) return;  // the last words of a life that is over
    if (later > 0) {
      peer other = link->where();
      other.epoch = link->epoch() + static_cast<std::uint32_t>(later);
      renew_link(link, std::move(other));
      link = find_link(header->sender);
    }
  }
  if (!link) {
    bool forgotten = false;
    {
      const std::shared_lock guard(links_mutex_);
      forgotten = forgotten_.contains(header->sender);
    }
    if (forgotten) refuse(from, route, *header, refusal_reason::forgotten);
    return;
  }
  heard(link, *header);
  // It may have broken since: what was acknowledged by it counts.
  if (!link->worked && link->was_up) {
    link->worked = true;
    cancel(link->deadline);
  }
  if (header->parts == 0) {
    hand_over(*header, rest, {});
    // Also by the connection of the question, as the own one may carry nothing.
    if (from.secure && (header->has(batch_flag::probe) || header->has(batch_flag::hello)) &&
        from.socket.send(zmq_frame(route.bytes()), true)) {
      from.socket.send(link->answer());
    }
  } else {
    drop_partial(header->sender);
    from.partial[text_of(route)] = {*header, std::move(frame), {}};
  }
}

/// Whether the frame was a part of a batch that has begun to arrive.
bool endpoint::implementation::completes(listening& from, const zmq_frame& route,
                                         zmq_frame& frame) {
  const auto found = from.partial.find(text_of(route));
  if (found == from.partial.end()) return false;
  found->second.parts.push_back(to_blob(std::move(frame)));
  if (found->second.parts.size() < found->second.header.parts) return true;
  partial_batch whole = std::move(found->second);
  from.partial.erase(found);
  hand_over(whole.header, whole.first.bytes().subspan(batch_header_bytes), std::move(whole.parts));
  return true;
}

void endpoint::implementation::drop_partial(process_id sender) {
  const auto is_its = [sender](const auto& entry) { return entry.second.header.sender == sender; };
  std::erase_if(local_.partial, is_its);
  std::erase_if(remote_.partial, is_its);
}

void endpoint::implementation::refuse(listening& from, const zmq_frame& route,
                                      const batch_header& header, refusal_reason reason) {
  const batch_header answer{.version = protocol_version,
                            .flags = batch_flag::refusal,
                            .reason = reason,
                            .sender = self_.id,
                            .receiver = header.sender,
                            .sender_epoch = static_cast<short_epoch>(self_.epoch)};
  if (from.socket.send(zmq_frame(route.bytes()), true)) from.socket.send(answer);
}

void endpoint::implementation::answer_who(listening& from, const zmq_frame& route,
                                          const batch_header& header) {
  const bool in_front = options_.front.id != 0 && !header.has(batch_flag::head);
  const batch_header answer{.version = protocol_version,
                            .flags = batch_flag::hello,
                            .sender = in_front ? options_.front.id : self_.id,
                            .receiver = header.sender};
  if (!from.socket.send(zmq_frame(route.bytes()), true)) return;
  from.socket.send(answer, in_front ? detail::encode(options_.front).inline_bytes : record_);
}

/// A peer that links here is known from then on, and one that could not be reached is tried again.
void endpoint::implementation::meet(const batch_header& header, std::span<const std::byte> record) {
  try {
    if (record.size() <= max_record_bytes) {
      const peer other = detail::decode<peer>(record);
      if (other.id == header.sender) {
        learn(other);
        return;
      }
    }
  } catch (const detail::archive_error&) {
    // Said below.
  }
  told_of_stranger({}, "it introduced itself by what can not be read");
}

void endpoint::implementation::hand_over(const batch_header& header,
                                         std::span<const std::byte> small,
                                         std::vector<blob> parts) {
  const link_ptr link = find_link(header.sender);
  if (!link) return;
  std::optional<std::vector<message>> messages;
  if (header.count > 0) {
    messages = decode_messages(header.count, small, std::move(parts));
    if (!messages) {
      fail_link(link, "it sent a batch that can not be read; it may be a bug, or another program");
      return;
    }
  }
  const auto decision = link->received(header);
  if (decision.ask_again) control(link, batch_flag::nack, header.generation);
  if (decision.duplicate) counters_.duplicates_dropped.fetch_add(header.count);
  if (decision.accept) {
    counters_.duplicates_dropped.fetch_add(decision.skip);
    counters_.messages_received.fetch_add(header.count - decision.skip, std::memory_order_relaxed);
    std::size_t bytes = 0;
    const core::gathered_wakes together;
    for (std::size_t i = decision.skip; i < messages->size(); ++i) {
      message& m = (*messages)[i];
      bytes += m.size();
      // Forgotten by the handler in between, or ended: the rest is not for it any more.
      if (i > decision.skip && find_link(link->id()) != link) return;
      call_out("received()", [&] { handler_.received(link->id(), std::move(m)); });
    }
    owe(link, bytes);
  }
  // It is waiting for an answer: it asked, or has sent what it need not have.
  if (header.has(batch_flag::probe) || header.has(batch_flag::hello) || decision.duplicate) {
    if (!link->is_open() && !link->ended()) {
      if (!link->listed.exchange(true)) listed_here_.push_back(link);  // its hello will say it
    } else {
      control(link, 0);
    }
  }
}

void endpoint::implementation::owe(const link_ptr& link, std::size_t bytes) {
  link->owed_bytes += bytes;
  if (link->owed() >= ack_messages * ack_anyway || link->owed_bytes >= ack_bytes * ack_anyway) {
    link->owed_bytes = 0;
    control(link, 0);
  }
  if (!std::exchange(link->in_ack_list, true)) owing_.push_back(link);
}

/// Pays what is owed: `all`, or where much is.
void endpoint::implementation::acknowledge(bool all) {
  std::vector<link_ptr> later;
  for (link_ptr& link : owing_) {
    const bool much = link->owed() >= ack_messages || link->owed_bytes >= ack_bytes;
    if (link->owed() == 0 || link->ended() || (!all && !much)) {
      if (link->owed() == 0 || link->ended()) {
        link->in_ack_list = false;
        link->owed_bytes = 0;
      } else {
        later.push_back(std::move(link));
      }
      continue;
    }
    link->in_ack_list = false;
    link->owed_bytes = 0;
    if (!link->is_open()) {
      if (!link->listed.exchange(true)) listed_here_.push_back(link);
    } else {
      control(link, 0);
    }
  }
  owing_ = std::move(later);
  flush_listed();
  if (!owing_.empty() && !ack_timer_) {
    ack_timer_ = true;
    post_at(clock::now() + ack_delay, [this] {
      ack_timer_ = false;
      acknowledge(true);
    });
  }
}

/// Whoever does not come as far as the gatekeeper is noticed here.
void endpoint::implementation::watch_listener() {
  using what = connection_event::what;
  connection_event event;
  while (next_event(listener_watcher_, event)) {
    switch (event.kind) {
      case what::accepted:
        connections_.accepted(event.value, remote_of(event.value));
        if (const auto silent = connections_.silent_too_long(max_silent_connections)) cut(*silent);
        break;
      case what::ready:
        connections_.shook_hands();
        break;
      case what::refused_key:
        connections_.refused_by_gatekeeper();
        break;
      case what::failed:
      case what::not_understood:
        connections_.failed();
        break;
      case what::disconnected:
        if (const auto stranger = connections_.ended(event.value)) {
          told_of_stranger(*stranger, "it does not have the cluster key, or is not troupe");
        }
        break;
      default:
        break;
    }
  }
}

}  // namespace troupe::net
