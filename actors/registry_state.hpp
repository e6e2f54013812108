/// Decides who has which name: named actors by namespace.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::actors {

/// Pure; thread-compatible. A name belongs to one actor of its namespace from its registration
/// until that same actor gives it back.
class registry_state {
 public:
  using id = std::uint64_t;

  /// Gives the name to the actor. The one that has it already, if any; then nothing changes.
  std::optional<id> add(std::string_view in_namespace, std::string_view name, id actor);
  std::optional<id> find(std::string_view in_namespace, std::string_view name) const;
  /// False when the name is another actor's, or nobody's.
  bool remove(std::string_view in_namespace, std::string_view name, id actor);
  std::size_t size() const noexcept { return names_.size(); }

 private:
  using key = std::pair<std::string, std::string>;
  std::map<key, id> names_;
};

}  // namespace troupe::actors
