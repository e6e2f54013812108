/// Decides about placement groups for the cluster: where bundles lie, who waits, what is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/resources.hpp"
#include "net/bounded_set.hpp"
#include "net/bundle_placement.hpp"
#include "net/control_records.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/placement.hpp"

namespace troupe::net {

/// A part of `control_state`, which tells it of the nodes and hands out what it wants sent.
/// A state machine without threads, clocks, sockets and logging; thread-compatible.
///
/// A group is placed by its bundles' sum of demands against what the nodes have free: all nodes of
/// the plan **prepare** (reserve at once or refuse, they never wait), then all **commit**; if one
/// refuses, all **drop**. As nobody waits while it holds something, groups that race cannot block
/// each other; the one that lost tries again after a while that grows, or when something changed.
/// Attempts have numbers: the answer to an attempt that was given up is ignored, and its drop was
/// sent behind its prepare on the same link.
///
/// Requests for leases in a group come here first: they are sent on to the node of the bundle, and
/// wait while the group is not placed.
class control_groups {
 public:
  using time = std::chrono::steady_clock::time_point;
  using outgoing = std::variant<group_reply, prepare_bundles, commit_bundles, drop_bundles,
                                lease_refused, lease_redirected>;

  static constexpr std::size_t most_bundles = 10'000;   ///< of one group
  static constexpr std::size_t most_waiting = 100'000;  ///< requests, in all groups
  static constexpr auto first_retry = std::chrono::milliseconds(100);
  static constexpr auto last_retry = std::chrono::milliseconds(1'000);
  /// A request may be ahead of the news of its group.
  static constexpr auto unknown_group_wait = std::chrono::milliseconds(10'000);

  std::vector<std::pair<process_id, outgoing>> take_outgoing() {
    return std::exchange(outgoing_, {});
  }
  /// What is to be stored before that is sent.
  std::vector<store_change> take_changes() { return std::exchange(changes_, {}); }

  // -- of the control -----------------------------------------------------------------------------
  void node_joined(time now, const join_cluster& what, const core::resource_set& total);
  void node_reported(time now, process_id node, const demand& available);
  /// Groups of an earlier life of the head; before anything else. Attempts of this one have numbers
  /// of their own.
  void recover(std::uint32_t life, std::vector<stored_group>&& known);
  /// A node of that life has come back, with these bundles; after `node_joined`.
  void node_returned(time now, process_id node, const std::vector<join_cluster::reservation>& has);
  void node_gone(time now, process_id node);
  /// A process is dead: its groups go with it, unless they are detached.
  void process_gone(time now, process_id who);
  void job_ended(time now, job_id job);
  void tick(time now);

  // -- messages -----------------------------------------------------------------------------------
  void received(time now, process_id from, create_group what);
  void received(time now, process_id from, const remove_group& what);
  void received(time now, process_id from, ask_group what);
  void received(time now, process_id from, const bundles_prepared& what);
  void received(time now, process_id from, const bundles_dropped& what);
  void received(time now, process_id from, request_lease what);
  void received(time now, process_id from, const cancel_request& what);

  std::vector<status::group> list() const;

 private:
  struct group {
    create_group spec;
    std::vector<core::resource_set> bundles;
    std::uint64_t order = 0;
    std::vector<process_id> where;  ///< by bundle; committed there; 0: nowhere
    std::vector<process_id> plan;   ///< by bundle; while it is being prepared, else empty
    std::uint64_t attempt = 0;      ///< the one that is being prepared; 0: none
    std::set<process_id> awaited;   ///< have not answered the attempt
    bool was_created = false;
    std::string why;
    std::optional<time> retry_at;  ///< not before that
    std::chrono::milliseconds retry_after = first_retry;
    std::vector<std::pair<process_id, ask_group>> curious;  ///< to be told when it is created
    std::deque<std::pair<process_id, request_lease>> waiting;
    std::uint64_t turn = 0;

    bool placed() const;
    bool on_one_node() const;  ///< all of it
    group_phase phase() const;
  };
  struct early {
    time until;
    process_id from = 0;
    std::variant<ask_group, request_lease> what;
  };

  void try_all(time now);
  void try_place(time now, group& of);
  void give_up_attempt(time now, group& of, const std::string& why);
  void commit(time now, group& of);
  void created(group& of);
  void send_waiting(group& of);
  void keep(const group& of, bool promised);
  void remove(time now, global_id id, const std::string& why);
  void lost(time now, group& of, process_id node);
  void send_on(group& of, process_id to, request_lease&& what);
  void refuse(process_id to, std::uint64_t request, std::string why);
  group_reply reply_to(std::uint64_t request, const group& of) const;
  std::string name_of(const group& of) const;
  std::string gone_text(global_id id) const;
  std::set<process_id> nodes_in(const std::vector<process_id>& where) const;
  std::vector<placement_node>::iterator place_of(process_id id);
  placement_node* find_node(process_id id);
  group* find(global_id id);
  void send(process_id to, outgoing what) { outgoing_.emplace_back(to, std::move(what)); }

  std::vector<std::pair<process_id, outgoing>> outgoing_;
  std::vector<store_change> changes_;
  std::vector<placement_node> nodes_;  ///< by id; less what is being prepared there
  std::map<global_id, group> groups_;
  std::map<std::pair<std::string, std::string>, global_id> names_;
  std::set<global_id> unplaced_;  ///< those with bundles that lie nowhere
  std::deque<early> early_;
  bounded_set<global_id> removed_;
  std::map<global_id, std::string> refused_;  ///< why; as long as its creator lives
  std::uint64_t last_attempt_ = 0;
  std::uint64_t last_order_ = 0;
  std::size_t waiting_ = 0;
  bool changed_ = false;  ///< a group that could not be placed may be placed now
};

}  // namespace troupe::net
