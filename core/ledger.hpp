/// The resource ledger of a process: the state machine, a lock, and who is told of a grant.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/gpu_ids.hpp"
#include "core/ledger_state.hpp"

namespace troupe::core {

/// Someone who asked for resources. Told once, from any thread, without the ledger's lock; must not
/// block.
class claimant {
 public:
  virtual void granted() noexcept = 0;

  /// The GPUs of the last grant; set before it is told.
  const gpu_share& gpus() const noexcept { return gpus_; }
  void set_gpus(gpu_share share) { gpus_ = std::move(share); }

 protected:
  ~claimant() = default;

 private:
  friend class ledger;
  gpu_share gpus_;
  shape_id waits_for_ = 0;  // with `order_`, while it waits; guarded by the ledger's mutex
  grant_order order_ = grant_order::normal;
};

/// Where resources come from and go to: the ledger of an embedded runtime, or one lease that a node
/// gave to this process. Thread-safe.
class capacity {
 public:
  /// `gpus` gets those that come with it.
  virtual bool try_acquire(shape_id shape, gpu_share& gpus) = 0;
  /// `who.granted()` is called when it is the claimant's turn, perhaps before this returns.
  virtual void request(claimant& who, shape_id shape, grant_order order) = 0;
  /// False when the grant was given already, or is about to be.
  virtual bool withdraw(claimant& who) = 0;
  /// With the GPUs that came with it.
  virtual void release(shape_id shape, const gpu_share& gpus) = 0;
  /// Releases the CPUs of a task that blocks, and wants them back later.
  virtual void lend(shape_id cpus) { release(cpus, {}); }
  /// Whether anyone waits but normal requests of this shape. A hint, read without the lock: who
  /// holds resources of `shape` should give them back soon.
  virtual bool contended_beside(shape_id shape) const noexcept = 0;

 protected:
  ~capacity() = default;
};

/// Thread-safe.
class ledger final : public capacity {
 public:
  explicit ledger(resource_set total)
      : gpu_ids_(total.get(gpu_name)),
        has_gpus_(total.get(gpu_name).units() > 0),
        state_(std::move(total)) {}

  /// With these GPUs, which others have set aside for it.
  ledger(resource_set total, gpu_ids ids)
      : gpu_ids_(std::move(ids)),
        has_gpus_(total.get(gpu_name).units() > 0),
        state_(std::move(total)) {}

  shape_id intern(const resource_set& demand);
  resource_set demand(shape_id shape) const;
  std::optional<std::string> never_fits(const resource_set& demand) const;
  bool try_acquire(shape_id shape, gpu_share& gpus) override;
  void request(claimant& who, shape_id shape, grant_order order) override;
  bool withdraw(claimant& who) override;
  void release(shape_id shape, const gpu_share& gpus) override;
  bool contended_beside(shape_id shape) const noexcept override {
    const std::uint32_t who = contender_.load(std::memory_order_relaxed);
    return who != nobody && who != shape;
  }

  resource_set total() const;
  resource_set available() const;

 private:
  static constexpr std::uint32_t nobody = 0xffff'ffff;
  static constexpr std::uint32_t several = 0xffff'fffe;

  void count(const claimant& who, bool waits);
  void settle(std::vector<ticket>& granted);
  resource_amount gpus_of(shape_id shape) const;
  void deal_gpus(std::vector<ticket>& granted);
  static void tell(const std::vector<ticket>& granted) noexcept;

  mutable std::mutex mutex_;
  gpu_ids gpu_ids_;  // guarded by mutex_
  const bool has_gpus_;
  /// Have their resources, but the free parts of GPUs do not lie together; guarded by mutex_.
  std::deque<claimant*> lacking_gpus_;
  ledger_state state_;                // guarded by mutex_
  std::vector<std::size_t> waiting_;  // normal requests by shape; guarded by mutex_
  std::size_t waiting_shapes_ = 0;    // shapes with any; guarded by mutex_
  std::size_t waiting_resumes_ = 0;   // guarded by mutex_
  std::atomic<std::uint32_t> contender_{nobody};
};

}  // namespace troupe::core
