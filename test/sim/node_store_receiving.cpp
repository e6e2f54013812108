// How the object store of a simulated node gets values of others: by links or data connections.
#include <algorithm>

#include "test/sim/node_store_parts.hpp"

namespace troupe::sim {
namespace {

/// What is smaller comes by the link.
constexpr std::uint64_t least_for_channel = store_chunk;

}  // namespace

void node_store::on(process_id, const net::value_source& what) {
  say(what.value, [&] {
    return what.refused.empty() ? "lies in " + short_name(what.source.id) : "is refused";
  });
  if (what.refused.empty()) {
    net_.learn(what.source);
    if (what.size >= least_for_channel && sim_.net.machine_of(what.source.id) != net_.machine()) {
      bulk_.wanted(sim_.w.now(), what.source.id);
    }
    pulls_.located(what.value, what.size, what.source.id);
  } else {
    pulls_.refused(what.value, what.refused);
  }
  carry_out();
}
void node_store::on(process_id from, const net::channel_offered& what) {
  if (what.refused.empty()) {
    bulk_.offered(sim_.w.now(), from, what.channel, what.port, {});
  } else {
    bulk_.refused(sim_.w.now(), from, what.refused);
  }
  carry_out();
}
void node_store::on(process_id from, const marked_chunk& what) {
  if (what.missing) {
    say(what.value, [&] { return "is missing in " + short_name(from) + " " + what.no_room; });
    pulls_.missing(what.value, from, what.no_room);
    return carry_out();
  }
  const auto into = receiving_.find(what.value);
  const std::uint64_t size = what.marks.size() * store_unit;
  if (into == receiving_.end() || !pulls_.expects(what.value, from, what.offset, size)) return;
  say(what.value,
      [&] { return "has its units " + units_of(what.offset, size) + " from " + short_name(from); });
  bulk_.forget(what.value, what.offset);
  data_.revoke(what.value, what.offset);
  const std::uint64_t at = (into->second.offset + what.offset) / store_unit;
  std::copy(what.marks.begin(), what.marks.end(),
            memory_.begin() + static_cast<std::ptrdiff_t>(at));
  pulls_.arrived(what.value, what.offset);
  carry_out();
}

void node_store::came_by_data(std::uint64_t request) {
  const auto chunk = bulk_.arrived(sim_.w.now(), request);
  if (chunk && pulls_.expects(chunk->id, chunk->source, chunk->offset, chunk->size)) {
    say(chunk->id, [&] {
      return "has its units " + units_of(chunk->offset, chunk->size) + " by data from " +
             short_name(chunk->source);
    });
    pulls_.arrived(chunk->id, chunk->offset);
  }
  carry_out();
}

/// From here on nothing writes to the memory of a value.
void node_store::stop_receiving(net::stored_id id) {
  receiving_.erase(id);
  bulk_.forget(id);
  data_.revoke(id);
}
void node_store::act(const net::receive_into& e) {
  say(e.id, [&] { return "is received into " + units_of(e.offset, e.size); });
  receiving_[e.id] = e;
  pulls_.memory_granted(e.id);
}
void node_store::act(const net::stop_pull& e) {
  say(e.id, [] { return "is wanted no more"; });
  stop_receiving(e.id);
  pulls_.stop(e.id);
}
void node_store::act(const net::copy_evicted& e) {
  say(e.id, [] { return "is evicted"; });
  net_.send(e.id.owner, net::copy_dropped{e.id});
}
void node_store::act(const net::ask_home& e) {
  if (gone_.contains(e.home) || !net_.send(e.home, net::pull_value{e.id, true})) {
    pulls_.process_gone(e.home, "it cannot be reached");
  }
}
void node_store::act(const net::value_located& e) {
  state_.pull_located(sim_.w.now(), e.id, e.size);
}
void node_store::act(const net::ask_chunk& e) {
  say(e.id, [&] {
    return "wants its units " + units_of(e.offset, e.size) + " from " + short_name(e.source);
  });
  data_.revoke(e.id, e.offset);
  net::pull_chunk wanted;
  wanted.value = e.id;
  wanted.offset = e.offset;
  wanted.size = e.size;
  if (const auto into = receiving_.find(e.id); into != receiving_.end()) {
    const auto way = bulk_.asked(sim_.w.now(), e.source, e.id, e.offset, e.size);
    wanted.channel = way.channel;
    wanted.request = way.request;
    if (way.channel != 0) {
      data_.expect(way.channel, way.request, {e.source, e.id, e.offset, e.size},
                   into->second.offset + e.offset);
    }
  }
  if (gone_.contains(e.source) || !net_.send(e.source, wanted)) {
    pulls_.process_gone(e.source, "it cannot be reached");
  }
}

void node_store::act(const net::end_transfer& e) { net_.send(e.source, net::end_pull{e.id}); }
void node_store::act(const net::tell_home& e) {
  net_.send(e.home, net::pull_ended{e.id, e.source, e.done});
}
void node_store::act(const net::pull_complete& e) {
  say(e.id, [] { return "has come"; });
  stop_receiving(e.id);
  ++sim_.watch.counted.pulls;
  state_.pulled(e.id);
}
void node_store::act(const net::pull_hopeless& e) {
  say(e.id, [&] { return "does not come: " + e.why; });
  stop_receiving(e.id);
  state_.pull_failed(e.id, e.why, e.refusal);
}
void node_store::act(const net::ask_channel& e) {
  if (!net_.send(e.source, net::open_channel{})) bulk_.process_gone(e.source);
}
void node_store::act(const net::connect_channel& e) { data_.connect(e.source, e.channel); }
void node_store::act(const net::chunk_undelivered& e) {
  say(e.id, [&] { return "has not got its units at " + std::to_string(e.offset / store_unit); });
  data_.revoke(e.id, e.offset);
  pulls_.undelivered(e.id, e.source, e.offset);
}

}  // namespace troupe::sim
