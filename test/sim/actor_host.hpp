/// The actors that live in a simulated process.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;
class program;

/// Keeps the rules of `net/actor_host.cpp`.
class actor_host {
 public:
  actor_host(simulation& sim, program& in) : sim_(sim), in_(in) {}

  void on(process_id from, const net::create_actor& what);
  void on(process_id from, const net::call_actor& what);
  void on(process_id from, const net::end_actor& what);
  void process_gone(process_id gone);
  void owner_renewed(process_id owner);
  void end_all() { hosted_.clear(); }

  struct hosted {
    std::uint32_t incarnation = 0;
    std::string name;
    bool ready = false;
    bool busy = false;
    std::vector<std::pair<process_id, std::uint64_t>> mail;
    std::map<process_id, std::uint64_t> last;  ///< call that ran, by caller
    std::vector<net::global_id> has;           ///< actors of its own
  };
  const std::map<net::global_id, hosted>& all() const noexcept { return hosted_; }

 private:
  bool knows(process_id from, const net::create_actor& what);
  void constructed(process_id owner, net::global_id id, std::uint32_t life, bool throws);
  void tell_of_end(net::global_id actor, std::uint32_t life, std::uint8_t reason);
  void run_next(net::global_id actor);
  void erase(std::map<net::global_id, hosted>::iterator which);

  simulation& sim_;
  program& in_;
  std::map<net::global_id, hosted> hosted_;
  std::deque<net::actor_ended> ended_;  ///< of those that the head owns, which may be told again
};

}  // namespace troupe::sim
