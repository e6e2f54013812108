#include "core/setup_registry.hpp"

#include <mutex>
#include <string_view>
#include <unordered_map>

#include <troupe/runtime_env.hpp>

#include "core/key_of_name.hpp"

namespace troupe::core {
namespace {

struct entry {
  const std::type_info* maker;
  void (*function)();
};
struct registry {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, entry> by_key;  // guarded by mutex
};
registry& the_registry() {
  static auto* const instance = new registry;  // used before main and until the last thread ends
  return *instance;
}

}  // namespace

void (*find_setup(std::uint64_t key) noexcept)() {
  registry& all = the_registry();
  const std::lock_guard guard(all.mutex);
  const auto at = all.by_key.find(key);
  return at != all.by_key.end() ? at->second.function : nullptr;
}

}  // namespace troupe::core

namespace troupe::detail {

std::uint64_t register_setup(const std::type_info& maker, void (*function)()) {
  auto& all = core::the_registry();
  const std::lock_guard guard(all.mutex);
  for (std::uint64_t seed = 0;; ++seed) {
    const std::uint64_t key = core::key_of_name(maker.name(), seed);
    const auto [at, added] = all.by_key.try_emplace(key, core::entry{&maker, function});
    if (added || *at->second.maker == maker) return key;
  }
}

}  // namespace troupe::detail
