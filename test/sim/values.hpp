/// The large values of a simulated process: those that it owns, and those that it reads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "net/rebuild_state.hpp"
#include "test/sim/network.hpp"
#include "test/sim/node_store.hpp"

namespace troupe::sim {

class simulation;
class program;

inline std::string value_name(net::stored_id id) {
  return "value " + std::to_string(id.local) + " of node " + std::to_string(id.owner % 1'000'000);
}

/// What a task makes or reads; it travels with the task.
struct value_order {
  bool reads = false;  ///< else it makes it
  std::uint64_t version = 0;
  std::uint64_t size = 0;
  net::stored_id id;               ///< when it reads
  process_id keeper = 0;           ///< the owner
  std::int32_t most = 0;           ///< retries of the task that makes it
  std::vector<value_order> needs;  ///< its arguments: values that are read while it is made
};

/// Owners do what `net/value_rebuilder.cpp`, `net/value_origin.cpp` and `net/lineage.cpp` do, on
/// `rebuild_state`.
class value_part {
 public:
  value_part(simulation& sim, program& in);

  /// Puts a value, has a task make one, has one read, or drops one, as the numbers say.
  void work(rng& draw);
  bool has_pending() const { return reading_ > 0 || putting_ > 0 || holding_ > 0; }
  std::string waits_for() const;
  void end_all();
  void process_gone(process_id gone);

  // -- of the owner
  void task_ended(std::uint64_t task, bool failed, std::int32_t attempt, net::stored_id result);
  void on(process_id from, const net::rebuild_value& what);
  // -- of who reads or makes
  void on(process_id from, const net::value_rebuilt& what);
  /// `done(program, value)`; the value has no owner when it could not be made.
  void make(const value_order& what, std::function<void(program&, net::stored_id)> done);
  /// `done(program, succeeded)`.
  using read_done = std::function<void(program&, bool)>;
  void read(const value_order& what, read_done done);

 private:
  enum class phase : std::uint8_t { being_made, ready, failed };
  struct object {
    std::uint64_t version = 0;
    std::uint64_t size = 0;
    std::int32_t most = 0;
    bool by_task = false;
    phase state = phase::being_made;
    net::stored_id first;
    net::stored_id now;
    std::int32_t attempt = 0;
    std::size_t readers = 0;
    bool rebuilding = false;
    std::vector<std::uint64_t> arguments;  ///< versions of what its task reads
    bool keeps_arguments = false;          ///< to run its task again
    bool wanted = true;                    ///< the program has its ref
    std::size_t handles = 1;   ///< the program's, and of tasks that read it: then it is not freed
    std::size_t lineages = 0;  ///< of values that are made from it: then it can be made again
    bool freed = false;        ///< where it lay last
  };
  struct read_task {
    std::uint64_t version = 0;
  };
  /// Null: it cannot be read. It is pinned until it is let go of.
  using held = std::function<void(program&, const node_store::answer*)>;
  struct question {
    process_id keeper = 0;
    std::vector<std::pair<value_order, held>> asked;
  };

  node_store* store() const;
  void put(rng& draw);
  void maker_ended(object& of, bool failed, std::int32_t attempt, net::stored_id result);
  void run_maker(object& of, std::int32_t attempt, rng& draw);
  void read_by_task(object& of, rng& draw);
  void read_here(object& of);
  void drop(std::uint64_t version);
  void release(std::uint64_t version);
  void erase_if_unused(std::uint64_t version);
  void free_place(object& of);
  void lost(process_id who, net::stored_id value);
  void answer(const net::rebuild_state::asked& to, const object* now);
  object* find(net::stored_id id);
  void hold(const value_order& what, held done);
  void let_go(const std::vector<node_store::answer>& all);
  void write(const value_order& what, std::function<void(program&, net::stored_id)> done);
  void make_from(const value_order& what, std::vector<node_store::answer> arguments,
                 std::function<void(program&, net::stored_id)> done);
  void check(const value_order& what, const node_store::answer& at) const;

  simulation& sim_;
  program& in_;
  net::rebuild_state known_{1'000'000};
  std::map<std::uint64_t, object> objects_;         ///< by version
  std::map<std::uint64_t, std::uint64_t> makers_;   ///< version by task
  std::map<std::uint64_t, std::uint64_t> readers_;  ///< likewise
  std::map<net::stored_id, question> questions_;
  rng random_;
  std::size_t reading_ = 0;
  std::size_t putting_ = 0;
  std::size_t holding_ = 0;  ///< values that it waits for, to read them
};

}  // namespace troupe::sim
