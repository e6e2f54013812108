/// Placement groups of an embedded runtime: one node, the same rules.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "core/placement_groups.hpp"

namespace troupe::core {

/// The bundles are asked for as one demand of the runtime's ledger, so that they are reserved
/// together, in their turn among tasks and actors. What runs in the group then shares a ledger of
/// the group's own. A group that one node can never place waits, as it would in a cluster.
/// Thread-safe.
class local_groups final : public placement_groups {
 public:
  /// Ends what runs in a group that is gone.
  using ender = std::function<void(placement_group_id, const detail::failure_ptr& why,
                                   const std::string& text)>;
  local_groups(runtime& of, ender end);
  ~local_groups() override;

  placement_group_id create(group_spec wanted) override;
  detail::object_ptr ready(placement_group_id id) override;
  void remove(placement_group_id id) noexcept override;
  found find(std::string_view name, std::string_view in_namespace) override;
  std::vector<placement_group_info> list() override;
  capacity& bundle(placement_group_id id, int index, const resource_set& demand,
                   std::string_view who) override;

 private:
  class group;
  std::shared_ptr<group> find_group(placement_group_id id);

  runtime& runtime_;
  const ender end_;
  std::mutex mutex_;
  std::uint64_t last_ = 0;  // guarded by mutex_, as below
  std::map<placement_group_id, std::shared_ptr<group>> groups_;
  std::map<std::pair<std::string, std::string>, placement_group_id> names_;
  std::vector<std::shared_ptr<group>> used_;  ///< gone, but queues still know their bundles
};

}  // namespace troupe::core
