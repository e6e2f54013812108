#include "test/sim/network.hpp"

#include <algorithm>
#include <iterator>

namespace troupe::sim {
// -- network --------------------------------------------------------------------------------------

int network::group(std::size_t machine) const {
  const auto found = groups_.find(machine);
  return found == groups_.end() ? 0 : found->second;
}

endpoint* network::find(process_id id) const {
  const auto found = living_.find(id);
  return found == living_.end() ? nullptr : found->second;
}

endpoint* network::find(process_id id, std::uint64_t instance) const {
  endpoint* const found = find(id);
  return found != nullptr && found->instance_ == instance ? found : nullptr;
}

net::peer network::peer_of(process_id id) const {
  const std::string host = "machine" + std::to_string(machine_of(id));
  const auto life = epochs_.find(id);
  return {id, host, "socket", host + ":1", life == epochs_.end() ? 0 : life->second};
}

duration network::delay(std::size_t from, std::size_t to) {
  const auto slowness = [this](std::size_t machine) {
    const auto found = slowness_.find(machine);
    return found == slowness_.end() ? 1.0 : found->second;
  };
  const duration base = from == to
                            ? world_.random.time(5us, 60us)
                            : world_.random.skewed(settings_.least_delay, settings_.most_delay);
  return duration(static_cast<std::int64_t>(static_cast<double>(base.count()) *
                                            std::max(slowness(from), slowness(to))));
}

void network::break_connection(std::uint64_t number, duration notice) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  const connection of = found->second;
  connections_.erase(found);
  ++counted.broken;
  world_.after(notice, [this, of, number] {
    if (endpoint* const sender = find(of.from)) sender->lost(of.to, number);
  });
}

void network::add(const std::shared_ptr<data_wire>& made) {
  std::erase_if(wires_, [](const auto& one) { return one.expired(); });
  wires_.push_back(made);
}

void network::break_one() {
  if (connections_.empty()) return;
  if (!wires_.empty() && world_.random.chance(0.2)) {
    if (const auto one = wires_[world_.random.below(wires_.size())].lock()) {
      ++counted.broken;
      // Half open, it is given up by who waits for what it owes.
      one->cut(world_.random.chance(0.3) ? world_.random.time(100ms, 40s)
                                         : world_.random.time(10us, 1ms));
      return;
    }
  }
  auto at = connections_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(world_.random.below(connections_.size())));
  // Half open for long, now and then: the sender's frames go nowhere, and nobody says so.
  const duration notice =
      world_.random.chance(0.3) ? world_.random.time(100ms, 8s) : world_.random.time(10us, 1ms);
  break_connection(at->first, notice);
}

void network::put_into_group(std::size_t machine, int of) {
  groups_[machine] = of;
  std::vector<std::uint64_t> cut;
  for (const auto& [number, one] : connections_) {
    if (!reachable(machine_of(one.from), machine_of(one.to))) cut.push_back(number);
  }
  for (const std::uint64_t number : cut) break_connection(number, world_.random.time(1ms, 6s));
  for (const auto& one : wires_) {
    const auto wire = one.lock();
    if (!wire || reachable(machine_of(wire->source), machine_of(wire->reader))) continue;
    wire->cut(world_.random.time(1ms, 40s));
  }
}

void network::heal() { groups_.clear(); }

}  // namespace troupe::sim
