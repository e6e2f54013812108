#include "net/demand.hpp"

namespace troupe::net {
namespace {

// What resource_amount itself allows at most.
constexpr std::int64_t most_units = 9'000'000'000'000'000'000;
constexpr std::size_t most_resources = 256;

}  // namespace

demand to_demand(const core::resource_set& set) {
  demand result;
  for (const auto& [name, amount] : set) result.emplace_back(name, amount.units());
  return result;
}

std::optional<core::resource_set> to_resources(const demand& amounts, std::string& why) {
  if (amounts.size() > most_resources) {
    why = "it names " + std::to_string(amounts.size()) + " resources, at most " +
          std::to_string(most_resources) + " are allowed";
    return std::nullopt;
  }
  core::resource_set set;
  for (const auto& [name, units] : amounts) {
    if (name.empty()) {
      why = "it names a resource without a name";
      return std::nullopt;
    }
    if (units < 0 || units > most_units) {
      why = "the amount of '" + name + "' is out of range";
      return std::nullopt;
    }
    if (set.get(name).units() != 0) {
      why = "it names '" + name + "' twice";
      return std::nullopt;
    }
    set.set(name, core::resource_amount::from_units(units));
  }
  return set;
}

}  // namespace troupe::net
