/// Watches a simulation from outside: what was submitted, what ran, and what must never be.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "net/ids.hpp"
#include "net/node_state.hpp"
#include "test/sim/world.hpp"

namespace troupe::sim {

class monitor {
 public:
  struct statistics {
    std::uint64_t tasks = 0;
    std::uint64_t executions = 0;
    std::uint64_t values = 0;
    std::uint64_t errors = 0;
    std::uint64_t leases = 0;
    std::uint64_t lives = 0;  ///< of actors
    std::uint64_t calls = 0;  ///< that ran
  };

  /// A task or call was submitted by `id.owner`.
  void submitted(net::global_id id, std::int32_t max_retries) {
    ++counted.tasks;
    calls_[id] = {max_retries, 0, false};
  }
  /// It runs.
  void began(net::global_id id) {
    ++counted.executions;
    const auto at = calls_.find(id);
    if (at == calls_.end()) throw violation("a task or call runs that nobody submitted");
    call& of = at->second;
    if (++of.executions > 1 && of.max_retries == 0) {
      throw violation("a task or call ran twice, and its owner allowed no retries: " + name(id));
    }
  }
  /// Its owner has its value or its error.
  void ended(net::global_id id, bool failed) {
    ++(failed ? counted.errors : counted.values);
    call& of = calls_.at(id);
    if (of.ended) throw violation("a ref ended twice: " + name(id));
    if (!failed && of.executions == 0) {
      throw violation("a ref has a value of a task that never ran: " + name(id));
    }
    of.ended = true;
  }

  /// What a node gave away is what it has.
  static void check_resources(const net::node_state& node);

  statistics counted;

 private:
  struct call {
    std::int32_t max_retries = 0;
    std::uint32_t executions = 0;
    bool ended = false;
  };
  static std::string name(net::global_id id) {
    return std::to_string(id.local) + " of process " + std::to_string(id.owner % 1'000'000);
  }
  std::unordered_map<net::global_id, call> calls_;
};

}  // namespace troupe::sim
