/// The resources of one lease inside the worker that got it.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "core/ledger.hpp"

namespace troupe::net {

/// Runs one task of the lease at a time. While that one blocks, its CPUs run the next one of the
/// same lease; when there is none, they go back to the node until somebody wants to go on.
/// Thread-safe.
class lease_capacity final : public core::capacity {
 public:
  enum class wish : std::uint8_t { suspend, resume };
  /// `tell` sends a wish to the node. Called under the lock; must not block.
  explicit lease_capacity(std::function<void(wish)> tell, std::vector<std::uint32_t> gpus = {})
      : tell_(std::move(tell)), gpus_{std::move(gpus), 0} {}

  /// The shapes of the queue that this serves: all of it, and its CPUs.
  void set_shapes(core::shape_id whole, core::shape_id cpus);

  bool try_acquire(core::shape_id, core::gpu_share&) override { return false; }
  void request(core::claimant& who, core::shape_id shape, core::grant_order order) override;
  bool withdraw(core::claimant& who) override;
  void release(core::shape_id shape, const core::gpu_share& gpus) override;
  void lend(core::shape_id cpus) override;
  bool contended_beside(core::shape_id shape) const noexcept override;

  /// The node gave the CPUs back.
  void resumed();
  /// The lease is over: the node takes and gives nothing any more. What still runs and blocks under
  /// it, for an owner that is gone, goes on to its end.
  void close();

 private:
  enum class state : std::uint8_t { here, away, coming };

  /// Who is next, if the CPUs are free. Requires the lock.
  core::claimant* next();
  void want_cpus();
  void cpus_free(bool blocks);

  const std::function<void(wish)> tell_;
  const core::gpu_share gpus_;
  core::shape_id whole_ = 0;
  core::shape_id cpus_ = 0;
  mutable std::mutex mutex_;
  state state_ = state::here;  // guarded by mutex_, as below
  bool closed_ = false;
  bool busy_ = false;  // somebody runs on the CPUs
  int lent_ = 0;       // tasks that block and hold the rest of the demand
  std::deque<core::claimant*> resumes_;
  std::deque<core::claimant*> normals_;
};

}  // namespace troupe::net
