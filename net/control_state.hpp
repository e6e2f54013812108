/// Decides for the cluster: which nodes there are, jobs, names, placement groups, and who is dead.
#pragma once

#include <chrono>
#include <cstdint>
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
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/node_state.hpp"

namespace troupe::net {

struct control_settings {
  peer self;                                       ///< the head
  std::chrono::milliseconds quiet_after{1'500};    ///< without a report; then a node is looked for
  std::chrono::milliseconds node_timeout{10'000};  ///< without a report; then a node is dead
  std::chrono::milliseconds view_interval{100};    ///< views are sent at most so often
};

using control_message = std::variant<joined, cluster_view, process_died, job_started, job_ended,
                                     name_reply, status, group_reply, prepare_bundles,
                                     commit_bundles, drop_bundles, lease_refused, lease_redirected>;
struct send_from_control {
  process_id to = 0;
  control_message what;
};
using control_effect = std::variant<send_from_control, forget_process, say>;

/// A state machine without threads, clocks, sockets and logging; thread-compatible.
///
/// The head's own node joins like any other. Each event appends effects, which `take_effects` hands
/// out. Times only grow.
class control_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit control_state(control_settings settings) : settings_(std::move(settings)) {}

  std::vector<control_effect> take_effects();

  // -- of nodes -----------------------------------------------------------------------------------
  void received(time now, process_id from, join_cluster what);
  void received(time now, process_id from, node_report what);
  void received(time now, process_id from, process_joined what);
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
  bool is_node(process_id id) const { return nodes_.count(id) != 0; }
  std::vector<process_id> nodes() const;
  status make_status() const;

 private:
  struct node {
    join_cluster info;
    node_report last;
    time heard{};
    std::set<process_id> processes;
  };
  struct job {
    job_started started;
  };
  struct name {
    std::string class_name;
    global_id actor;
    peer owner;
  };

  void declare_dead(time now, process_id who, const std::string& cause, bool clean);
  void end_job(time now, job_id id);
  void broadcast(const control_message& what);
  void send(process_id to, control_message what);
  void note(log_level level, std::string text);
  cluster_view make_view() const;
  void view_changed() { view_dirty_ = true; }
  void membership_changed(time now);
  void send_view_if_due(time now);

  control_settings settings_;
  std::vector<control_effect> effects_;
  std::map<process_id, node> nodes_;
  std::map<job_id, job> jobs_;  ///< that live
  std::unordered_map<process_id, job_id> drivers_;
  job_id next_job_ = 1;
  std::map<std::pair<std::string, std::string>, name> names_;
  bounded_set<process_id> dead_;
  control_groups groups_;
  bool view_dirty_ = false;
  time view_sent_{};
};

}  // namespace troupe::net
