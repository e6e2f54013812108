#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>

#include "core/resources.hpp"

namespace troupe::core {
namespace {

constexpr std::string_view bytes_allowed =
    "a number and B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (of 1024), such as 4GiB";
constexpr std::string_view duration_allowed =
    "a number and ns, us, ms, s, m, h or d, such as 500ms, up to 36500d";

struct unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<unit, 9> byte_units{{{"PiB", 1ULL << 50},
                                          {"PB", 1'000'000'000'000'000},
                                          {"TiB", 1ULL << 40},
                                          {"TB", 1'000'000'000'000},
                                          {"GiB", 1ULL << 30},
                                          {"GB", 1'000'000'000},
                                          {"MiB", 1ULL << 20},
                                          {"MB", 1'000'000},
                                          {"KiB", 1ULL << 10}}};
constexpr unit kilobyte{"kB", 1'000};

constexpr std::array<unit, 7> duration_units{{{"d", 86'400'000'000'000},
                                              {"h", 3'600'000'000'000},
                                              {"m", 60'000'000'000},
                                              {"s", 1'000'000'000},
                                              {"ms", 1'000'000},
                                              {"us", 1'000},
                                              {"ns", 1}}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<std::uint64_t> byte_unit(std::string_view name) {
  if (name.empty() || same_ignoring_case(name, "B")) return 1;
  const auto is = [name](const unit& known) {
    // Also without the B, as people and Kubernetes write them: 100k, 4Gi.
    return same_ignoring_case(name, known.name) ||
           same_ignoring_case(name, known.name.substr(0, known.name.size() - 1));
  };
  if (is(kilobyte)) return kilobyte.size;
  const auto at = std::ranges::find_if(byte_units, is);
  return at == byte_units.end() ? std::nullopt : std::optional(at->size);
}

std::optional<std::uint64_t> duration_unit(std::string_view name) {
  if (name == "min") name = "m";
  const auto at = std::ranges::find(duration_units, name, &unit::name);
  return at == duration_units.end() ? std::nullopt : std::optional(at->size);
}

/// Text split where its number ends: digits with at most one point between them.
struct quantity {
  std::string_view number;
  std::string_view unit;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

quantity split(std::string_view text, std::string_view what, std::string_view allowed) {
  if (text.empty()) refuse_value(what, text, "is empty", allowed);
  if (text.front() == '-') refuse_value(what, text, "is negative", allowed);
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  if (end == 0) refuse_value(what, text, "does not begin with a digit", allowed);
  if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
    ++end;
    while (end < text.size() && is_digit(text[end])) ++end;
  }
  std::string_view rest = text.substr(end);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  return {text.substr(0, end), rest};
}

double to_double(std::string_view number) {
  double value = 0;
  const auto result = std::from_chars(number.data(), number.data() + number.size(), value,
                                      std::chars_format::fixed);
  // Digits only: the one thing that can fail is that they are too many.
  return result.ec == std::errc{} ? value : std::numeric_limits<double>::infinity();
}

/// `number` times `scale`, exact for whole numbers, else to the nearest; none above `largest`.
std::optional<std::uint64_t> scaled(std::string_view number, std::uint64_t scale,
                                    std::uint64_t largest) {
  if (number.find('.') == std::string_view::npos) {
    std::uint64_t whole = 0;
    const auto result = std::from_chars(number.data(), number.data() + number.size(), whole);
    if (result.ec != std::errc{} || whole > largest / scale) return std::nullopt;
    return whole * scale;
  }
  const double product = std::round(to_double(number) * static_cast<double>(scale));
  // Not >: the largest values are not doubles and would round up to one that overflows.
  if (!(product < static_cast<double>(largest))) return std::nullopt;
  return static_cast<std::uint64_t>(product);
}

template <class Units>
std::string in_largest_unit(std::uint64_t value, const Units& units, std::string_view smallest) {
  std::string shortest = std::to_string(value).append(smallest);
  if (value == 0) return shortest;
  for (const unit& candidate : units) {
    if (value % candidate.size != 0) continue;
    std::string text = std::to_string(value / candidate.size).append(candidate.name);
    if (text.size() < shortest.size()) shortest = std::move(text);
  }
  return shortest;
}

}  // namespace

void refuse_value(std::string_view what, std::string_view text, std::string_view why,
                  std::string_view allowed) {
  std::string message(what);
  message.append(": \"").append(text).append("\" ").append(why);
  throw std::invalid_argument(message.append("; allowed is ").append(allowed));
}

std::uint64_t parse_count(std::string_view text, std::string_view what) {
  constexpr std::string_view allowed = "a whole number such as 4";
  const quantity parts = split(text, what, allowed);
  if (parts.number.size() != text.size() || text.find('.') != std::string_view::npos) {
    refuse_value(what, text, "is not a whole number", allowed);
  }
  const auto value = scaled(text, 1, std::numeric_limits<std::uint64_t>::max());
  if (!value) refuse_value(what, text, "is too large", allowed);
  return *value;
}

std::uint64_t parse_bytes(std::string_view text, std::string_view what) {
  const quantity parts = split(text, what, bytes_allowed);
  const auto unit_size = byte_unit(parts.unit);
  if (!unit_size) refuse_value(what, text, "has an unknown unit", bytes_allowed);
  const auto value = scaled(parts.number, *unit_size, std::numeric_limits<std::uint64_t>::max());
  if (!value) refuse_value(what, text, "is too large", bytes_allowed);
  return *value;
}

std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what) {
  const quantity parts = split(text, what, duration_allowed);
  if (parts.unit.empty()) {
    if (to_double(parts.number) == 0) return std::chrono::nanoseconds{0};
    refuse_value(what, text, "has no unit", duration_allowed);
  }
  const auto unit_size = duration_unit(parts.unit);
  if (!unit_size) refuse_value(what, text, "has an unknown unit", duration_allowed);
  const auto value =
      scaled(parts.number, *unit_size, static_cast<std::uint64_t>(longest_duration.count()));
  if (!value) refuse_value(what, text, "is too long", duration_allowed);
  return std::chrono::nanoseconds{static_cast<std::int64_t>(*value)};
}

double parse_amount(std::string_view text, std::string_view what) {
  constexpr std::string_view allowed = "a number from 0, in steps of 0.0001, such as 4 or 0.25";
  const quantity parts = split(text, what, allowed);
  if (parts.number.size() != text.size()) refuse_value(what, text, "is not a number", allowed);
  const double value = to_double(text);
  try {
    return resource_amount::from_double(value, "it").to_double();
  } catch (const std::invalid_argument& e) {
    refuse_value(what, text, std::string("is refused: ") + e.what(), allowed);
  }
}

bool parse_flag(std::string_view text, std::string_view what) {
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (same_ignoring_case(text, yes)) return true;
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (same_ignoring_case(text, no)) return false;
  }
  refuse_value(what, text, "is neither", "true, yes, on, 1 or false, no, off, 0");
}

std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text,
                                                             std::string_view what) {
  constexpr std::string_view allowed = "a list such as a=1,b=2";
  std::vector<std::pair<std::string, std::string>> pairs;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      refuse_value(what, text, "has an entry without =", allowed);
    }
    std::string key(item.substr(0, equals));
    if (key.empty()) refuse_value(what, text, "has an entry without a name before =", allowed);
    if (std::ranges::find(pairs, key, &std::pair<std::string, std::string>::first) != pairs.end()) {
      refuse_value(what, text, "has \"" + key + "\" twice", "each name once");
    }
    pairs.emplace_back(std::move(key), item.substr(equals + 1));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
    if (rest.empty()) refuse_value(what, text, "ends with a comma", allowed);
  }
  return pairs;
}

std::string format_bytes(std::uint64_t bytes) { return in_largest_unit(bytes, byte_units, ""); }

std::string format_duration(std::chrono::nanoseconds duration) {
  if (duration.count() == 0) return "0";
  return in_largest_unit(static_cast<std::uint64_t>(duration.count()), duration_units, "ns");
}

std::string format_amount(double amount) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, amount);
  return std::string(buffer, result.ptr);
}

}  // namespace troupe::core
