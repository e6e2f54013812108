#include "test/sim/data_connections.hpp"

#include <algorithm>

#include "test/sim/daemon.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::uint64_t unit = net::block_allocator::unit;
constexpr duration connect_within = 5s;
constexpr duration offered_for = 10s;

}  // namespace

data_connections::data_connections(simulation& sim, endpoint& net, memory& of, events tell)
    : sim_(sim),
      net_(net),
      memory_(of),
      tell_(std::move(tell)),
      has_port_(sim.w.random.chance(0.85)) {}

data_connections::~data_connections() {
  for (const auto& [reader, of] : channels_) of.wire->cut(100us);
  for (const auto& [number, of] : connections_) {
    if (of.wire != nullptr) of.wire->cut(100us);
  }
}

/// Later, if the node's daemon still lives then.
void data_connections::later(duration wait, std::function<void()> f) {
  sim_.after_in_node(wait, net_.id(), [f = std::move(f)](daemon&) { f(); });
}

duration data_connections::delay_to(process_id other) {
  return sim_.net.delay(net_.machine(), sim_.net.machine_of(other));
}

// -- as the source --------------------------------------------------------------------------------

std::optional<std::uint64_t> data_connections::offer_to(process_id reader) {
  if (!has_port_) return std::nullopt;
  close_to(reader);
  const std::uint64_t number = sim_.w.random.next();
  offers_[number] = {reader, sim_.w.now() + offered_for};
  return number;
}

std::shared_ptr<data_wire> data_connections::admit(process_id reader, std::uint64_t number) {
  const auto offered = offers_.find(number);
  if (offered == offers_.end() || offered->second.reader != reader ||
      sim_.w.now() >= offered->second.until) {
    return nullptr;
  }
  close_to(reader);
  auto wire = std::make_shared<data_wire>();
  wire->number = number;
  wire->source = net_.id();
  wire->reader = reader;
  wire->told = [&sim = sim_, source = net_.id(), reader, number](duration notice) {
    sim.after_in_node(notice, reader, [number](daemon& of) {
      of.store().data().lose(number, "the other side has closed it");
    });
    sim.after_in_node(notice, source,
                      [reader, number](daemon& of) { of.store().data().forget(reader, number); });
  };
  channels_[reader] = {wire, sim_.w.now()};
  sim_.net.add(wire);
  return wire;
}

bool data_connections::send(process_id reader, const net::pull_chunk& what, std::uint64_t at,
                            std::function<void()> taken) {
  const auto of = channels_.find(reader);
  if (of == channels_.end() || of->second.wire->number != what.channel) return false;
  of->second.departs = std::max(of->second.departs, sim_.w.now()) + sim_.w.random.time(5us, 60us);
  later(of->second.departs - sim_.w.now(),
        [this, wire = of->second.wire, what, at, taken = std::move(taken)] {
          const auto begin = memory_.begin() + static_cast<std::ptrdiff_t>(at / unit);
          frame made{what.request,
                     {net_.id(), what.value, what.offset, what.size},
                     {begin, begin + static_cast<std::ptrdiff_t>(what.size / unit)}};
          taken();
          transmit(wire, std::move(made));
        });
  return true;
}

void data_connections::transmit(const std::shared_ptr<data_wire>& by, frame what) {
  if (!by->whole) return;
  ++sim_.watch.counted.by_data;
  const auto begins = std::max(by->clear, sim_.w.now() + delay_to(by->reader));
  by->clear = begins + sim_.w.random.time(5us, 500us);
  const auto shared = std::make_shared<const frame>(std::move(what));
  const auto at_reader = [&](time when, void (data_connections::*f)(std::uint64_t, const frame&)) {
    sim_.after_in_node(when - sim_.w.now(), by->reader, [by, shared, f](daemon& of) {
      if (by->whole) (of.store().data().*f)(by->number, *shared);
    });
  };
  at_reader(begins, &data_connections::begin);
  at_reader(by->clear, &data_connections::finish);
}

/// The connection to that reader does not stand any more.
void data_connections::forget(process_id reader, std::uint64_t number) {
  const auto at = channels_.find(reader);
  if (at != channels_.end() && at->second.wire->number == number) channels_.erase(at);
}

