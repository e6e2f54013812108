/// Reads and writes the values that settings are made of: counts, bytes, durations, amounts, lists.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Every parser takes the whole text or throws `std::invalid_argument` with `what` (the option or
/// variable), the text, why it was refused, and what is allowed. No locale is asked.
namespace troupe::core {

/// The longest duration a setting may have: a hundred years, so that adding it to a clock is safe.
inline constexpr std::chrono::nanoseconds longest_duration = std::chrono::hours{24 * 36'500};

/// The error that all of them throw: `what: "text" why; allowed is ...`.
[[noreturn]] void refuse_value(std::string_view what, std::string_view text, std::string_view why,
                               std::string_view allowed);

/// A whole number without sign: "16000000".
std::uint64_t parse_count(std::string_view text, std::string_view what);

/// "4GiB", "512MB", "100k", "1.5Gi", "4096": powers of 1000, with an `i` of 1024; case is ignored.
std::uint64_t parse_bytes(std::string_view text, std::string_view what);

/// "500ms", "2s", "1.5m", "1h": the unit is asked for, of all but 0.
std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what);

/// A decimal that is not negative, in steps of 0.0001: "4", "0.25".
double parse_amount(std::string_view text, std::string_view what);

/// "true", "false", "yes", "no", "on", "off", "1", "0".
bool parse_flag(std::string_view text, std::string_view what);

/// "key=value,other=value"; keys are not empty and differ. Empty text is an empty list.
std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text,
                                                             std::string_view what);

/// The shortest form that reads back exactly: "4GiB", "100MB", "1025".
std::string format_bytes(std::uint64_t bytes);
/// Likewise: "10s", "1500ms", "2m".
std::string format_duration(std::chrono::nanoseconds duration);
/// The shortest decimal: "4", "0.25".
std::string format_amount(double amount);

}  // namespace troupe::core
