/// What an actor remembers of its batches.
#pragma once

#include <chrono>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <troupe/batching.hpp>
#include <troupe/detail/batch_place.hpp>

#include "core/spin_lock.hpp"

namespace troupe::actors {

/// Thread-safe.
class batch_statistics {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// A batch has run: when its calls had arrived, when it began and ended.
  void add(const detail::batch_kind& method, std::span<const time_point> arrivals, time_point began,
           time_point ended);
  /// By method, in the order of their first batches.
  std::vector<batch_stats> all() const;

 private:
  mutable core::spin_lock lock_;
  std::vector<std::pair<const detail::batch_kind*, batch_stats>> methods_;  // guarded by lock_
};

}  // namespace troupe::actors
