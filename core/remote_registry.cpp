#include "core/remote_registry.hpp"

#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <unordered_map>

#include <troupe/detail/assert.hpp>

namespace troupe::core {

namespace {

struct registry {
  std::shared_mutex mutex;  // libraries that are loaded later register, too
  std::unordered_map<std::uint64_t, detail::remote_function> by_key;
};

registry& the_registry() {
  static auto* const instance = new registry;  // used before main and until the last thread ends
  return *instance;
}

/// FNV-1a: the key must be the same in every process, whatever its standard library hashes to.
std::uint64_t hash(std::string_view text, std::uint64_t seed) noexcept {
  std::uint64_t value = 0xcbf29ce484222325U ^ seed;
  for (const char c : text) {
    value ^= static_cast<unsigned char>(c);
    value *= 0x100000001b3U;
  }
  return value | 1;  // 0 means none
}

}  // namespace

const detail::remote_function* find_remote(std::uint64_t key) noexcept {
  registry& all = the_registry();
  const std::shared_lock guard(all.mutex);
  const auto at = all.by_key.find(key);
  return at != all.by_key.end() ? &at->second : nullptr;
}

std::string describe_remotes() {
  registry& all = the_registry();
  const std::shared_lock guard(all.mutex);
  return std::to_string(all.by_key.size()) + " functions";
}

}  // namespace troupe::core

namespace troupe::detail {

std::uint64_t register_remote(const remote_function& function) {
  auto& all = core::the_registry();
  const std::lock_guard guard(all.mutex);
  // Further ones of a name, and the next to no collisions of the hash, take the next free seed.
  for (std::uint64_t seed = 0;; ++seed) {
    const std::uint64_t key = core::hash(function.type->name(), seed);
    const auto [at, added] = all.by_key.try_emplace(key, function);
    if (added || at->second.make == function.make) return key;
  }
}

}  // namespace troupe::detail
