// How an object store gets values of other nodes: by the link to the source, or by a data
// connection.
#include <algorithm>
#include <cstring>

#include <troupe/log.hpp>

#include "net/address.hpp"
#include "net/object_store_implementation.hpp"
#include "net/pack.hpp"

namespace troupe::net {

namespace {

/// Less comes by the link: a data connection is not worth its making.
constexpr std::uint64_t least_for_channel = std::uint64_t{1} << 20;

}  // namespace

void object_store::implementation::source_named(const value_source& named) {
  if (!named.refused.empty()) return pulls_.refused(named.value, named.refused);
  net_.learn(named.source);
  const peer& self = net_.self();
  // Within a machine the link is a unix socket, which is not encrypted.
  const bool local = named.source.host == self.host && !named.source.local.empty();
  if (options_.bulk_port && !local && named.size >= least_for_channel) {
    bulk_.wanted(clock::now(), named.source.id);
  }
  pulls_.located(named.value, named.size, named.source.id);
}

// -- data connections -----------------------------------------------------------------------------

void object_store::implementation::act(const ask_channel& e) {
  if (!net_.send(e.source, pack(open_channel{}))) bulk_.process_gone(e.source);
}

void object_store::implementation::channel_came(process_id from, const channel_offered& what) {
  const auto now = clock::now();
  if (!what.refused.empty()) return bulk_.refused(now, from, what.refused);
  bulk_key key;
  if (what.key.size() != key.size()) {
    throw detail::archive_error("the key of a data connection has another size");
  }
  std::copy(what.key.begin(), what.key.end(), key.begin());
  bulk_.offered(now, from, what.channel, what.port, key);
}

void object_store::implementation::act(const connect_channel& e) {
  const auto source = net_.find(e.source);
  auto address = source ? parse_address(source->remote) : std::nullopt;
  if (!address) return bulk_.lost(clock::now(), e.channel, "its node has no address");
  address->port = std::to_string(e.port);
  sink_.connect(e.channel, *address, e.key);
}

void object_store::implementation::act(const chunk_undelivered& e) {
  sink_.revoke(e.id, e.offset);
  pulls_.undelivered(e.id, e.source, e.offset);
}

void object_store::implementation::act(const channel_trouble& e) const {
  const auto source = net_.find(e.source);
  log::warn("no data connection to the node at ",
            source ? source->remote : std::string("an unknown address"), ": ", e.why,
            "; large objects come from there by the slower link, and another try is made later "
            "(its --bulk-port says where it listens)");
}

void object_store::implementation::bulk_came(std::uint64_t request) {
  const auto chunk = bulk_.arrived(clock::now(), request);
  if (chunk && pulls_.expects(chunk->id, chunk->source, chunk->offset, chunk->size)) {
    pulls_.arrived(chunk->id, chunk->offset);
  }
}

/// From here on nothing writes to the memory of a value.
void object_store::implementation::stop_receiving(stored_id id) {
  receiving_.erase(id);
  bulk_.forget(id);
  sink_.revoke(id);
}

// -- pulls ----------------------------------------------------------------------------------------

void object_store::implementation::act(const ask_chunk& e) {
  sink_.revoke(e.id, e.offset);
  pull_chunk wanted{.value = e.id, .offset = e.offset, .size = e.size};
  if (const auto into = receiving_.find(e.id); into != receiving_.end()) {
    const auto way = bulk_.asked(clock::now(), e.source, e.id, e.offset, e.size);
    wanted.channel = way.channel;
    wanted.request = way.request;
    if (way.channel != 0) {
      sink_.expect(way.channel,
                   {.request = way.request,
                    .id = e.id,
                    .offset = e.offset,
                    .memory = shared_->region.writable(into->second.offset + e.offset, e.size)});
    }
  }
  if (gone_.contains(e.source) || !net_.send(e.source, pack(wanted))) {
    pulls_.process_gone(e.source, "it cannot be reached");
  }
}

void object_store::implementation::chunk_came(process_id from, const value_chunk& what,
                                              const message& carrier) {
  if (what.missing) return pulls_.missing(what.value, from, what.no_room);
  const auto into = receiving_.find(what.value);
  if (into == receiving_.end() || carrier.attachments.size() != 1) return;
  const std::span<const std::byte> bytes = carrier.attachments.front().bytes();
  if (!pulls_.expects(what.value, from, what.offset, bytes.size())) return;
  const auto to = shared_->region.writable(into->second.offset + what.offset, bytes.size());
  bulk_.forget(what.value, what.offset);
  sink_.revoke(what.value, what.offset);
  std::memcpy(to.data(), bytes.data(), bytes.size());
  pulls_.arrived(what.value, what.offset);
}

void object_store::implementation::act(const receive_into& e) {
  receiving_[e.id] = e;
  pulls_.memory_granted(e.id);
}
void object_store::implementation::act(const stop_pull& e) {
  stop_receiving(e.id);
  pulls_.stop(e.id);
}
void object_store::implementation::act(const copy_evicted& e) {
  net_.send(e.id.owner, pack(copy_dropped{e.id}));
}

void object_store::implementation::act(const ask_home& e) {
  // The death of a node is told once, and its values may be asked for after that.
  if (gone_.contains(e.home) || !net_.send(e.home, pack(pull_value{e.id, true}))) {
    pulls_.process_gone(e.home, "it cannot be reached");
  }
}
void object_store::implementation::act(const value_located& e) {
  state_.pull_located(clock::now(), e.id, e.size);
}
void object_store::implementation::act(const end_transfer& e) {
  net_.send(e.source, pack(end_pull{e.id}));
}
void object_store::implementation::act(const tell_home& e) {
  net_.send(e.home, pack(pull_ended{e.id, e.source, e.done}));
}
void object_store::implementation::act(const pull_complete& e) {
  stop_receiving(e.id);
  state_.pulled(e.id);
}
void object_store::implementation::act(const pull_hopeless& e) {
  stop_receiving(e.id);
  state_.pull_failed(e.id, e.why, e.refusal);
}

}  // namespace troupe::net
