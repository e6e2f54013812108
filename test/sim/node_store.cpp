#include "test/sim/node_store.hpp"

#include <algorithm>

#include "test/sim/daemon.hpp"
#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::uint64_t unit = net::block_allocator::unit;
constexpr std::uint64_t chunk = 3 * unit;
constexpr std::uint32_t window = 2;
/// What is smaller comes by the link.
constexpr std::uint64_t least_for_channel = chunk;

net::store_settings settings_of(process_id self) {
  net::store_settings s;
  s.self = self;
  s.capacity = 48 * unit;
  s.spill_capacity = 200 * unit;
  s.patience = std::chrono::milliseconds(5'000);
  s.claim_within = std::chrono::milliseconds(30'000);
  return s;
}

std::uint64_t mark(std::uint64_t version, std::uint64_t part) {
  return version * 0x9e3779b97f4a7c15U + part / unit;
}

enum record : std::uint64_t { store_says = 160 };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }
std::string units_of(std::uint64_t offset, std::uint64_t size) {
  return std::to_string(offset / unit) + "+" + std::to_string((size + unit - 1) / unit);
}

}  // namespace

node_store::node_store(simulation& sim, endpoint& net)
    : sim_(sim),
      net_(net),
      state_(settings_of(net.id())),
      pulls_(chunk, window),
      spread_(net.id()),
      memory_(48),
      data_(sim, net, memory_,
            {.opened =
                 [this](std::uint64_t channel) {
                   bulk_.opened(sim_.w.now(), channel);
                   carry_out();
                 },
             .lost =
                 [this](std::uint64_t channel, const std::string& why) {
                   bulk_.lost(sim_.w.now(), channel, why);
                   carry_out();
                 },
             .arrived = [this](std::uint64_t request) { came_by_data(request); }}) {}

template <class Text>
void node_store::say(net::stored_id id, Text&& text) {
  sim_.w.record(store_says, net_.id(), id.local, [&] {
    return "store of " + name_of(net_.id()) + ": value " + std::to_string(id.local) + " of " +
           name_of(id.owner) + " " + text();
  });
}

/// Later, if the node's daemon still lives then.
void node_store::soon(std::function<void()> f) {
  after(sim_.w.random.time(5us, 60us), std::move(f));
}
void node_store::after(duration wait, std::function<void()> f) {
  sim_.w.after(wait, [&sim = sim_, self = net_.id(), m = net_.machine(), f = std::move(f)] {
    const daemon* const there = sim.machines[m].node.get();
    if (there != nullptr && there->id() == self) f();
  });
}

// -- processes of the node ------------------------------------------------------------------------

