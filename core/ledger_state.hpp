/// Decides who gets a node's resources, and when: grants at once, queues, and keeps the order fair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/resources.hpp"

namespace troupe::core {

/// A demand that the ledger knows: equal demands have the same id.
using shape_id = std::uint32_t;
/// Names one request; the caller's choice, unique among those that wait.
using ticket = std::uint64_t;

/// `resume`: a task that was blocked wants its resources back. Resumes go before all others.
enum class grant_order : std::uint8_t { resume, normal };

/// A state machine without threads, clock and logging; thread-compatible.
///
/// Resumes are served first, then normal requests, each by arrival; requests of one shape never
/// pass each other. A request that does not fit may be passed over by younger ones that need the
/// same resources and fit. After `max_pass_overs` such grants, and a resume from the start, it has
/// a claim, and what it claims is given to nobody behind it.
///
/// A claim covers one resource after the other, CPUs last, and what comes after the first resource
/// that is short is not claimed yet: a request that waits for a GPU, which an actor may hold for
/// its life, keeps no CPU idle meanwhile. What is covered stays covered, so the oldest claim is met
/// once those who hold resources now have released them. Of each shape only the oldest request
/// claims.
///
/// `request` is O(1) when its shape waits already; otherwise, and for `release`, the cost grows
/// with the number of shapes that wait, not of requests.
class ledger_state {
 public:
  static constexpr std::uint64_t max_pass_overs = 64;

  explicit ledger_state(resource_set total);
  ledger_state(const ledger_state&) = delete;
  ledger_state& operator=(const ledger_state&) = delete;

  /// The id of a demand, the same for equal demands and valid as long as the ledger.
  shape_id intern(const resource_set& demand);
  /// The reference stays valid as long as the ledger.
  const resource_set& demand(shape_id shape) const;

  /// What is missing if all were idle, nothing if the demand can be met:
  /// "needs 4 CPU, the runtime has 2 CPU; needs 1 license, the runtime has none".
  std::optional<std::string> never_fits(const resource_set& demand) const;
  /// Whether the demand fits what is free now, whoever waits for it.
  bool fits_now(shape_id shape) const;

  /// Takes the resources at once if they fit and nobody who waits has a claim on them. Counts as a
  /// grant to the youngest request: it passes over all that wait.
  bool try_acquire(shape_id shape);
  /// Queues a request, or grants it at once: `id` is appended to `granted` then. The demand must
  /// be one that can be met (see `never_fits`).
  void request(ticket id, shape_id shape, grant_order order, std::vector<ticket>& granted);
  /// Takes back a request that waits; false when it does not (any more). Those that waited behind
  /// it and fit now are appended to `granted`.
  bool withdraw(ticket id, std::vector<ticket>& granted);
  /// Gives back what a grant of this shape took and appends those that fit now to `granted`.
  void release(shape_id shape, std::vector<ticket>& granted);

  /// Whether any request waits.
  bool contended() const { return !waiting_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }
  resource_set available() const;
  const resource_set& total() const { return total_; }

  struct waiting_demand {
    resource_set demand;
    std::size_t count;
  };
  /// The demands that wait and how many requests of each, by shape.
  std::vector<waiting_demand> pending() const;

 private:
  /// Index into `available_`; the CPU's is 0.
  using resource_id = std::uint32_t;

  struct need {
    resource_id resource;
    std::int64_t units;
  };

  struct queue;

  /// A request that waits; lives in `waiting_`, linked into its queue.
  struct entry {
    ticket id;
    std::uint64_t arrival;        ///< place in the order of all requests
    std::uint64_t passes_before;  ///< its queue's `passes` when it arrived
    queue* home;
    entry* previous;
    entry* next;
  };

  /// The requests of one shape and order, oldest first.
  struct queue {
    shape_id shape;
    grant_order order;
    entry* first = nullptr;
    entry* last = nullptr;
    std::size_t count = 0;
    /// Grants that passed over the oldest, since the ledger began. What this grew by since a
    /// request arrived bounds the times that one was passed over.
    std::uint64_t passes = 0;
  };

  struct shape_state {
    resource_set demand;
    std::vector<need> needs;  ///< in the order in which they are claimed: CPUs last
    bool feasible;            ///< fits in the total; `needs` is empty when not
    queue resumes;
    queue normals;
  };

  struct hash_of_set {
    std::size_t operator()(const resource_set& set) const noexcept { return set.hash(); }
  };

  resource_id id_of(const std::string& name) const;
  const std::vector<need>& needs(const queue& q) const { return shapes_[q.shape].needs; }

  static bool fits(const std::vector<need>& needs, const std::vector<std::int64_t>& free);
  static bool share_a_resource(const std::vector<need>& a, const std::vector<need>& b);
  void take(const std::vector<need>& needs);
  /// Whether the oldest of a queue that is not empty has a claim.
  static bool has_claim(const queue& q);
  /// Takes what the oldest of `q` claims out of `unclaimed_`.
  void claim(const queue& q);
  /// Sets `unclaimed_` to what is free beyond the claims of those served before a new request.
  void subtract_claims_before_new(grant_order order);
  /// Whether a request that is not queued can have its resources now.
  bool can_grant_new(const shape_state& shape, grant_order order);
  /// Counts a grant to `needs` against those of `line_[0, end)` that it passed over; true when one
  /// of them has a claim now that it had not.
  bool count_pass_over(const std::vector<need>& needs, std::size_t end);
  /// Grants all that can be granted.
  void settle(std::vector<ticket>& granted);

  void enqueue(ticket id, queue& q);
  /// Unlinks and forgets an entry; `line_` is put in order again when it was the oldest of its
  /// queue.
  void remove(entry& e);

  resource_set total_;
  std::vector<std::string> names_;         ///< by resource id
  std::vector<std::int64_t> total_units_;  ///< by resource id
  std::vector<std::int64_t> available_;    ///< by resource id
  std::vector<std::int64_t> unclaimed_;    ///< scratch: available less claims
  std::deque<shape_state> shapes_;         ///< by shape; addresses are stable
  std::unordered_map<resource_set, shape_id, hash_of_set> ids_;
  std::unordered_map<ticket, entry> waiting_;  ///< addresses of elements are stable
  /// The queues that are not empty: resumes, then normals, each by arrival of the oldest.
  std::vector<queue*> line_;
  std::size_t resumes_in_line_ = 0;
  std::uint64_t next_arrival_ = 0;
};

}  // namespace troupe::core
