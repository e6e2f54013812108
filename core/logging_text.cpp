#include "core/logging_text.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>

#include <troupe/log.hpp>

namespace troupe {
namespace core::logging {
namespace {

void append_byte_escape(std::string& to, unsigned char byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  to += "\\x";
  to += digits[byte >> 4];
  to += digits[byte & 0xf];
}

void append_control(std::string& to, unsigned char byte) {
  switch (byte) {
    case '\n':
      to += "\\n";
      break;
    case '\r':
      to += "\\r";
      break;
    case '\t':
      to += "\\t";
      break;
    default:
      append_byte_escape(to, byte);
  }
}

/// The length of the well-formed UTF-8 sequence of two to four bytes at the start of `text`, 0 if
/// there is none or if it is a control character (U+0080 to U+009F) or a line or paragraph
/// separator.
std::size_t printable_sequence(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  std::uint32_t code = lead & (0x7fU >> length);
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0U) != 0x80U) return 0;
    code = code << 6 | (byte(at) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool steers = code < 0xa0 || code == 0x2028 || code == 0x2029;
  return overlong || surrogate || code > 0x10ffff || steers ? 0 : length;
}

}  // namespace

void append_escaped(std::string& to, std::string_view text) {
  to.reserve(to.size() + text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x20 && byte < 0x7f) {
      to += text[at++];
    } else if (byte < 0x80) {
      append_control(to, byte);
      ++at;
    } else if (const std::size_t length = printable_sequence(text.substr(at)); length != 0) {
      to.append(text, at, length);
      at += length;
    } else {
      append_byte_escape(to, byte);
      ++at;
    }
  }
}

}  // namespace core::logging

namespace detail {
namespace {

template <class Number>
void append_shortest(std::string& to, Number value) {
  // The shortest form of a long double in fixed or exponent notation is well below this.
  char buffer[64];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  to.append(buffer, result.ptr);
}

}  // namespace

void append_number(std::string& to, long long value) { append_shortest(to, value); }
void append_number(std::string& to, unsigned long long value) { append_shortest(to, value); }
void append_number(std::string& to, float value) { append_shortest(to, value); }
void append_number(std::string& to, double value) { append_shortest(to, value); }
void append_number(std::string& to, long double value) { append_shortest(to, value); }

void append_pointer(std::string& to, const void* value) {
  char buffer[2 * sizeof value];
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, reinterpret_cast<std::uintptr_t>(value), 16);
  to.append("0x").append(buffer, result.ptr);
}

void append_unit(std::string& to, std::int64_t numerator, std::int64_t denominator) {
  struct unit {
    std::int64_t numerator, denominator;
    std::string_view name;
  };
  constexpr unit units[] = {
      {1, 1'000'000'000, "ns"}, {1, 1'000'000, "us"}, {1, 1'000, "ms"}, {1, 1, "s"},
      {60, 1, "min"},           {3600, 1, "h"},       {86'400, 1, "d"}};
  for (const unit& known : units) {
    if (known.numerator == numerator && known.denominator == denominator) {
      to += known.name;
      return;
    }
  }
  to += " * ";
  append_number(to, static_cast<long long>(numerator));
  to += '/';
  append_number(to, static_cast<long long>(denominator));
  to += "s";
}

}  // namespace detail
}  // namespace troupe