void node_store::create(process_id client, std::uint64_t size, process_id owner, reply then) {
  soon([this, client, size, owner, then = std::move(then)] {
    const net::store_ticket ticket = ++last_ticket_;
    tickets_[ticket] = {client, then};
    state_.create(sim_.w.now(), client, ticket, size, {owner, "task"},
                  std::chrono::milliseconds(5'000));
    carry_out();
  });
}

/// It goes by a connection of its own: messages about the value may be faster.
void node_store::seal(process_id client, net::stored_id id) {
  seals_.emplace(client, id);
  after(sim_.w.random.skewed(5us, 20ms), [this, client, id] {
    if (seals_.erase({client, id}) != 0) hear_seal(client, id);
  });
}
void node_store::hear_seal(process_id client, net::stored_id id) {
  say(id, [&] { return "is sealed by " + name_of(client); });
  state_.seal(sim_.w.now(), client, id);
  carry_out();
}

void node_store::pin(process_id client, net::stored_id id, reply then) {
  soon([this, client, id, then = std::move(then)] {
    const net::store_ticket ticket = ++last_ticket_;
    tickets_[ticket] = {client, then};
    net_.learn(id.owner);
    state_.pin(sim_.w.now(), client, ticket, id);
    carry_out();
  });
}

void node_store::unpin(process_id client, net::stored_id id) {
  soon([this, client, id] {
    state_.unpin(client, id);
    carry_out();
  });
}

void node_store::tell(net::store_ticket ticket, answer what) {
  const auto at = tickets_.find(ticket);
  if (at == tickets_.end()) return;
  const waiting who = std::move(at->second);
  tickets_.erase(at);
  soon([this, who, what] {
    const auto to = sim_.programs.find(who.client);
    if (to != sim_.programs.end()) who.then(*to->second, what);
  });
}

void node_store::write(std::uint64_t offset, std::uint64_t from, std::uint64_t to,
                       std::uint64_t version) {
  for (std::uint64_t part = from; part < to; part += unit) {
    memory_.at((offset + part) / unit) = mark(version, part);
  }
}

bool node_store::has(std::uint64_t offset, std::uint64_t size, std::uint64_t version) const {
  for (std::uint64_t part = 0; part < size; part += unit) {
    if (memory_.at((offset + part) / unit) != mark(version, part)) return false;
  }
  return true;
}

/// As in the object store: who lives on this node has its connection until it ends.
void node_store::lose(process_id who, const std::string& cause) {
  const auto client = sim_.programs.find(who);
  if (client == sim_.programs.end() || client->second->node() != net_.id()) return end(who, cause);
  sim_.w.record(store_says, net_.id(), who, [&] {
    return "store of " + name_of(net_.id()) + " frees what " + name_of(who) + " owns: " + cause;
  });
  state_.owner_gone(who);
  carry_out();
}

void node_store::end(process_id who, const std::string& cause) {
  gone_.insert(who);
  // What it said last is read before the end of its connection.
  std::vector<net::stored_id> said;
  for (const auto& [client, id] : seals_) {
    if (client == who) said.push_back(id);
  }
  for (const net::stored_id id : said) {
    seals_.erase({who, id});
    hear_seal(who, id);
  }
  sim_.w.record(store_says, net_.id(), who, [&] {
    return "store of " + name_of(net_.id()) + " loses " + name_of(who) + ": " + cause;
  });
  std::erase_if(tickets_, [who](const auto& entry) { return entry.second.client == who; });
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    if (at->first.first != who) {
      ++at;
      continue;
    }
    release(at->second.pin);
    at = transfers_.erase(at);
  }
  std::erase_if(transfer_tickets_, [who](const auto& entry) { return entry.second.first == who; });
  state_.process_gone(who);
  pulls_.process_gone(who, cause);
  spread_.process_gone(who);
  bulk_.process_gone(who);
  data_.close_to(who);
  carry_out();
}

void node_store::cannot_reach(process_id who, const std::string& why) {
  sim_.w.record(store_says, net_.id(), who, [&] {
    return "store of " + name_of(net_.id()) + " cannot reach " + name_of(who) + ": " + why;
  });
  pulls_.process_gone(who, why);
  carry_out();
}

void node_store::tick() {
  if (bulk_.wants_ticks()) {
    for (const std::uint64_t channel : bulk_.open_channels()) {
      bulk_.carried(sim_.w.now(), channel, data_.carried(channel));
    }
    bulk_.tick(sim_.w.now());
  }
  if (state_.wants_ticks()) state_.tick(sim_.w.now());
  carry_out();
}

std::string node_store::describe() const {
  const net::store_state::use now = state_.usage();
  std::string text;
  const auto add = [&text](std::uint64_t count, const char* what) {
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  std::uint64_t readers = 0;
  std::uint64_t values = 0;  // copies of others' may stay: they go when memory is short
  for (const net::store_state::item& one : state_.items()) {
    readers += one.readers.size();
    values += one.copy ? 0 : 1;
  }
  add(readers, "readers");
  add(now.pinned, "bytes pinned");
  add(now.waiting, "requests for memory");
  add(values, "values");
  for (const net::store_state::item& one : state_.items()) {
    if (one.waiting) {
      add(one.id.local, ("waits for that value of " + std::to_string(one.id.owner % 1'000'000) +
                         (one.copy ? ", a copy" : ""))
                            .c_str());
    }
  }
  add(pulls_.size(), "pulls");
  add(transfers_.size(), "transfers");
  add(pins_.size(), "pins of transfers");
  add(tickets_.size(), "requests");
  return text;
}

// -- messages -------------------------------------------------------------------------------------

void node_store::on(process_id from, const net::claim_value& what) {
  say(what.value, [&] { return "is claimed by " + name_of(from); });
  state_.claim(what.value);
  carry_out();
}
void node_store::on(process_id from, const net::drop_value& what) {
  say(what.value, [&] { return "is dropped by " + name_of(from); });
  state_.drop(what.value);
  carry_out();
}
void node_store::on(process_id from, const net::pull_value& what) {
  if (gone_.contains(from)) return;
  say(what.value, [&] { return "is asked for by " + name_of(from); });
  const bool unfinished = state_.is_being_written(what.value);
  if (!unfinished && state_.size_of(what.value) == 0) return refuse_source(from, what.value);
  spread_.asked(what.value, from, what.keeps, !unfinished);
  carry_out();
}
void node_store::on(process_id, const net::value_source& what) {
  say(what.value,
      [&] { return what.refused.empty() ? "lies in " + name_of(what.source.id) : "is refused"; });
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
void node_store::on(process_id from, const net::open_channel&) {
  net::channel_offered said;
  if (const auto channel = data_.offer_to(from)) {
    said.channel = *channel;
  } else {
    said.refused = "that node has no port for data";
  }
  net_.send(from, std::move(said));
}
void node_store::on(process_id from, const net::channel_offered& what) {
  if (what.refused.empty()) {
    bulk_.offered(sim_.w.now(), from, what.channel, what.port, {});
  } else {
    bulk_.refused(sim_.w.now(), from, what.refused);
  }
  carry_out();
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
    say(what.value, [&] { return "is read for " + name_of(from); });
    transfer_tickets_[made.ticket] = key;
    state_.pin(sim_.w.now(), from, made.ticket, what.value);
    return carry_out();
  }
  if (at->second.ticket != 0) return at->second.asked.push_back(what);
  send_chunk(from, at->second, what);
}
void node_store::on(process_id from, const marked_chunk& what) {
  if (what.missing) {
    say(what.value, [&] { return "is missing in " + name_of(from) + " " + what.no_room; });
    pulls_.missing(what.value, from, what.no_room);
    return carry_out();
  }
  const auto into = receiving_.find(what.value);
  const std::uint64_t size = what.marks.size() * unit;
  if (into == receiving_.end() || !pulls_.expects(what.value, from, what.offset, size)) return;
  say(what.value,
      [&] { return "has its units " + units_of(what.offset, size) + " from " + name_of(from); });
  bulk_.forget(what.value, what.offset);
  data_.revoke(what.value, what.offset);
  const std::uint64_t at = (into->second.offset + what.offset) / unit;
  std::copy(what.marks.begin(), what.marks.end(),
            memory_.begin() + static_cast<std::ptrdiff_t>(at));
  pulls_.arrived(what.value, what.offset);
  carry_out();
}
void node_store::on(process_id from, const net::end_pull& what) {
  const auto at = transfers_.find({from, what.value});
  if (at == transfers_.end()) return;
  say(what.value, [&] { return "is read for " + name_of(from) + " no more"; });
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
  say(what.value, [&] { return "shall go, says " + name_of(from); });
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
      memory_.begin() + static_cast<std::ptrdiff_t>((of.offset + what.offset) / unit);
  net_.send(to, marked_chunk{what.value,
                             what.offset,
                             false,
                             {},
                             {begin, begin + static_cast<std::ptrdiff_t>(what.size / unit)}});
}

/// The pin ends with its last user.
void node_store::release(std::uint64_t pin) {
  const auto at = pins_.find(pin);
  if (at == pins_.end() || --at->second.users > 0) return;
  const auto [who, id] = at->second.of;
  pins_.erase(at);
  unpin(who, id);
}

void node_store::came_by_data(std::uint64_t request) {
  const auto chunk = bulk_.arrived(sim_.w.now(), request);
  if (chunk && pulls_.expects(chunk->id, chunk->source, chunk->offset, chunk->size)) {
    say(chunk->id, [&] {
      return "has its units " + units_of(chunk->offset, chunk->size) + " by data from " +
             name_of(chunk->source);
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

// -- effects --------------------------------------------------------------------------------------

void node_store::carry_out() {
  for (bool more = true; more;) {
    more = false;
    const auto all = [&](const auto& effects) {
      for (const auto& effect : effects) {
        more = true;
        std::visit([this](const auto& e) { act(e); }, effect);
      }
    };
    all(state_.take_effects(sim_.w.now()));
    all(pulls_.take_effects());
    all(spread_.take_effects());
    all(bulk_.take_effects());
  }
}

void node_store::act(const net::answer_created& e) {
  say(e.id, [&] { return "is being made at " + std::to_string(e.offset / unit); });
  tell(e.ticket, {{}, e.id, e.offset, 0, {}});
}
void node_store::act(const net::answer_pinned& e) {
  const auto at = transfer_tickets_.find(e.ticket);
  if (at == transfer_tickets_.end()) return tell(e.ticket, {{}, e.id, e.offset, e.size, {}});
  const transfer_key key = at->second;
  transfer_tickets_.erase(at);
  transfer& of = transfers_.at(key);
  of.ticket = 0;
  of.offset = e.offset;
  of.size = e.size;
  of.pin = ++last_pin_;
  pins_[of.pin] = {key, 1};
  for (const net::pull_chunk& one : std::exchange(of.asked, {})) send_chunk(key.first, of, one);
}
void node_store::act(const net::answer_refused& e) {
  const auto at = transfer_tickets_.find(e.ticket);
  if (at == transfer_tickets_.end()) return tell(e.ticket, {e.why, {}, 0, 0, e.text});
  const transfer_key key = at->second;
  transfer_tickets_.erase(at);
  const std::string no_room = e.why == net::store_refusal::full ? e.text : std::string();
  for (const net::pull_chunk& one : transfers_.at(key).asked) {
    send_missing(key.first, one, no_room);
  }
  transfers_.erase(key);
}

/// The first half is copied now, the second when it is done: nobody may write there meanwhile.
void node_store::act(const net::spill_block& e) {
  say(e.id, [&] { return "is spilled from " + units_of(e.offset, e.size); });
  const auto copy = [this, e](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t part = from; part < to; part += unit) {
      file_[e.file_offset + part] = memory_.at((e.offset + part) / unit);
    }
  };
  const std::uint64_t half = e.size / unit / 2 * unit;
  copy(0, half);
  const bool fails = sim_.w.random.chance(0.02);
  sim_.watch.counted.spills += fails ? 0 : 1;
  sim_.w.after(sim_.w.random.skewed(100us, 20ms), [this, e, copy, half, fails] {
    soon([this, e, copy, half, fails] {
      copy(half, e.size);
      state_.spilled(sim_.w.now(), e.id, fails ? "no space left on device" : "");
      carry_out();
    });
  });
}
void node_store::act(const net::restore_block& e) {
  say(e.id, [&] { return "is restored to " + units_of(e.offset, e.size); });
  const auto copy = [this, e](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t part = from; part < to; part += unit) {
      const auto at = file_.find(e.file_offset + part);
      memory_.at((e.offset + part) / unit) = at == file_.end() ? 0 : at->second;
    }
  };
  const std::uint64_t half = e.size / unit / 2 * unit;
  copy(0, half);
  sim_.w.after(sim_.w.random.skewed(100us, 20ms), [this, e, copy, half] {
    soon([this, e, copy, half] {
      copy(half, e.size);
      state_.restored(e.id, "");
      carry_out();
    });
  });
}
void node_store::act(const net::discard_file_block& e) {
  for (std::uint64_t part = 0; part < e.size; part += unit) file_.erase(e.file_offset + part);
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
void node_store::act(const net::value_sealed& e) { spread_.sealed(e.id); }
void node_store::act(const net::value_freed& e) {
  say(e.id, [] { return "is freed"; });
  spread_.freed(e.id);
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
    return "wants its units " + units_of(e.offset, e.size) + " from " + name_of(e.source);
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
void node_store::act(const net::name_source& e) {
  net::value_source named;
  named.value = e.id;
  named.size = state_.size_of(e.id);
  if (named.size == 0) return refuse_source(e.to, e.id);
  if (e.source == net_.id() || net_.knows(e.source)) named.source = sim_.net.peer_of(e.source);
  net_.send(e.to, std::move(named));
}
void node_store::act(const net::ask_channel& e) {
  if (!net_.send(e.source, net::open_channel{})) bulk_.process_gone(e.source);
}
void node_store::act(const net::connect_channel& e) { data_.connect(e.source, e.channel); }
void node_store::act(const net::chunk_undelivered& e) {
  say(e.id, [&] { return "has not got its units at " + std::to_string(e.offset / unit); });
  data_.revoke(e.id, e.offset);
  pulls_.undelivered(e.id, e.source, e.offset);
}
void node_store::act(const net::delete_copy& e) { net_.send(e.node, net::drop_copy{e.id}); }

}  // namespace troupe::sim
