// What an object store is told by other processes, and how it gives them values.
#include <troupe/log.hpp>

#include "net/object_store_implementation.hpp"
#include "net/pack.hpp"

namespace troupe::net {

void object_store::implementation::dispatch(process_id from, const message& what) {
  switch (static_cast<kind>(what.kind)) {
    case kind::claim_value:
      return state_.claim(unpack<claim_value>(what).value);
    case kind::drop_value:
      return state_.drop(unpack<drop_value>(what).value);
    case kind::pull_value: {
      // A node that ends may have asked until the end: nobody would say when it has got its value.
      if (gone_.contains(from)) return;
      const auto asked = unpack<pull_value>(what);
      const bool unfinished = state_.is_being_written(asked.value);
      if (!unfinished && state_.size_of(asked.value) == 0) return refuse_source(from, asked.value);
      return spread_.asked(asked.value, from, asked.keeps, !unfinished);
    }
    case kind::value_source:
      return source_named(unpack<value_source>(what));
    case kind::open_channel:
      return offer_channel(from);
    case kind::channel_offered:
      return channel_came(from, unpack<channel_offered>(what));
    case kind::pull_chunk:
      if (!gone_.contains(from)) chunk_asked(from, unpack<pull_chunk>(what));
      return;
    case kind::value_chunk:
      return chunk_came(from, unpack<value_chunk>(what), what);
    case kind::end_pull:
      return end_transfer_to(from, unpack<end_pull>(what).value);
    case kind::pull_ended: {
      const auto ended = unpack<pull_ended>(what);
      return spread_.ended(ended.value, from, ended.source, ended.done);
    }
    case kind::copy_dropped:
      return spread_.evicted(unpack<copy_dropped>(what).value, from);
    case kind::drop_copy: {
      const stored_id id = unpack<drop_copy>(what).value;
      if (id.owner == from) state_.drop(id);
      return;
    }
    case kind::ask_memory:
      net_.send(from, pack(report()));
      return;
    default:
      log::warn("dropped a message of kind ", what.kind, ", which is not for an object store");
  }
}

void object_store::implementation::refuse_source(process_id to, stored_id id) {
  value_source none;
  none.value = id;
  none.refused = "the node that it was made on does not have it any more";
  net_.send(to, pack(std::move(none)));
}

void object_store::implementation::offer_channel(process_id to) {
  channel_offered reply;
  const auto made = source_ == nullptr ? std::nullopt : source_->offer_to(to);
  if (made) {
    reply.channel = made->channel;
    reply.port = source_->port();
    reply.key.assign(made->key.begin(), made->key.end());
  } else {
    reply.refused = source_ == nullptr ? "that node has no port for data (--bulk-port=none)"
                                       : "that node has as many data connections as it can have";
  }
  net_.send(to, pack(std::move(reply)));
}

void object_store::implementation::chunk_asked(process_id by, pull_chunk&& what) {
  const transfer_key key{by, what.value};
  auto at = transfers_.find(key);
  if (at == transfers_.end()) {
    if (state_.size_of(what.value) == 0) return send_missing(by, what);
    at = transfers_.emplace(key, transfer{}).first;
    at->second.ticket = ++last_ticket_;
    transfer_tickets_.emplace(at->second.ticket, key);
    at->second.asked.push_back(std::move(what));
    return state_.pin(clock::now(), by, at->second.ticket, key.second);
  }
  if (at->second.pin == nullptr) {
    if (at->second.asked.size() < 64) at->second.asked.push_back(std::move(what));
    return;
  }
  send_chunk(by, at->second, what);
}

void object_store::implementation::send_missing(process_id to, const pull_chunk& what,
                                                const std::string& no_room) {
  value_chunk none;
  none.value = what.value;
  none.offset = what.offset;
  none.missing = true;
  none.no_room = no_room;
  net_.send(to, pack(none));
}

void object_store::implementation::send_chunk(process_id to, const transfer& of,
                                              const pull_chunk& what) {
  if (what.offset > of.size || what.size > of.size - what.offset) return send_missing(to, what);
  const auto bytes = shared_->region.readable(of.offset + what.offset, what.size);
  if (what.channel != 0 && source_ != nullptr &&
      source_->send(to,
                    {.what = bulk_frame::kind::chunk,
                     .channel = what.channel,
                     .request = what.request,
                     .value = what.value,
                     .offset = what.offset,
                     .size = what.size,
                     .total = of.size},
                    bytes, of.pin)) {
    return;
  }
  message packed = pack(value_chunk{what.value, what.offset, false, {}});
  packed.attachments.emplace_back(bytes, of.pin);
  net_.send(to, std::move(packed));
}

void object_store::implementation::transfer_pinned(const transfer_key& key,
                                                   const answer_pinned& e) {
  transfer& of = transfers_.at(key);
  of.offset = e.offset;
  of.size = e.size;
  of.ticket = 0;
  of.pin = std::shared_ptr<const void>(shared_.get(), [this, shared = shared_, key](const void*) {
    shared->post([this, key] { state_.unpin(key.first, key.second); });
  });
  for (const pull_chunk& one : std::exchange(of.asked, {})) send_chunk(key.first, of, one);
}

void object_store::implementation::transfer_refused(const transfer_key& key,
                                                    const answer_refused& e) {
  const auto at = transfers_.find(key);
  const std::string no_room = e.why == store_refusal::full ? e.text : std::string();
  for (const pull_chunk& one : at->second.asked) send_missing(key.first, one, no_room);
  transfers_.erase(at);
}

void object_store::implementation::end_transfer_to(process_id by, stored_id id) {
  const auto at = transfers_.find({by, id});
  if (at == transfers_.end()) return;
  if (at->second.ticket != 0) {
    const store_ticket ticket = at->second.ticket;
    transfer_tickets_.erase(ticket);
    state_.cancel(ticket);
  }
  transfers_.erase(at);
}

void object_store::implementation::act(const name_source& e) {
  value_source named;
  named.value = e.id;
  named.size = state_.size_of(e.id);
  if (named.size == 0) return refuse_source(e.to, e.id);
  const auto source = e.source == net_.id() ? net_.self() : net_.find(e.source).value_or(peer{});
  named.source = source;
  net_.send(e.to, pack(std::move(named)));
}
void object_store::implementation::act(const delete_copy& e) {
  net_.send(e.node, pack(drop_copy{e.id}));
}

}  // namespace troupe::net
