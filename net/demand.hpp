/// Amounts of resources as messages carry them, and as the ledger counts them.
#pragma once

#include <optional>
#include <string>

#include "core/resources.hpp"
#include "net/messages.hpp"

namespace troupe::net {

demand to_demand(const core::resource_set& set);

/// Nothing when it makes no sense: a negative amount, one beyond all bounds, a name that is empty
/// or there twice. `why` says which.
std::optional<core::resource_set> to_resources(const demand& amounts, std::string& why);

}  // namespace troupe::net
