#include "test/sim/node_store.hpp"

#include <algorithm>

#include "test/sim/daemon.hpp"
#include "test/sim/node_store_parts.hpp"
#include "test/sim/program.hpp"

namespace troupe::sim {
namespace {

constexpr std::uint32_t window = 2;

net::store_settings settings_of(process_id self) {
  net::store_settings s;
  s.self = self;
  s.capacity = 48 * store_unit;
  s.spill_capacity = 200 * store_unit;
  s.patience = std::chrono::milliseconds(5'000);
  s.claim_within = std::chrono::milliseconds(30'000);
  return s;
}

std::uint64_t mark(std::uint64_t version, std::uint64_t part) {
  return version * 0x9e3779b97f4a7c15U + part / store_unit;
}

}  // namespace

node_store::node_store(simulation& sim, endpoint& net)
    : sim_(sim),
      net_(net),
      state_(settings_of(net.id())),
      pulls_(store_chunk, window),
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

/// Later, if the node's daemon still lives then.
void node_store::soon(std::function<void()> f) {
  after(sim_.w.random.time(5us, 60us), std::move(f));
}

void node_store::after(duration wait, std::function<void()> f) {
  sim_.after_in_node(wait, net_.id(), [f = std::move(f)](daemon&) { f(); });
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
  say(id, [&] { return "is sealed by " + short_name(client); });
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
  for (std::uint64_t part = from; part < to; part += store_unit) {
    memory_.at((offset + part) / store_unit) = mark(version, part);
  }
}

bool node_store::has(std::uint64_t offset, std::uint64_t size, std::uint64_t version) const {
  for (std::uint64_t part = 0; part < size; part += store_unit) {
    if (memory_.at((offset + part) / store_unit) != mark(version, part)) return false;
  }
  return true;
}

/// As in the object store: who lives on this node has its connection until it ends.
void node_store::lose(process_id who, const std::string& cause) {
  const auto client = sim_.programs.find(who);
  if (client == sim_.programs.end() || client->second->node() != net_.id()) return end(who, cause);
  sim_.w.record(store_says, net_.id(), who, [&] {
    return "store of " + short_name(net_.id()) + " frees what " + short_name(who) +
           " owns: " + cause;
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
    return "store of " + short_name(net_.id()) + " loses " + short_name(who) + ": " + cause;
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
    return "store of " + short_name(net_.id()) + " cannot reach " + short_name(who) + ": " + why;
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
  say(e.id, [&] { return "is being made at " + std::to_string(e.offset / store_unit); });
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
    for (std::uint64_t part = from; part < to; part += store_unit) {
      file_[e.file_offset + part] = memory_.at((e.offset + part) / store_unit);
    }
  };
  const std::uint64_t half = e.size / store_unit / 2 * store_unit;
  copy(0, half);
  const bool fails = sim_.w.random.chance(0.02);
  sim_.watch.counted.spills += fails ? 0 : 1;
  after(sim_.w.random.skewed(100us, 20ms), [this, e, copy, half, fails] {
    copy(half, e.size);
    state_.spilled(sim_.w.now(), e.id, fails ? "no space left on device" : "");
    carry_out();
  });
}

void node_store::act(const net::restore_block& e) {
  say(e.id, [&] { return "is restored to " + units_of(e.offset, e.size); });
  const auto copy = [this, e](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t part = from; part < to; part += store_unit) {
      const auto at = file_.find(e.file_offset + part);
      memory_.at((e.offset + part) / store_unit) = at == file_.end() ? 0 : at->second;
    }
  };
  const std::uint64_t half = e.size / store_unit / 2 * store_unit;
  copy(0, half);
  after(sim_.w.random.skewed(100us, 20ms), [this, e, copy, half] {
    copy(half, e.size);
    state_.restored(e.id, "");
    carry_out();
  });
}

void node_store::act(const net::discard_file_block& e) {
  for (std::uint64_t part = 0; part < e.size; part += store_unit) file_.erase(e.file_offset + part);
}

}  // namespace troupe::sim
