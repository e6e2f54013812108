#include "actors/registry_state.hpp"

namespace troupe::actors {

namespace {

std::pair<std::string, std::string> key_of(std::string_view in_namespace, std::string_view name) {
  return {std::string(in_namespace), std::string(name)};
}

}  // namespace

std::optional<registry_state::id> registry_state::add(std::string_view in_namespace,
                                                      std::string_view name, id actor) {
  const auto [at, added] = names_.try_emplace(key_of(in_namespace, name), actor);
  if (added) return std::nullopt;
  return at->second;
}

std::optional<registry_state::id> registry_state::find(std::string_view in_namespace,
                                                       std::string_view name) const {
  const auto at = names_.find(key_of(in_namespace, name));
  if (at == names_.end()) return std::nullopt;
  return at->second;
}

bool registry_state::remove(std::string_view in_namespace, std::string_view name, id actor) {
  const auto at = names_.find(key_of(in_namespace, name));
  if (at == names_.end() || at->second != actor) return false;
  names_.erase(at);
  return true;
}

}  // namespace troupe::actors
