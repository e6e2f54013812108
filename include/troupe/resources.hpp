/// Custom resources as an option carries them: a few names with amounts.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <type_traits>

namespace troupe {

/// An amount of a named resource; multiples of 0.0001.
struct resource {
  std::string_view name;
  double amount;
};

/// At most eight custom resources: `{{"disk", 1}, {"license", 0.5}}`. Trivially destructible, as
/// all options are; it views the names and copies nothing.
class resource_list {
 public:
  constexpr resource_list() = default;
  /// Throws `std::invalid_argument` when there are more than eight.
  constexpr resource_list(std::initializer_list<resource> entries)
      : resource_list(std::data(entries), entries.size()) {}
  constexpr resource_list(const resource* entries, std::size_t count) {
    if (count > capacity) {
      throw std::invalid_argument("a task or actor has at most 8 custom resources");
    }
    for (std::size_t i = 0; i < count; ++i) entries_[size_++] = entries[i];
  }

  constexpr const resource* begin() const noexcept { return entries_.data(); }
  constexpr const resource* end() const noexcept { return entries_.data() + size_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }

 private:
  static constexpr std::size_t capacity = 8;
  std::array<resource, capacity> entries_{};
  std::size_t size_ = 0;
};

static_assert(std::is_trivially_destructible_v<resource_list>);

}  // namespace troupe
