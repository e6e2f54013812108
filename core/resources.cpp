#include "core/resources.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <system_error>

namespace troupe::core {
namespace {

constexpr double largest_amount = 1e12;

std::string shortest(double value) {
  char buffer[32];
  const auto [end, failed] = std::to_chars(buffer, buffer + sizeof buffer, value);
  TROUPE_ASSERT(failed == std::errc{}, "a double's shortest form has at most 24 characters");
  return std::string(buffer, end);
}

[[noreturn]] void refuse(std::string_view what, std::string_view why, const std::string& value) {
  throw std::invalid_argument(std::string(what).append(" ").append(why).append(", got ") + value);
}

void refuse_custom(const std::string& name, std::string_view why) {
  throw std::invalid_argument("custom resource \"" + name + "\" " + std::string(why));
}

void check_custom_name(const std::string& name) {
  if (name.empty()) throw std::invalid_argument("a custom resource has an empty name; give it one");
  if (name == cpu_name) refuse_custom(name, "is built in; use the option num_cpus");
  if (name == gpu_name) refuse_custom(name, "is built in; use the option num_gpus");
  if (name == memory_name) refuse_custom(name, "is built in; use the option memory");
}

}  // namespace

resource_amount resource_amount::from_double(double value, std::string_view what) {
  if (!std::isfinite(value)) refuse(what, "must be a finite number", shortest(value));
  if (value < 0) refuse(what, "must not be negative", shortest(value));
  if (value > largest_amount) refuse(what, "must be at most 1e12", shortest(value));
  const double scaled = value * static_cast<double>(units_per_one);
  const double nearest = std::round(scaled);
  // 0.1 + 0.2 is meant to be 0.3: forgive what sums of decimals lose, and a few units in the last
  // place of a large amount.
  const double tolerance = 1e-6 + scaled * 4 * std::numeric_limits<double>::epsilon();
  if (std::abs(scaled - nearest) > tolerance || (nearest == 0 && value != 0)) {
    refuse(what, "must be a multiple of 0.0001", shortest(value));
  }
  return from_units(static_cast<std::int64_t>(nearest));
}

resource_amount resource_amount::from_whole(std::uint64_t value, std::string_view what) {
  constexpr std::uint64_t largest = 900'000'000'000'000;
  if (value > largest) refuse(what, "must be at most 9e14", std::to_string(value));
  return from_units(static_cast<std::int64_t>(value) * units_per_one);
}

std::string resource_amount::to_string() const {
  // By magnitude: the lowest negative value has no positive counterpart.
  const std::uint64_t magnitude =
      units_ < 0 ? 0 - static_cast<std::uint64_t>(units_) : static_cast<std::uint64_t>(units_);
  std::string text = units_ < 0 ? "-" : "";
  text += std::to_string(magnitude / units_per_one);
  const std::uint64_t fraction = magnitude % units_per_one;
  if (fraction == 0) return text;
  // The leading 1 keeps the fraction's zeros.
  std::string digits = std::to_string(units_per_one + fraction);
  digits.erase(digits.find_last_not_of('0') + 1);
  return text + "." + digits.substr(1);
}

void resource_set::set(std::string_view name, resource_amount amount) {
  TROUPE_ASSERT(amount.units() >= 0, "an amount in a resource set is not negative");
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const entry& e, std::string_view n) { return e.first < n; });
  const bool found = at != entries_.end() && at->first == name;
  if (amount.units() == 0) {
    if (found) entries_.erase(at);
  } else if (found) {
    at->second = amount;
  } else {
    entries_.emplace(at, std::string(name), amount);
  }
}

resource_amount resource_set::get(std::string_view name) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const entry& e, std::string_view n) { return e.first < n; });
  return at != entries_.end() && at->first == name ? at->second : resource_amount{};
}

bool resource_set::fits_in(const resource_set& available) const {
  return std::all_of(entries_.begin(), entries_.end(),
                     [&](const entry& e) { return e.second <= available.get(e.first); });
}

resource_set& resource_set::operator+=(const resource_set& other) {
  if (&other == this) {
    for (entry& e : entries_) e.second += e.second;
    return *this;
  }
  for (const entry& e : other) set(e.first, get(e.first) + e.second);
  return *this;
}

resource_set& resource_set::operator-=(const resource_set& other) {
  if (&other == this) {
    entries_.clear();
    return *this;
  }
  for (const entry& e : other) {
    const resource_amount mine = get(e.first);
    TROUPE_ASSERT(mine >= e.second, "no more is taken from a resource set than it has");
    set(e.first, mine - e.second);
  }
  return *this;
}

std::size_t resource_set::hash() const noexcept {
  std::size_t seed = entries_.size();
  const auto mix = [&seed](std::size_t value) {
    seed ^= value + 0x9e3779b97f4a7c15U + (seed << 6) + (seed >> 2);
  };
  for (const entry& e : entries_) {
    mix(std::hash<std::string>{}(e.first));
    mix(std::hash<std::int64_t>{}(e.second.units()));
  }
  return seed;
}

std::string resource_set::to_string() const {
  std::string text = "{";
  for (const entry& e : entries_) {
    if (text.size() > 1) text += ", ";
    text += e.first + ": " + e.second.to_string();
  }
  return text + "}";
}

resource_set make_demand(std::optional<double> cpus, double default_cpus, double gpus,
                         std::uint64_t memory_bytes, std::span<const troupe::resource> custom) {
  resource_set demand;
  demand.set(cpu_name, resource_amount::from_double(cpus.value_or(default_cpus), "num_cpus"));
  const auto gpu_amount = resource_amount::from_double(gpus, "num_gpus");
  if (gpu_amount.units() > resource_amount::units_per_one &&
      gpu_amount.units() % resource_amount::units_per_one != 0) {
    refuse("num_gpus", "above 1 must be a whole number", gpu_amount.to_string());
  }
  demand.set(gpu_name, gpu_amount);
  demand.set(memory_name, resource_amount::from_whole(memory_bytes, "memory"));
  for (auto at = custom.begin(); at != custom.end(); ++at) {
    const std::string name(at->name);
    check_custom_name(name);
    const bool repeated = std::any_of(
        custom.begin(), at, [&](const troupe::resource& earlier) { return earlier.name == name; });
    if (repeated) refuse_custom(name, "is given twice; give the sum once");
    demand.set(name, resource_amount::from_double(at->amount, "custom resource \"" + name + "\""));
  }
  return demand;
}

}  // namespace troupe::core
