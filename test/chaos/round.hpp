/// One round: a program works on the cluster, something is struck, and everything is checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test/chaos/rig.hpp"

namespace chaos {

enum class victim : std::uint8_t {
  nothing,      ///< the program ends by itself
  worker,       ///< SIGKILL of a worker process
  node,         ///< SIGKILL of a daemon
  frozen_node,  ///< SIGSTOP of a daemon past the deadline, then SIGCONT
  driver,       ///< SIGKILL of the program
  head,         ///< SIGKILL of the head, which is started again, now and then twice
  link,         ///< all connections of a worker, its daemon and the program are cut
};
inline constexpr victim victims[] = {victim::worker, victim::node, victim::frozen_node,
                                     victim::driver, victim::head, victim::link};
inline constexpr const char* phases[] = {"idle", "busy", "transferring", "spilling", "creating"};

const char* to_text(victim v);

struct cell {
  victim struck = victim::nothing;
  std::string phase = "idle";
};

struct outcome {
  std::vector<std::string> wrong;  ///< empty: all promises were kept
  std::optional<double> noticed;   ///< seconds from the strike
  std::optional<double> recovered;
  double settled = 0;          ///< seconds until nothing of the round was left
  std::uint64_t answered = 0;  ///< calls and tasks whose results were checked
  std::uint64_t lost = 0;      ///< values that nobody could make again
  std::string detail;          ///< what was struck
};

/// Plays it. `number` names its files and actors.
outcome play(rig& on, const cell& what, std::uint64_t number, std::uint64_t seed);

}  // namespace chaos
