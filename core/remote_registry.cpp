#include "core/remote_registry.hpp"

#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <unordered_map>

#include <troupe/detail/assert.hpp>

#include "core/key_of_name.hpp"

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
    const std::uint64_t key = core::key_of_name(function.type->name(), seed);
    const auto [at, added] = all.by_key.try_emplace(key, function);
    // A library that is loaded brings its own copy of what the program contains already.
    if (added || *at->second.type == *function.type) return key;
  }
}

}  // namespace troupe::detail
