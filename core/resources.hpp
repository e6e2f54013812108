/// Amounts of resources, exact to 0.0001, and sets of them: what a task asks for, what a node has.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/detail/assert.hpp>
#include <troupe/resources.hpp>

namespace troupe::core {

inline constexpr std::string_view cpu_name = "CPU";
inline constexpr std::string_view gpu_name = "GPU";
inline constexpr std::string_view memory_name = "memory";

/// A share of a resource in fixed point, so that ten times 0.1 is 1. Never negative as a demand or
/// a total; a difference of two may be.
class resource_amount {
 public:
  static constexpr std::int64_t units_per_one = 10'000;

  constexpr resource_amount() = default;

  /// Throws `std::invalid_argument` on what is no amount: nan, infinite, negative, above 1e12 or
  /// finer than 0.0001. `what` is the option or resource that the message names.
  static resource_amount from_double(double value, std::string_view what);
  /// A whole amount, such as bytes. Throws `std::invalid_argument` above 9e14.
  static resource_amount from_whole(std::uint64_t value, std::string_view what);
  static constexpr resource_amount from_units(std::int64_t units) { return resource_amount(units); }

  constexpr std::int64_t units() const noexcept { return units_; }
  constexpr double to_double() const noexcept {
    return static_cast<double>(units_) / static_cast<double>(units_per_one);
  }
  /// The shortest decimal: "2", "0.5", "0.0001".
  std::string to_string() const;

  constexpr auto operator<=>(const resource_amount&) const = default;

  constexpr resource_amount& operator+=(resource_amount other) {
    TROUPE_ASSERT(!__builtin_add_overflow(units_, other.units_, &units_),
                  "the sum of two resource amounts is in range");
    return *this;
  }
  constexpr resource_amount& operator-=(resource_amount other) {
    TROUPE_ASSERT(!__builtin_sub_overflow(units_, other.units_, &units_),
                  "the difference of two resource amounts is in range");
    return *this;
  }
  friend constexpr resource_amount operator+(resource_amount a, resource_amount b) {
    return a += b;
  }
  friend constexpr resource_amount operator-(resource_amount a, resource_amount b) {
    return a -= b;
  }

 private:
  constexpr explicit resource_amount(std::int64_t units) : units_(units) {}
  std::int64_t units_ = 0;
};

inline std::string to_string(resource_amount amount) { return amount.to_string(); }

/// Amounts by name, sorted by name, without zero amounts. A value type, thread-compatible.
class resource_set {
 public:
  using entry = std::pair<std::string, resource_amount>;
  using const_iterator = std::vector<entry>::const_iterator;

  /// Replaces the amount of `name`; zero removes it. The amount is not negative.
  void set(std::string_view name, resource_amount amount);
  /// Zero for a name that is not here.
  resource_amount get(std::string_view name) const;

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  const_iterator begin() const noexcept { return entries_.begin(); }
  const_iterator end() const noexcept { return entries_.end(); }

  /// Whether `available` has at least as much of everything in this set.
  bool fits_in(const resource_set& available) const;

  resource_set& operator+=(const resource_set& other);
  /// Nothing may become negative: `other.fits_in(*this)` is an invariant.
  resource_set& operator-=(const resource_set& other);
  friend resource_set operator+(resource_set a, const resource_set& b) { return a += b; }
  friend resource_set operator-(resource_set a, const resource_set& b) { return a -= b; }
  bool operator==(const resource_set&) const = default;

  std::size_t hash() const noexcept;
  /// `{CPU: 1, GPU: 0.5, disk: 2}`
  std::string to_string() const;

 private:
  std::vector<entry> entries_;
};

/// Builds what a task or actor asks for from its options and throws `std::invalid_argument` on what
/// makes no sense: an amount that is none, a GPU amount above 1 that is not whole, a custom
/// resource without a name, twice, or called as one of those that have an option of their own.
resource_set make_demand(std::optional<double> cpus, double default_cpus, double gpus,
                         std::uint64_t memory_bytes, std::span<const troupe::resource> custom);

}  // namespace troupe::core
