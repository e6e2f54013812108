/// Logging: one line a record, with time, thread, level and the running task's or actor's name.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

#include <troupe/detail/export.hpp>
#include <troupe/log_level.hpp>

namespace troupe {
namespace detail {

/// The configured level; read on every call, written by configuration.
extern TROUPE_API std::atomic<log_level> log_threshold;

/// Writes one record, whatever the threshold is. What cannot be written is counted.
TROUPE_API void write_log(log_level level, std::string_view message) noexcept;
/// Counts a record that was lost before it could be written.
TROUPE_API void drop_log() noexcept;

TROUPE_API void append_number(std::string& to, long long value);
TROUPE_API void append_number(std::string& to, unsigned long long value);
TROUPE_API void append_number(std::string& to, float value);
TROUPE_API void append_number(std::string& to, double value);
TROUPE_API void append_number(std::string& to, long double value);
TROUPE_API void append_pointer(std::string& to, const void* value);
/// `ratio` is the unit in seconds: 1/1000 for milliseconds.
TROUPE_API void append_unit(std::string& to, std::int64_t numerator, std::int64_t denominator);

/// Text as it is; a `const char*` is not, for it may be null.
template <class T>
concept log_text =
    !std::is_pointer_v<T> && std::is_nothrow_convertible_v<const T&, std::string_view>;

template <class T>
concept log_duration = requires(const T& value) {
  typename T::period;
  { value.count() } -> std::convertible_to<typename T::rep>;
};

template <class T>
concept log_path = requires(const T& value) {
  { value.native() } -> std::convertible_to<std::string_view>;
};

template <class T>
concept log_printable = requires(const T& value) {
  { to_string(value) } -> std::convertible_to<std::string_view>;
};

template <class T>
void append_log(std::string& to, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    to += value ? "true" : "false";
  } else if constexpr (std::same_as<T, char>) {
    to += value;
  } else if constexpr (std::floating_point<T>) {
    append_number(to, value);
  } else if constexpr (std::signed_integral<T>) {
    append_number(to, static_cast<long long>(value));
  } else if constexpr (std::unsigned_integral<T>) {
    append_number(to, static_cast<unsigned long long>(value));
  } else if constexpr (std::is_pointer_v<T> && std::convertible_to<T, std::string_view>) {
    to += value == nullptr ? std::string_view("(null)") : std::string_view(value);
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    to += static_cast<std::string_view>(value);
  } else if constexpr (log_printable<T>) {
    to += to_string(value);
  } else if constexpr (log_path<T>) {
    to += value.native();
  } else if constexpr (std::derived_from<T, std::exception>) {
    to += value.what();
  } else if constexpr (log_duration<T>) {
    append_log(to, value.count());
    append_unit(to, T::period::num, T::period::den);
  } else if constexpr (std::is_pointer_v<T>) {
    append_pointer(to, value);
  } else {
    static_assert(!sizeof(T),
                  "log what is text, a number, a duration, a path, an exception, or has a "
                  "to_string found by its namespace");
  }
}

template <class... Parts>
[[gnu::cold]] void join_and_write_log(log_level level, const Parts&... parts) noexcept {
  try {
    std::string text;
    (append_log(text, parts), ...);
    write_log(level, text);
  } catch (...) {
    // Out of memory, or a to_string that threw: logging never fails its caller.
    drop_log();
  }
}

}  // namespace detail

/// Thread-safe; may be called before `init` and after `shutdown`, then to stderr. Never throws: a
/// record that cannot be written is counted. Line ends and control characters in a message are
/// escaped, so that a record is one line.
///
///     log::info("read ", n, " files in ", elapsed);   // joined only when the level is enabled
namespace log {

/// Whether a record of this level is written; for what is costly to prepare.
inline bool enabled(log_level level) noexcept {
  return level != log_level::off && level >= detail::log_threshold.load(std::memory_order_relaxed);
}

template <class... Parts>
void write(log_level level, const Parts&... parts) noexcept {
  if (!enabled(level)) return;
  if constexpr (sizeof...(Parts) == 1 && (detail::log_text<Parts> && ...)) {
    detail::write_log(level, parts...);
  } else {
    detail::join_and_write_log(level, parts...);
  }
}

template <class... Parts>
void trace(const Parts&... parts) noexcept {
  log::write(log_level::trace, parts...);
}
template <class... Parts>
void debug(const Parts&... parts) noexcept {
  log::write(log_level::debug, parts...);
}
template <class... Parts>
void info(const Parts&... parts) noexcept {
  log::write(log_level::info, parts...);
}
template <class... Parts>
void warn(const Parts&... parts) noexcept {
  log::write(log_level::warn, parts...);
}
template <class... Parts>
void error(const Parts&... parts) noexcept {
  log::write(log_level::error, parts...);
}

}  // namespace log
}  // namespace troupe
