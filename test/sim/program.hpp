/// A driver or worker of the simulation: owner and executor on the product's states, as the shells
/// of `net/` use them, and a program of random tasks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/ledger.hpp"
#include "net/lease_capacity.hpp"
#include "net/lease_request_state.hpp"
#include "net/task_flight_state.hpp"
#include "test/sim/actors.hpp"
#include "test/sim/groups.hpp"
#include "test/sim/network.hpp"
#include "test/sim/values.hpp"

namespace troupe::sim {

class simulation;

class program final : public receiver, public owner_home {
 public:
  program(simulation& sim, std::size_t machine, process_id id, process_id node,
          net::process_role role, std::uint64_t token);
  virtual ~program();
  void begin();

  process_id id() const noexcept override { return net_.id(); }
  std::size_t machine() const noexcept { return net_.machine(); }
  endpoint& net() noexcept { return net_; }
  bool is_worker() const noexcept { return role_ == net::process_role::worker; }
  std::uint64_t token() const noexcept { return token_; }
  process_id node() const noexcept { return node_; }

  void received(process_id from, const any_message& what) override;
  void unreachable(process_id peer, const std::string& why) override;
  void renewed(const net::peer& who) override;

  // -- for its actors -----------------------------------------------------------------------------
  actor_part& actors() noexcept { return actors_; }
  const actor_part& actors() const noexcept { return actors_; }
  process_id head() const noexcept override { return head_.id; }
  net::job_id job() const noexcept { return job_; }
  bool is_leaving() const noexcept { return leaving_; }
  /// A detached actor needs this worker, or has: what it asks for outlives its job.
  void outlive_job() noexcept { outlives_job_ = true; }
  bool outlives_job() const noexcept { return outlives_job_; }
  value_part& values() noexcept { return values_; }
  /// Submits a task that makes or reads a value; the attempts that it had before count.
  std::uint64_t submit_value(const value_order& what, std::int32_t max_retries,
                             std::int32_t attempt, rng& draw);
  std::uint64_t next_number() { return ++last_task_; }
  bool deliver(process_id to, any_message what) override { return net_.send(to, std::move(what)); }
  void learn(const net::peer& who) override { net_.learn(who); }
  /// Submits a task to a bundle of a placement group; -1: to any.
  void submit_in(net::global_id group, std::int32_t bundle, net::demand wanted, rng& draw);
  std::uint64_t ask_for_actor(std::uint64_t actor, net::request_lease wanted) override;
  void withdraw(std::uint64_t request) override;
  /// Calls `f(program)` later, if the process still lives then.
  template <class F>
  void later(duration wait, F f);

  /// It submits nothing more, and leaves when all that it waits for is there.
  void no_more_work() { may_submit_ = false; }
  /// It submits nothing, but finds these detached actors and ends them.
  void only_put_away(std::vector<std::string> names) {
    may_submit_ = false;
    put_away_ = std::move(names);
  }
  /// What it waits for, in words; empty when nothing.
  std::string waits_for() const;
  /// Where one task is, and what that one waits for in turn.
  std::string where_is(std::uint64_t number, int depth = 0) const;
  /// Throws when it waits for a process that has been dead for long.
  void check_nothing_waits_on_the_dead();

 private:
  struct running;

  // -- the owner ----------------------------------------------------------------------------------
  struct shape {
    net::demand wanted;
    bool isolated = false;
    bool spread = false;
    net::global_id group{};
    std::int32_t bundle = -1;
    auto operator<=>(const shape&) const = default;
  };
  struct line;
  struct task {
    std::uint64_t id = 0;
    std::uint64_t function = 0;
    line* home = nullptr;
    std::int32_t max_retries = 3;
    std::int32_t attempt = 0;
    bool cancelled = false;
    net::global_id parent;  ///< the task that waits for it, if one does
    time submitted{};
    net::stored_id result{};  ///< the value that it has made
  };
  using flight_state = net::task_flight_state<task*>;
  struct line : flight_state::line {
    shape what;
    std::deque<task*> waiting;
  };

