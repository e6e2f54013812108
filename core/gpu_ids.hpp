/// Deals the ids of GPUs: whole ones to one lease each, shares packed onto few.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/resources.hpp"

namespace troupe::core {

/// GPUs that a lease has. The share is the same of each.
struct gpu_share {
  std::vector<std::uint32_t> ids;
  std::int64_t units_of_each = 0;
};

/// Pure, thread-compatible. The ledger counts how much is free in all; whether the free parts lie
/// on the right GPUs is known here.
class gpu_ids {
 public:
  explicit gpu_ids(resource_amount total);
  /// Those that others have reserved, for what shares the reservation.
  explicit gpu_ids(const std::vector<gpu_share>& reserved);

  /// Nothing when the free parts do not lie together: whole GPUs need ids that nobody uses, a
  /// share needs one id with so much left. Of those, the fullest is taken.
  std::optional<gpu_share> take(resource_amount wanted);
  void give_back(const gpu_share& share);

 private:
  std::vector<std::int64_t> free_;  ///< units by id
};

}  // namespace troupe::core
