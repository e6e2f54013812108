/// The resource ledger of a process: the state machine, a lock, and who is told of a grant.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/ledger_state.hpp"

namespace troupe::core {

/// Someone who asked for resources. Told once, from any thread, without the ledger's lock; must not
/// block.
class claimant {
 public:
  virtual void granted() noexcept = 0;

 protected:
  ~claimant() = default;

 private:
  friend class ledger;
  shape_id waits_for_ = 0;  // with `order_`, while it waits; guarded by the ledger's mutex
  grant_order order_ = grant_order::normal;
};

/// Thread-safe.
class ledger {
 public:
  explicit ledger(resource_set total) : state_(std::move(total)) {}

  shape_id intern(const resource_set& demand);
  resource_set demand(shape_id shape) const;
  std::optional<std::string> never_fits(const resource_set& demand) const;
  bool try_acquire(shape_id shape);
  /// `who.granted()` is called when it is the claimant's turn, perhaps before this returns.
  void request(claimant& who, shape_id shape, grant_order order);
  /// False when the grant was given already, or is about to be.
  bool withdraw(claimant& who);
  void release(shape_id shape);
  /// Whether anyone waits but normal requests of this shape. A hint, read without the lock: who
  /// holds resources of `shape` should give them back soon.
  bool contended_beside(shape_id shape) const noexcept {
    const std::uint32_t who = contender_.load(std::memory_order_relaxed);
    return who != nobody && who != shape;
  }

  resource_set total() const;
  resource_set available() const;

 private:
  static constexpr std::uint32_t nobody = 0xffff'ffff;
  static constexpr std::uint32_t several = 0xffff'fffe;

  void count(const claimant& who, bool waits);
  void settle(const std::vector<ticket>& granted);
  static void tell(const std::vector<ticket>& granted) noexcept;

  mutable std::mutex mutex_;
  ledger_state state_;
  std::vector<std::size_t> waiting_;  // normal requests by shape; guarded by mutex_
  std::size_t waiting_shapes_ = 0;    // shapes with any; guarded by mutex_
  std::size_t waiting_resumes_ = 0;   // guarded by mutex_
  std::atomic<std::uint32_t> contender_{nobody};
};

}  // namespace troupe::core
