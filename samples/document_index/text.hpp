/// Text as bytes: words, passages, markup, and what may be shown on a terminal.
#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace document_index {

/// Letters and digits; every byte of a UTF-8 sequence counts as a letter.
inline bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0;
}
inline bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
inline bool is_upper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
inline bool is_lower(char c) { return std::islower(static_cast<unsigned char>(c)) != 0; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// ASCII letters in lower case; all other bytes as they are.
std::string lower_case(std::string_view text);

/// Calls `f(word in lower case, offset of its first byte)` for each word. The word is valid during
/// the call only.
template <class F>
void for_each_word(std::string_view text, F f) {
  std::string word;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word_byte(text[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    word.clear();
    for (; at < text.size() && is_word_byte(text[at]); ++at) {
      const char c = text[at];
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    f(std::string_view(word), begin);
  }
}

/// Whether the text looks like no text: its first kilobytes hold a zero byte.
bool looks_binary(std::string_view text);

/// The text of an HTML or XML page: no tags, scripts and styles, the common entities decoded.
std::string without_markup(std::string_view page);

/// Splits at white space into windows of `words` words, of which `overlap` are the last ones of the
/// window before. A window ends early when it grows beyond 16 bytes a word.
std::vector<std::string_view> split_into_passages(std::string_view text, std::size_t words,
                                                  std::size_t overlap);

/// One line that is safe to print: white space runs become one blank, control characters and bytes
/// that are not UTF-8 become `?`.
std::string printable(std::string_view text);

}  // namespace document_index
