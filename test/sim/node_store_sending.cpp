// What the object store of a simulated node is told by other processes, and how it gives them
// values.
#include <utility>

#include "test/sim/node_store_parts.hpp"

namespace troupe::sim {

void node_store::on(process_id from, const net::claim_value& what) {
  say(what.value, [&] { return "is claimed by " + short_name(from); });
  state_.claim(what.value);
  carry_out();
}
void node_store::on(process_id from, const net::drop_value& what) {
  say(what.value, [&] { return "is dropped by " + short_name(from); });
  state_.drop(what.value);
  carry_out();
}
void node_store::on(process_id from, const net::pull_value& what) {
  if (gone_.contains(from)) return;
  say(what.value, [&] { return "is asked for by " + short_name(from); });
  const bool unfinished = state_.is_being_written(what.value);
  if (!unfinished && state_.size_of(what.value) == 0) return refuse_source(from, what.value);
  spread_.asked(what.value, from, what.keeps, !unfinished);
  carry_out();
}
void node_store::on(process_id from, const net::open_channel&) {
  net::channel_offered said;
  if (const auto channel = data_.offer_to(from)) {
    said.channel = *channel;
  } else {
    said.refused = "that node has no port for data";
  }
  net_.send(from, std::move(said));
}
void node_store::on(process_id from, const net::pull_chunk& what) {
  if (gone_.contains(from)) return;
  const transfer_key key{from, what.value};
  const auto at = transfers_.find(key);
  if (at == transfers_.end()) {
    if (state_.size_of(what.value) == 0) return send_missing(from, what);
    transfer& made = transfers_[key];
    made.ticket = ++last_ticket_;
    made.asked.push_back(what);
    say(what.value, [&] { return "is read for " + short_name(from); });
    transfer_tickets_[made.ticket] = key;
    state_.pin(sim_.w.now(), from, made.ticket, what.value);
    return carry_out();
  }
  if (at->second.ticket != 0) return at->second.asked.push_back(what);
  send_chunk(from, at->second, what);
}

void node_store::on(process_id from, const net::end_pull& what) {
  const auto at = transfers_.find({from, what.value});
  if (at == transfers_.end()) return;
  say(what.value, [&] { return "is read for " + short_name(from) + " no more"; });
  if (at->second.ticket != 0) {
    transfer_tickets_.erase(at->second.ticket);
    state_.cancel(at->second.ticket);
  } else {
    release(at->second.pin);
  }
  transfers_.erase(at);
  carry_out();
}
void node_store::on(process_id from, const net::pull_ended& what) {
  spread_.ended(what.value, from, what.source, what.done);
  carry_out();
}
void node_store::on(process_id from, const net::copy_dropped& what) {
  spread_.evicted(what.value, from);
  carry_out();
}
void node_store::on(process_id from, const net::drop_copy& what) {
  say(what.value, [&] { return "shall go, says " + short_name(from); });
  if (what.value.owner == from) state_.drop(what.value);
  carry_out();
}

void node_store::refuse_source(process_id to, net::stored_id id) {
  net::value_source none;
  none.value = id;
  none.refused = "the node that it was made on does not have it any more";
  net_.send(to, std::move(none));
}

void node_store::send_missing(process_id to, const net::pull_chunk& what,
                              const std::string& no_room) {
  net_.send(to, marked_chunk{what.value, what.offset, true, no_room, {}});
}

void node_store::send_chunk(process_id to, const transfer& of, const net::pull_chunk& what) {
  if (what.offset > of.size || what.size > of.size - what.offset) return send_missing(to, what);
  if (what.channel != 0 &&
      data_.send(to, what, of.offset + what.offset, [this, pin = of.pin] { release(pin); })) {
    ++pins_.at(of.pin).users;
    return;
  }
  const auto begin =
      memory_.begin() + static_cast<std::ptrdiff_t>((of.offset + what.offset) / store_unit);
  net_.send(to, marked_chunk{what.value,
                             what.offset,
                             false,
                             {},
                             {begin, begin + static_cast<std::ptrdiff_t>(what.size / store_unit)}});
}

/// The pin ends with its last user.
void node_store::release(std::uint64_t pin) {
  const auto at = pins_.find(pin);
  if (at == pins_.end() || --at->second.users > 0) return;
  const auto [who, id] = at->second.of;
  pins_.erase(at);
  unpin(who, id);
}
void node_store::act(const net::value_sealed& e) { spread_.sealed(e.id); }
void node_store::act(const net::value_freed& e) {
  say(e.id, [] { return "is freed"; });
  spread_.freed(e.id);
}
void node_store::act(const net::name_source& e) {
  net::value_source named;
  named.value = e.id;
  named.size = state_.size_of(e.id);
  if (named.size == 0) return refuse_source(e.to, e.id);
  if (e.source == net_.id() || net_.knows(e.source)) named.source = sim_.net.peer_of(e.source);
  net_.send(e.to, std::move(named));
}
void node_store::act(const net::delete_copy& e) { net_.send(e.node, net::drop_copy{e.id}); }

}  // namespace troupe::sim
