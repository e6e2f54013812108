/// How much the log says.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe {

/// A record is written when its level is at least the configured one; `off` writes none.
enum class log_level : std::uint8_t { trace, debug, info, warn, error, off };

/// The name that options and log records use: "trace", "debug", "info", "warn", "error", "off".
constexpr std::string_view to_string(log_level level) noexcept {
  switch (level) {
    case log_level::trace:
      return "trace";
    case log_level::debug:
      return "debug";
    case log_level::info:
      return "info";
    case log_level::warn:
      return "warn";
    case log_level::error:
      return "error";
    case log_level::off:
      break;
  }
  return "off";
}

}  // namespace troupe
