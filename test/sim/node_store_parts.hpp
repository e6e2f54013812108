/// What the files of `node_store` share.
#pragma once

#include <cstdint>
#include <string>

#include "net/block_allocator.hpp"
#include "test/sim/node_store.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {

inline constexpr std::uint64_t store_unit = net::block_allocator::unit;
inline constexpr std::uint64_t store_chunk = 3 * store_unit;

enum store_record : std::uint64_t { store_says = 160 };

inline std::string short_name(process_id id) { return std::to_string(id % 1'000'000); }
inline std::string units_of(std::uint64_t offset, std::uint64_t size) {
  return std::to_string(offset / store_unit) + "+" +
         std::to_string((size + store_unit - 1) / store_unit);
}

template <class Text>
void node_store::say(net::stored_id id, Text&& text) {
  sim_.w.record(store_says, net_.id(), id.local, [&] {
    return "store of " + short_name(net_.id()) + ": value " + std::to_string(id.local) + " of " +
           short_name(id.owner) + " " + text();
  });
}

}  // namespace troupe::sim
