/// A task that runs in a simulated process. For the parts of `program` alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "test/sim/program.hpp"

namespace troupe::sim {

/// The deepest of the tasks that others wait for.
inline constexpr std::uint64_t deepest = 3;

/// A task that this process runs for another.
struct program::running final : core::claimant {
  enum class phase : std::uint8_t { waiting, working, blocked, resuming };

  running(program& p, net::global_id k, std::shared_ptr<lease> l, const net::run_task& what)
      : in(p),
        key(k),
        attempt(static_cast<std::int32_t>(what.attempt)),
        under(std::move(l)),
        draw(what.function + what.attempt),
        depth(what.function & 0xfU) {}
  void granted() noexcept override { in.granted(*this); }

  program& in;
  const net::global_id key;
  const std::int32_t attempt;
  const std::shared_ptr<lease> under;
  rng draw;
  const std::uint64_t depth;
  phase state = phase::waiting;
  std::uint64_t step = 0;  ///< what was planned in an earlier one is void
  std::set<std::uint64_t> children;
  std::optional<value_order> order;
  std::uint64_t marker = 0;  ///< stands for the order among its children
  bool order_failed = false;
  bool has_begun = false;
  bool cancelled = false;
};

}  // namespace troupe::sim
