/// Watches a simulation from outside: what was submitted, what ran, and what must never be.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

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
    std::uint64_t lives = 0;    ///< of actors
    std::uint64_t calls = 0;    ///< that ran
    std::uint64_t adopted = 0;  ///< detached actors
    std::uint64_t groups = 0;   ///< detached placement groups
    std::uint64_t reads = 0;    ///< of large values
    std::uint64_t unread = 0;   ///< reads that failed
    std::uint64_t pulls = 0;
    std::uint64_t by_data = 0;  ///< chunks that were sent by data connections
    std::uint64_t spills = 0;
    std::uint64_t rebuilt = 0;
    std::uint64_t lost = 0;       ///< that could not be made again
    std::uint64_t recovered = 0;  ///< nodes that came back to a head that was started again
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

  // -- processes ----------------------------------------------------------------------------------
  /// Others are told that it is dead; it may live on for a while, ending or cut off.
  void declared_dead(net::process_id id) { declared_dead_.insert(id); }
  bool is_declared_dead(net::process_id id) const { return declared_dead_.contains(id); }

  // -- actors -------------------------------------------------------------------------------------
  /// Its constructor has run.
  void actor_lives(net::global_id id, std::uint32_t life);
  /// Its creator was told that the head has taken a detached actor.
  void adopted(net::global_id id, const std::string& name);
  /// Somebody wants its end.
  void end_ordered(net::global_id id) { detached_[id].ordered = true; }
  /// The head holds it for over. `may_fail`: its life or its constructor failed for the last time.
  void buried(net::global_id id, bool may_fail, const std::string& why);
  /// The head does not know the name.
  void not_found(const std::string& name) const;
  /// What was promised and must still be there.
  std::size_t promised() const;

  // -- values -------------------------------------------------------------------------------------
  /// A task runs that makes it, in whatever attempt.
  void maker_runs(std::uint64_t version, std::int32_t max_retries, net::global_id task,
                  std::int32_t attempt);
  /// That attempt died with its worker, and its owner took it for one that had not begun: it had
  /// been sent behind another task, which may have blocked meanwhile.
  void attempt_not_counted(net::global_id task, std::int32_t attempt);

  // -- detached placement groups ------------------------------------------------------------------
  void group_promised(net::global_id id, const std::string& name);
  void group_removed(net::global_id id) { groups_.erase(id); }
  void group_not_found(const std::string& name) const;

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
  std::set<net::process_id> declared_dead_;

  struct detached {
    std::string name;  ///< when its creator knows that it is there
    bool ordered = false;
    bool over = false;
  };
  std::map<net::global_id, detached> detached_;
  std::set<std::pair<net::global_id, std::uint32_t>> lives_;
  std::map<net::global_id, std::string> groups_;
  std::map<std::uint64_t, std::int32_t> maker_runs_;                                 ///< by version
  std::map<std::pair<net::global_id, std::int32_t>, std::uint64_t> maker_attempts_;  ///< that ran
};

}  // namespace troupe::sim