  std::uint64_t submit(rng& draw, std::uint64_t depth, net::global_id parent);
  std::uint64_t submit(const shape& what, rng& draw, std::uint64_t depth, net::global_id parent);
  std::uint64_t submit(const shape& what, std::int32_t max_retries, std::int32_t attempt,
                       std::uint64_t function, net::global_id parent,
                       const value_order* order = nullptr);
  line& line_of(const shape& what);
  void pump(line& of);
  void send(const flight_state::departure& one);
  void watch_idle(flight_state::lease& of);
  void ask(line& of);
  void again(task& what, duration wait);
  void move_to_isolation(task& what);
  void end(task& what, bool failed, const char* why);
  void cancel(std::uint64_t id);
  void refuse(line& of);
  void requests_gone(process_id gone);

  void on(process_id from, const net::lease_granted& what);
  void on(process_id from, const net::lease_refused& what);
  void on(process_id from, const net::lease_redirected& what);
  void on(process_id from, const net::lease_revoked& what);
  void on(process_id from, const net::task_done& what);
  void on(process_id from, const net::task_returned& what);

  // -- the executor -------------------------------------------------------------------------------
  struct lease {
    std::unique_ptr<net::lease_capacity> capacity;
    core::shape_id whole = 0;
    core::shape_id cpus = 0;
  };
  void on(process_id from, const net::open_lease& what);
  void on(process_id from, const net::close_lease& what);
  void on(process_id from, const net::lease_resumed& what);
  void on(process_id from, const net::run_task& what);
  void on(process_id from, const net::cancel_task& what);
  void start(process_id from, const net::run_task& what, std::shared_ptr<lease> under);
  void granted(running& what);
  void proceed(running& what);
  void carry_out_order(running& what);
  void order_ended(net::global_id key, std::uint64_t marker, bool failed, net::stored_id made);
  void child_ended(net::global_id parent);
  void finish(running& what, bool failed);
  void stop(running& what);

  // -- the process --------------------------------------------------------------------------------
  void on(process_id from, const net::registered& what);
  void on(process_id from, const net::process_died& what);
  void on(process_id from, const net::end_process& what);
  void process_gone(process_id gone, const std::string& cause);
  void tell_head_again();
  bool send_request(const net::request_lease& what);
  void watch_node();
  void work();
  void leave();
  void exit_when_flushed(time deadline);

  simulation& sim_;
  endpoint net_;
  const net::process_role role_;
  const std::uint64_t token_;
  const process_id node_;
  net::peer head_;
  net::job_id job_ = 0;
  rng random_;
  bool registered_ = false;
  bool node_lost_ = false;
  bool leaving_ = false;
  bool outlives_job_ = false;
  bool may_submit_ = true;
  std::vector<std::string> put_away_;

  /// Who wants a lease: a line of tasks, or an actor.
  struct requester {
    line* of = nullptr;
    std::uint64_t actor = 0;
  };
  void refuse(const requester& who);
  std::uint64_t ask(net::request_lease wanted, requester who);

  net::lease_request_state<requester> requests_;
  actor_part actors_;
  group_part groups_;
  value_part values_;
  flight_state flights_;
  std::map<shape, std::unique_ptr<line>> lines_;
  std::map<std::uint64_t, std::unique_ptr<task>> tasks_;  ///< that have not ended
  std::uint64_t last_task_ = 0;

  std::map<net::lease_id, std::shared_ptr<lease>> leases_;
  std::map<net::lease_id, std::vector<std::pair<process_id, net::run_task>>> early_;
  std::map<net::global_id, std::unique_ptr<running>> running_;
  std::vector<std::unique_ptr<running>> finished_;  ///< may still be on the stack
  std::map<process_id, time> dead_;                 ///< that it waits for, and since when
};

}  // namespace troupe::sim
