/// Chooses the node that a request for a lease belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/resources.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// A node as another one knows it.
struct placement_node {
  peer at;
  std::string name;
  core::resource_set total;
  core::resource_set available;
  std::vector<std::pair<std::string, std::string>> labels;
  core::resource_set reported{};  ///< what was available when the head told of it
};

struct placement_request {
  core::resource_set wanted;
  placement_kind kind = placement_kind::hybrid;
  std::string key;
  std::string value;
  bool soft = false;
  std::uint32_t redirections = 0;
};

struct placement_decision {
  enum class where : std::uint8_t {
    here,     ///< queue it at the node that decides
    there,    ///< send it on to `node`
    nowhere,  ///< no node can ever give it: wait for one that can
    refused,  ///< it asks for a node or label that does not exist
  };
  where what = where::here;
  process_id node = 0;  ///< when `there`
  std::string why;      ///< when `nowhere` or `refused`

  bool operator==(const placement_decision&) const = default;
};

/// How often a request is sent on before it waits where it is.
inline constexpr std::uint32_t most_redirections = 4;
/// The share of use up to which `hybrid` fills a node before it looks at others.
inline constexpr double local_share = 0.5;

/// Decides for the node `self`, which is one of `nodes`. Pure.
///
/// `hybrid`: here while less than half is in use, else the least used node that has it free now,
/// else here. `spread`: the least used that has it free now, in turn when several are; `turn` is
/// the caller's and counts. `affinity`, `label`: among those that match; when none does, refused,
/// or as `hybrid` when soft. A request that was sent here by another node stays when it can start
/// at once, and for good after `most_redirections`.
placement_decision place(const std::vector<placement_node>& nodes, process_id self,
                         const placement_request& request, std::uint64_t& turn);

/// Whether a node other than `self` would start the request now: for one that waits here.
placement_decision place_elsewhere(const std::vector<placement_node>& nodes, process_id self,
                                   const placement_request& request);

}  // namespace troupe::net
