/// The placement groups that a simulated program creates.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;
class program;

/// As `net/cluster_groups.cpp`.
class group_part {
 public:
  group_part(simulation& sim, program& in) : sim_(sim), in_(in) {}

  /// Creates a group, has tasks run in those that are created, or removes one.
  void work(rng& draw);
  /// Removes its own; detached ones stay.
  void remove_all();
  /// Finds a detached group again, and removes it.
  void put_away(const std::string& name);
  bool has_pending() const { return !open_.empty(); }
  std::string waits_for() const;
  void head_renewed();
  /// Its node is lost: nobody tells it anything any more.
  void cut_off();

  void on(process_id from, const net::group_reply& what);

 private:
  struct question {
    net::ask_group asked;
    std::string name;  ///< of a detached one
    bool put_away = false;
  };
  struct group {
    std::uint32_t bundles = 0;
    bool detached = false;
    bool created = false;
  };
  void create(rng& draw);
  void ask(question what);
  void remove(net::global_id id);

  simulation& sim_;
  program& in_;
  std::map<net::global_id, group> groups_;
  std::map<net::global_id, net::create_group> unconfirmed_;
  std::map<std::uint64_t, question> open_;
  std::deque<net::global_id> removed_;
  std::uint64_t last_request_ = 0;
};

}  // namespace troupe::sim
