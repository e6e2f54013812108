/// Keys that every process makes of the same name.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::core {

/// FNV-1a: the key must be the same in every process, whatever its standard library hashes to.
/// `seed` gives the next key when one is taken.
constexpr std::uint64_t key_of_name(std::string_view text, std::uint64_t seed) noexcept {
  std::uint64_t value = 0xcbf29ce484222325U ^ seed;
  for (const char c : text) {
    value ^= static_cast<unsigned char>(c);
    value *= 0x100000001b3U;
  }
  return value | 1;  // 0 means none
}

}  // namespace troupe::core
