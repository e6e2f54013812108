/// Decides for the cluster: which nodes there are, jobs, names, placement groups, and who is dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "net/bounded_set.hpp"
#include "net/control_groups.hpp"
#include "net/control_records.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/node_state.hpp"

namespace troupe::net {

struct control_settings {
  peer self;                                       ///< the head
  std::chrono::milliseconds quiet_after{1'500};    ///< without a report; then a node is looked for
  std::chrono::milliseconds node_timeout{10'000};  ///< without a report; then a node is dead
  std::chrono::milliseconds view_interval{100};    ///< views are sent at most so often
  process_id own_node = 0;      ///< lives in the head's process; 0: it is the head itself
  std::uint32_t life = 1;       ///< of the head
  std::int64_t life_began = 0;  ///< seconds since 1970
};

using control_message = std::variant<joined, cluster_view, process_died, job_started, job_ended,
                                     name_reply, status, group_reply, prepare_bundles,
                                     commit_bundles, drop_bundles, lease_refused, lease_redirected>;
struct send_from_control {
  process_id to = 0;
  control_message what;
  /// It tells of nothing that is being stored, and need not wait for that.
  bool at_once = false;
};
/// To be stored before what is sent from then on.
struct keep_row {
  store_change what;
};
/// A process is dead: for what else lives on the head.
struct process_over {
  process_died what;
};
/// A node has come back to a head that was started again, with these processes.
struct node_back {
  process_id node = 0;
  std::vector<process_id> processes;
};
/// The head has waited long enough: what did not come back is dead, and all of these live.
struct recovery_over {
  std::set<process_id> processes;
};
using control_effect = std::variant<send_from_control, forget_process, say, keep_row, process_over,
                                    node_back, recovery_over>;

/// A state machine without threads, clocks, sockets and logging; thread-compatible.
///
/// The head's own node joins like any other. Each event appends effects, which `take_effects` hands
/// out. Times only grow.
class control_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit control_state(control_settings settings) : settings_(std::move(settings)) {}

  std::vector<control_effect> take_effects();

  /// Takes up what an earlier life of the head has stored; before anything else. Its nodes are
  /// awaited for `node_timeout`; what does not come back by then is dead. `detached`: the actors
  /// that the head has owned and that are not over; their names are theirs.
  void recover(time now, stored_cluster&& known, const std::vector<stored_actor>& detached);

  // -- of nodes -----------------------------------------------------------------------------------
  void received(time now, process_id from, join_cluster what);
  void received(time now, process_id from, node_report what);
  void received(time now, process_id from, process_joined what);
  void received(time now, process_id from, ask_view what);
  void received(time now, process_id from, process_died what);
  void received(time now, process_id from, job_started what);
  void received(time now, process_id from, job_ended what);
  void received(time now, process_id from, bundles_prepared what);
  void received(time now, process_id from, bundles_dropped what);
  // -- of any process -----------------------------------------------------------------------------
  void received(time now, process_id from, register_name what);
  void received(time now, process_id from, find_name what);
  void received(time now, process_id from, release_name what);
  void received(time now, process_id from, ask_status what);
  void received(time now, process_id from, create_group what);
  void received(time now, process_id from, remove_group what);
  void received(time now, process_id from, ask_group what);
  /// For a bundle of a placement group.
  void received(time now, process_id from, request_lease what);
  void received(time now, process_id from, cancel_request what);

  /// A node ends in good order, or cannot be reached any more.
  void node_gone(time now, process_id node, const std::string& cause, bool clean);
  /// To be called every 100 ms or so.
  void tick(time now);

  /// Nodes other than this one that have missed a report, as far as they can be looked for.
  std::vector<peer> quiet_nodes(time now) const;
  /// A detached actor needs the job's program, also when the job has ended.
  void hold_job(job_id id);
  void release_job(time now, job_id id);
  /// What the workers of a job run, and its driver.
  const job_started* find_job(job_id id) const;

  bool is_node(process_id id) const { return nodes_.count(id) != 0; }
  std::vector<process_id> nodes() const;
  status make_status() const;

 private:
  struct node {
    join_cluster info;
    node_report last;
    time heard{};
    bool has_view = false;  ///< it knows the others, up to what has changed
    bool changed = true;    ///< since the last view
    std::set<process_id> processes;
  };
  struct job {
    job_started started;
    std::uint32_t held = 0;  ///< by so many detached actors
  };
  /// A node of the head's earlier life that has not come back.
  struct awaited_node {
    join_cluster info;
    std::set<process_id> processes;
  };
  struct name {
    std::string class_name;
    global_id actor;
    peer owner;
  };

  void declare_dead(time now, process_id who, const std::string& cause, bool clean);
  void end_job(time now, job_id id);
  void job_over(time now, job_id id);
  void tell_of_jobs(process_id to);
  void keep_job(const job& of, bool ended);
  using names = std::map<std::pair<std::string, std::string>, name>;
  names::iterator forget_name(names::iterator which);
  void add_process(process_id at, process_id which);

  // -- control_recovery.cpp
  void welcome_back(time now, process_id who, const awaited_node& before,
                    const std::vector<process_id>& processes);
  void give_up_awaited(time now, process_id who, const std::string& cause);
  void look_after_awaited(time now);
  void remember_dead(const process_died& news);

  void broadcast(const control_message& what);
  void send(process_id to, control_message what, bool at_once = false);
  void keep(store_change what) { effects_.emplace_back(keep_row{std::move(what)}); }
  void note(log_level level, std::string text);
  cluster_view view(bool whole);
  void view_changed() { view_dirty_ = true; }
  void membership_changed(time now);
  void send_view_if_due(time now);
  void send_view(time now);

  control_settings settings_;
  std::vector<control_effect> effects_;
  std::map<process_id, node> nodes_;
  std::map<job_id, job> jobs_;        ///< that live
  std::map<job_id, job> ended_jobs_;  ///< that are held
  std::unordered_map<process_id, job_id> drivers_;
  job_id next_job_ = 1;
  names names_;
  bounded_set<process_id> dead_;
  std::deque<process_died> obituaries_;  ///< the last; who joins has not heard of them
  std::map<process_id, awaited_node> awaited_;
  time awaited_until_{};
  bool recovering_ = false;
  control_groups groups_;
  bool view_dirty_ = false;
  time view_sent_{};
  std::vector<process_id> gone_;  ///< since the last view
};

}  // namespace troupe::net