void data_connections::close_to(process_id reader) {
  std::erase_if(offers_, [reader](const auto& entry) { return entry.second.reader == reader; });
  const auto at = channels_.find(reader);
  if (at == channels_.end()) return;
  at->second.wire->cut(sim_.w.random.time(20us, 2ms));
  channels_.erase(at);
}

// -- as the reader --------------------------------------------------------------------------------

void data_connections::connect(process_id source, std::uint64_t number) {
  if (!connections_.try_emplace(number).second) return;
  later(delay_to(source), [this, source, number] { reach_source(source, number); });
}

void data_connections::reach_source(process_id source, std::uint64_t number) {
  const auto fail = [&](duration wait, const std::string& why) {
    later(wait, [this, number, why] { lose(number, why); });
  };
  if (!sim_.net.reachable(net_.machine(), sim_.net.machine_of(source))) {
    return fail(connect_within, "nothing answers");
  }
  const duration back = delay_to(source);
  daemon* const node = sim_.find_node(source);
  if (node == nullptr) return fail(back, "connection refused");
  const auto wire = node->store().data().admit(net_.id(), number);
  if (wire == nullptr) return fail(back, "it answers nothing");
  later(back, [this, wire] {
    const auto at = connections_.find(wire->number);
    if (at == connections_.end()) return wire->cut(100us);  // it was closed meanwhile
    if (!wire->whole) return lose(wire->number, "it answers nothing");
    at->second.wire = wire;
    tell_.opened(wire->number);
  });
}

void data_connections::lose(std::uint64_t number, const std::string& why) {
  if (connections_.erase(number) != 0) tell_.lost(number, why);
}

void data_connections::close(std::uint64_t number) {
  const auto at = connections_.find(number);
  if (at == connections_.end()) return;
  const auto wire = at->second.wire;
  connections_.erase(at);
  if (wire != nullptr) wire->cut(sim_.w.random.time(20us, 2ms));
}

void data_connections::expect(std::uint64_t number, std::uint64_t request, const chunk& what,
                              std::uint64_t at) {
  const auto of = connections_.find(number);
  if (of != connections_.end()) of->second.landings[request] = {what, at};
}

template <class Chosen>
void data_connections::revoke_if(Chosen&& chosen) {
  for (auto& [number, of] : connections_) {
    std::erase_if(of.landings, [&](const auto& entry) { return chosen(entry.second.what); });
  }
}
void data_connections::revoke(net::stored_id id) {
  revoke_if([id](const chunk& what) { return what.id == id; });
}
void data_connections::revoke(net::stored_id id, std::uint64_t offset) {
  revoke_if([=](const chunk& what) { return what.id == id && what.offset == offset; });
}

std::uint64_t data_connections::carried(std::uint64_t number) const {
  const auto at = connections_.find(number);
  return at == connections_.end() || at->second.wire == nullptr ? 0 : at->second.wire->carried;
}

data_connections::landing* data_connections::find_landing(std::uint64_t number, const frame& what) {
  const auto of = connections_.find(number);
  if (of == connections_.end()) return nullptr;
  const auto at = of->second.landings.find(what.request);
  if (at == of->second.landings.end()) return nullptr;
  const chunk& wanted = at->second.what;
  const bool fits = wanted.id == what.what.id && wanted.offset == what.what.offset &&
                    wanted.size == what.what.size;
  return fits ? &at->second : nullptr;
}

void data_connections::write(const landing& into, const frame& what, std::size_t from,
                             std::size_t to) {
  for (std::size_t i = from; i < to; ++i) memory_.at(into.at / unit + i) = what.marks.at(i);
}

/// The first half of a chunk is written now, the second when it is whole: it may be revoked
/// between them.
void data_connections::begin(std::uint64_t number, const frame& what) {
  if (const auto of = connections_.find(number); of != connections_.end() && of->second.wire) {
    of->second.wire->carried += what.what.size;
  }
  if (const landing* const into = find_landing(number, what)) {
    write(*into, what, 0, what.marks.size() / 2);
  }
}
void data_connections::finish(std::uint64_t number, const frame& what) {
  const landing* const into = find_landing(number, what);
  if (into == nullptr) return;
  write(*into, what, what.marks.size() / 2, what.marks.size());
  connections_.at(number).landings.erase(what.request);
  later(sim_.w.random.time(5us, 60us), [this, request = what.request] { tell_.arrived(request); });
}

}  // namespace troupe::sim
