/// A simulated cluster: machines with a node daemon each, workers, drivers, faults, and the checks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/resources.hpp"
#include "test/sim/durable_store.hpp"
#include "test/sim/monitor.hpp"
#include "test/sim/network.hpp"
#include "test/sim/program.hpp"
#include "test/sim/world.hpp"

namespace troupe::sim {

struct settings {
  std::uint64_t seed = 1;
  std::size_t nodes = 0;  ///< 0: drawn from the seed
  duration busy{0};       ///< how long drivers submit and faults happen; 0: drawn from the seed
  bool faults = true;
  std::function<void(time, const std::string&)> trace{};
};

struct result {
  std::uint64_t seed = 0;
  std::optional<std::string> broken;  ///< the invariant, and what broke it
  std::uint64_t digest = 0;           ///< of the whole run
  std::uint64_t events = 0;
  duration virtual_time{0};
  std::size_t nodes = 0;
  network::statistics sent;
  monitor::statistics work;
  /// What was done to the cluster.
  struct {
    std::uint64_t workers_killed = 0;
    std::uint64_t drivers_killed = 0;
    std::uint64_t nodes_killed = 0;
    std::uint64_t heads_killed = 0;
    std::uint64_t partitions = 0;
  } faults;
};

/// Runs one seed from the start of the cluster until nothing is left of its drivers.
result run(const settings& wanted);

class daemon;
class head_process;

/// What the simulated processes see of the machines that they run on.
class simulation {
 public:
  simulation(const settings& wanted, result& out);
  ~simulation();
  void run();

  world w;
  network net;
  monitor watch;

  struct machine {
    std::size_t index = 0;
    core::resource_set total;
    std::unique_ptr<daemon> node;
    bool restarting = false;
  };
  /// On the first one is the head.
  std::vector<machine> machines;
  std::map<process_id, std::unique_ptr<program>> programs;  ///< drivers and workers that live

  net::peer head() const;
  /// What travels with tasks that make and read values, and with their replies.
  std::map<net::global_id, value_order> orders;
  std::map<std::pair<net::global_id, process_id>, net::stored_id> results;  ///< by task and worker
  std::uint64_t next_version() { return ++last_version_; }
  bool head_lives() const { return head_ != nullptr; }
  time head_began() const { return head_began_; }
  /// Calls `f` later, if the head still lives its life then.
  void after_in_head(duration wait, std::function<void()> f);
  /// The daemon of that node, if it lives.
  daemon* find_node(process_id node) const;
  /// Calls `f` later with the daemon of that node, if it still lives then.
  void after_in_node(duration wait, process_id node, std::function<void(daemon&)> f);
  /// At a step of the head where it may have been decided that it dies. True: it has.
  bool head_dies_now();
  std::string describe_actor(net::global_id actor, process_id watcher) const;
  process_id new_id() { return w.random.next() | 1U; }
  const net::process_id* find_worker(std::uint64_t token) const;

  // -- as the kernel does it ----------------------------------------------------------------------
  void start_worker(daemon& by, std::uint64_t token, net::job_id job);
  /// The process ends now; its node hears of it a little later.
  void end(program& which, const std::string& cause, bool in_order);
  /// A daemon has ended, or is killed; another one takes its place.
  void end(daemon& which);
  bool daemon_lives(process_id node) const { return net.lives(node); }
  /// Throws when a detached actor that lives needs the worker that its node ends now.
  void check_not_needed(process_id worker) const;

 private:
  void start_node(std::size_t index);
  void start_driver(std::size_t index, const std::vector<std::string>& puts_away);
  bool put_detached_away();
  void kill_head();
  void check_lives();
  void check_fences();
  void check_leases();
  bool is_needed(const program& worker, int depth = 0) const;
  void plan_faults();
  void fault();
  void check();
  void check_the_end();
  program* any(bool worker);
  bool any_driver() const;
  std::string describe_nodes() const;
  std::string describe_detached() const;

  const settings wanted_;
  result& out_;
  rng faults_;
  time busy_until_{};
  std::map<std::uint64_t, process_id> workers_;  ///< by token
  std::map<std::string, time> lives_twice_;      ///< since when
  std::map<process_id, time> unfenced_;          ///< nodes that are dead to the head, since when
  std::map<std::string, time> leaseless_;        ///< since when

  std::uint64_t last_version_ = 0;
  durable_store store_;
  process_id cluster_ = 0;
  std::unique_ptr<head_process> head_;
  std::uint64_t head_life_ = 0;
  std::uint64_t head_steps_left_ = 0;  ///< then it dies; 0: that is not planned
  bool heads_die_ = false;
  bool nodes_die_often_ = false;  ///< then more values have to be made again
  time head_began_{};
  std::vector<std::unique_ptr<program>> dead_programs_;
  std::vector<std::unique_ptr<daemon>> dead_daemons_;
  std::vector<std::unique_ptr<head_process>> dead_heads_;
};

template <class F>
void program::later(duration wait, F f) {
  sim_.w.after(wait, [&sim = sim_, self = id(), f = std::move(f)] {
    const auto at = sim.programs.find(self);
    if (at != sim.programs.end()) f(*at->second);
  });
}

}  // namespace troupe::sim
