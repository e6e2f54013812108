/// What the runtime does for placement groups, embedded or in a cluster.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/detail/stored_options.hpp>
#include <troupe/placement_group.hpp>

#include "core/ledger.hpp"
#include "core/resources.hpp"
#include "core/runtime.hpp"

namespace troupe::core {

struct group_spec {
  std::string name;
  std::string in_namespace;
  placement_strategy strategy{};
  bool detached = false;
  std::vector<resource_set> bundles;
};

/// Thread-safe.
class placement_groups : public component {
 public:
  /// Begins to reserve. Throws `placement_error` when the name is taken.
  virtual placement_group_id create(group_spec wanted) = 0;
  /// An object without value that is there when the group was placed for the first time.
  virtual detail::object_ptr ready(placement_group_id id) = 0;
  virtual void remove(placement_group_id id) noexcept = 0;
  struct found {
    placement_group_id id;
    std::size_t bundles = 0;
  };
  /// `id` is empty when there is none of that name.
  virtual found find(std::string_view name, std::string_view in_namespace) = 0;
  virtual std::vector<placement_group_info> list() = 0;

  /// Where work in that bundle (-1: any) of this process's node gets its resources; lives as long
  /// as the runtime. Throws `placement_error` when there is no such group or bundle, or when no
  /// bundle can ever hold `demand`; `who` is named in it. Embedded only.
  virtual capacity& bundle(placement_group_id id, int index, const resource_set& demand,
                           std::string_view who) = 0;
};

placement_groups& require_groups(const char* what);

/// The options with which a call is submitted: with the group of the task or actor that submits it
/// when that captures its children, and the call names none.
detail::options_ptr captured(detail::options_ptr given);

/// `{"CPU": 1}`, as users read it.
std::map<std::string, double> to_map(const resource_set& amounts);

}  // namespace troupe::core
