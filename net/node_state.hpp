/// Decides for one node: who gets a lease, which worker processes live, and what ends with whom.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/log_level.hpp>

#include "core/gpu_ids.hpp"
#include "core/ledger_state.hpp"
#include "core/resources.hpp"
#include "net/bounded_set.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/placement.hpp"

namespace troupe::net {

struct node_settings {
  peer self;
  peer head;  ///< equal to `self` on the head
  std::string name;
  std::string session_dir;
  std::string store_socket;  ///< empty: there is no object store
  core::resource_set total;
  std::vector<std::pair<std::string, std::string>> labels;

  std::chrono::milliseconds idle_after{60'000};  ///< then a worker without lease ends
  /// What was sent on to a node counts as taken there for so long, unless the head tells sooner.
  std::chrono::milliseconds sent_on_counts{1'000};
  std::chrono::milliseconds register_within{60'000};   ///< then a worker that was started is ended
  std::chrono::milliseconds job_grace{10'000};         ///< of workers when their job has ended
  std::chrono::milliseconds lease_grace{10'000};       ///< of an isolated worker without its lease
  std::chrono::milliseconds stop_grace{5'000};         ///< of all when the node ends
  std::chrono::milliseconds unknown_job_wait{10'000};  ///< a request may be ahead of its job's news
  std::uint32_t start_attempts = 3;
};

// What the shell shall do, in order.
using node_message =
    std::variant<registered, process_died, end_process, lease_granted, lease_refused,
                 lease_redirected, open_lease, close_lease, lease_resumed, lease_revoked,
                 job_started, job_ended, process_joined, node_report, bundles_prepared,
                 bundles_dropped, ask_view>;
struct send_from_node {
  process_id to = 0;
  node_message what;
};
struct start_worker {
  std::uint64_t token = 0;
  job_id job = 0;
  peer driver;
  std::shared_ptr<const register_process> program;
  std::optional<std::vector<std::uint32_t>> gpus;  ///< of an isolated worker: all that it may see
  env_spec surroundings;
};
/// With all that it started.
struct kill_worker {
  std::uint64_t token = 0;
};
/// A driver's end shall be told by `process_gone`.
struct watch_driver {
  process_id process = 0;
  std::int64_t pid = 0;  ///< on this machine; 0: only its link can tell
};
/// The endpoint shall refuse what still comes from it.
struct forget_process {
  process_id process = 0;
};
struct say {
  log_level level = log_level::info;
  std::string text;
};
using node_effect =
    std::variant<send_from_node, start_worker, kill_worker, watch_driver, forget_process, say>;

/// A state machine without threads, clocks, sockets and logging; thread-compatible.
///
/// Each event appends effects, which `take_effects` hands out. Times only grow.
class node_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit node_state(node_settings settings);
  ~node_state();
  node_state(const node_state&) = delete;
  node_state& operator=(const node_state&) = delete;

  std::vector<node_effect> take_effects() { return std::exchange(effects_, {}); }

  // -- messages; `from` is their sender -----------------------------------------------------------
  void received(time now, const peer& from, register_process what);
  void received(time now, process_id from, goodbye what);
  void received(time now, process_id from, request_lease what);
  void received(time now, process_id from, cancel_request what);
  void received(time now, process_id from, return_lease what);
  void received(time now, process_id from, suspend_lease what);
  void received(time now, process_id from, resume_lease what);
  /// From the head, as are those below.
  void received(time now, process_id from, job_started what);
  void received(time now, process_id from, job_ended what);
  void received(time now, process_id from, process_died what);
  void received(time now, process_id from, cluster_view what);
  /// The answer to a node that returned: what is not in it has ended while the head was away.
  void received(time now, process_id from, const joined& what);
  void received(time now, process_id from, prepare_bundles what);
  void received(time now, process_id from, commit_bundles what);
  void received(time now, process_id from, drop_bundles what);

  // -- what the shell sees ------------------------------------------------------------------------
  /// A worker's process has ended, or could not be started. `cause`: "signal 9 (Killed)";
  /// `last_lines`: what it printed last.
  void worker_exited(time now, std::uint64_t token, const std::string& cause, bool in_order,
                     const std::string& last_lines);
  /// What the worker needs is there, and its process begins.
  void worker_begins(time now, std::uint64_t token);
  /// It cannot be started, now and when it is tried again: what waits for it fails.
  void worker_impossible(time now, std::uint64_t token, const std::string& why);
  /// A process cannot be reached any more, or a driver that is watched has ended.
  void process_gone(time now, process_id who, const std::string& cause);
  /// To be called every 100 ms or so.
  void tick(time now);
  /// Refuses everything from now on and ends the workers.
  void shut_down(time now);
  /// Tells all that this node is gone: the last word.
  void say_goodbye();

  /// The head was started again and knows nothing of what was on its way: what it had asked for is
  /// given up. Then it is to be sent `describe`, and what `say_again` sends.
  void head_renewed(time now, const peer& head);
  void say_again();

  // -- asked --------------------------------------------------------------------------------------
  node_report report() const;
  /// What a node that returns to its head tells, without what stays the same.
  join_cluster describe() const;
  /// Changes when `report` does.
  std::uint64_t report_version() const { return report_version_; }
  /// Of worker processes that have not ended.
  std::size_t workers() const { return workers_.size(); }
  std::size_t leases() const { return leases_.size(); }
  /// Of bundles of placement groups, prepared or committed.
  std::size_t reservations() const { return reservations_.size(); }
  const node_settings& settings() const { return settings_; }
  /// The driver that a worker's lines go to, if it is there.
  process_id driver_of(std::uint64_t token) const;
  /// What the workers of a job run, and its driver, as long as the job is known.
  std::optional<std::pair<std::shared_ptr<const register_process>, peer>> program_of_job(
      job_id id) const;
  /// The name of the program that a worker runs, without its folder.
  std::string program_of(std::uint64_t token) const;
  bool is_registered(process_id who) const { return processes_.count(who) != 0; }
  /// What has resources of this node: leases, requests that wait for a worker, and bundles.
  struct holding {
    lease_id lease = 0;    ///< 0: a request, or bundles
    std::size_t pool = 0;  ///< whose they are: an index of `pools()`
    process_id owner = 0;
    core::resource_set wanted;  ///< without CPUs while suspended
    std::vector<core::gpu_share> gpus;
  };
  std::vector<holding> holdings() const;
  /// The node's own resources, and those of each reservation.
  struct pool_use {
    core::resource_set total;
    core::resource_set available;
  };
  std::vector<pool_use> pools() const;
  core::resource_set available() const { return own_.ledger.available(); }
  std::size_t requests() const { return requests_.size(); }

 private:
  using ticket = core::ticket;

  struct job {
    job_id id = 0;
    peer driver;
    std::shared_ptr<const register_process> program;
    bool driver_here = false;
    bool ended = false;
    struct shared {
      std::uint64_t token = 0;          ///< 0: none
      std::uint32_t failed_starts = 0;  ///< in a row
    };
    std::map<std::string, shared> shared_workers;  ///< by the id of their environment
    std::uint32_t workers = 0;
  };

  struct worker {
    enum class phase : std::uint8_t { starting, ready, ending };
    std::uint64_t token = 0;
    job_id job = 0;
    bool isolated = false;
    env_spec surroundings;
    phase state = phase::starting;
    peer at;  ///< when it has registered
    std::set<lease_id> leases;
    std::deque<ticket> waiting;  ///< have their resources; while `starting`
    time register_by{};          ///< while `starting`
    time idle_since{};
    std::optional<time> kill_at;
  };

  /// Resources that leases come out of: the node's own, or those of a placement group's bundles.
  struct pool {
    pool(const core::resource_set& total, core::gpu_ids ids)
        : ledger(total), gpus(std::move(ids)) {}
    core::ledger_state ledger;
    core::gpu_ids gpus;
    std::deque<ticket> lacking_gpu_ids;  ///< oldest first
  };
  /// Bundles of one group that were prepared together. Beside the amount of each resource its pool
  /// has that of each bundle: a demand of {CPU: 1} for bundle 2 is one for CPU and for CPU of
  /// bundle 2 there.
  struct reservation {
    reservation(const core::resource_set& total, core::gpu_ids ids)
        : resources(total, std::move(ids)) {}
    pool resources;
    core::resource_set amount;          ///< all of it, in the node's ledger
    core::shape_id shape = 0;           ///< of that
    std::vector<core::gpu_share> gpus;  ///< of the node
    std::vector<std::uint32_t> bundles;
    bool committed = false;
    bool alone = false;  ///< the group has bundles on this node only
  };

  enum class request_phase : std::uint8_t {
    unknown_job,    ///< waits for news of its job
    infeasible,     ///< waits for a node that can give it
    queued,         ///< in the ledger
    lacks_gpu_ids,  ///< what it needs is free, but the free parts of GPUs do not lie together
    lacks_worker,   ///< has everything but a worker that has registered
  };
  struct request {
    ticket id = 0;
    process_id owner = 0;
    request_lease asked;
    core::resource_set wanted;  ///< as `in` counts it
    pool* in = nullptr;
    core::shape_id shape = 0;
    request_phase phase = request_phase::unknown_job;
    core::gpu_share gpus;
    std::uint64_t worker = 0;         ///< when `lacks_worker`
    std::uint32_t failed_starts = 0;  ///< of an isolated worker for it
    time give_up{};                   ///< when `unknown_job`
    std::uint64_t needs_view = 0;     ///< is not refused by an older one
  };

  struct lease {
    lease_id id = 0;
    process_id owner = 0;
    process_id home = 0;  ///< the owner's node
    std::uint64_t worker = 0;
    pool* in = nullptr;
    core::shape_id shape = 0;
    core::resource_set wanted;
    core::gpu_share gpus;
    bool for_actor = false;
    bool outlives_job = false;
    bool unconfirmed = false;  ///< by the head that was started again
    bool suspended = false;
    ticket resuming = 0;  ///< waits in the ledger; 0: does not
  };

  struct process {
    process_role role{};
    peer at;
    std::uint64_t token = 0;  ///< of a worker
    job_id job = 0;           ///< 0: a driver whose job the head has not dealt yet
    std::shared_ptr<const register_process> program;  ///< of such a driver
  };

  // -- node_state.cpp: processes, jobs, workers
  void register_driver(const peer& from, register_process what);
  void register_worker(time now, const peer& from, const register_process& what);
  void refuse_process(process_id to, std::string why);
  void greet(const process& who);
  void leave(time now, process_id who, const std::string& cause, bool clean);
  void announce_death(process_id who, const std::string& cause, bool clean);
  /// The worker of the job that is shared in that environment.
  worker& start_shared(time now, job& of, const env_spec& surroundings);
  worker& start(time now, job& of, const env_spec& surroundings, const request* isolated_for);
  void start_failed(time now, worker gone, const std::string& text, bool for_good);
  worker take_out(std::uint64_t token);
  void retire(time now, worker& which, std::optional<std::chrono::milliseconds> grace);
  void detach(worker& which);
  bool outlives_job(const worker& which) const;
  void became_idle(time now, worker& which);
  void forget_old_jobs();

  // -- node_leases.cpp: requests and leases
  void decide(time now, request& which);
  void queue(request& which);
  void warn_infeasible(const request& which, const std::string& why);
  void retry_placements(time now);
  void spill_back();
  void remember_dead(const process_died& news);
  void forget_sent_on();
  void look_after_sent_on(time now);
  void serve(time now);
  void begin(time now, request& which);
  void assign_worker(time now, request& which);
  void grant(time now, request& which, worker& on);
  void refuse(request& which, refusal why, std::string text);
  void redirect(request& which, process_id node);
  /// Takes it out of wherever it waits; the resources it has are free again.
  void drop(request& which);
  void erase(request& which);
  void end_lease(time now, lease_id id, bool tell_worker);
  core::shape_id cpu_part(const lease& of);
  core::shape_id other_part(const lease& of);
  void end_all_of(time now, process_id owner);

  // -- node_groups.cpp: bundles of placement groups
  bool reserve(const prepare_bundles& what);
  void free_reservation(time now, reservation& gone, const std::string& why);
  void decide_in_group(request& which);
  void back_to_control(request& which);
  void bounce_group_requests();

  worker* find_worker(std::uint64_t token);
  job* find_job(job_id id);
  lease* find_lease(lease_id id);
  placement_request to_placement(const request& which) const;
  /// The view with what is free here now.
  const std::vector<placement_node>& nodes();
  placement_node& self_in_view();
  bool view_is_new_enough(request& which);
  void ask_for_view();

  void send(process_id to, node_message what);
  void note(log_level level, std::string text);
  void changed() { ++report_version_; }

  node_settings settings_;
  pool own_;
  std::map<std::pair<global_id, std::uint64_t>, reservation> reservations_;  ///< and the attempt
  std::vector<node_effect> effects_;
  std::uint64_t report_version_ = 1;
  bool ending_ = false;

  std::unordered_map<process_id, process> processes_;  ///< registered here
  std::map<job_id, job> jobs_;
  std::deque<job_id> ended_jobs_;  ///< oldest first; those without workers are forgotten in time
  bounded_set<process_id> dead_;
  std::deque<process_died> obituaries_;  ///< the last ones, for processes that begin
  std::deque<process_died> own_dead_;    ///< the last that had registered here
  bounded_set<process_id> left_early_;   ///< drivers that went before their job was dealt
  std::map<std::uint64_t, worker> workers_;
  std::uint64_t next_token_;

  std::map<ticket, request> requests_;  ///< all that wait; older have smaller tickets
  std::map<std::pair<process_id, std::uint64_t>, ticket> by_owner_;
  std::unordered_map<ticket, lease_id> resumes_;
  std::size_t without_job_ = 0;  ///< requests whose job is not known yet
  ticket next_ticket_ = 1;
  std::unordered_map<lease_id, lease> leases_;
  lease_id next_lease_ = 1;
  std::vector<ticket> granted_;  ///< by the ledgers, to be served
  std::set<pool*> gpu_ids_freed_;
  bounded_set<std::string> warned_;

  std::vector<placement_node> view_;  ///< of all nodes; less what was sent on since it came
  bool sent_on_ = false;              ///< something was
  std::optional<time> sent_on_until_;
  std::uint64_t view_needed_ = 0;  ///< the last that a request needs
  std::uint64_t view_asked_ = 0;
  std::uint64_t view_answered_ = 0;  ///< the head is asked for one at a time
  std::uint64_t turn_ = 0;
};

/// Between a resource's name and a bundle's number.
inline constexpr char bundle_mark = '\n';

/// "2 CPU, 1 GPU" for messages.
std::string describe_demand(const core::resource_set& wanted);

}  // namespace troupe::net
