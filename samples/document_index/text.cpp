#include "text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace document_index {

namespace {

constexpr std::size_t bytes_per_word = 16;

bool starts_with_tag(std::string_view page, std::string_view tag) {
  return page.size() > tag.size() + 1 && page[0] == '<' &&
         lower_case(page.substr(1, tag.size())) == tag;
}

/// Where the element that starts at `at` ends: behind its closing tag, or behind the tag itself.
std::size_t end_of_markup(std::string_view page, std::size_t at) {
  const std::string_view rest = page.substr(at);
  std::size_t end = std::string_view::npos;
  if (rest.starts_with("<!--")) {
    end = page.find("-->", at);
    return end == std::string_view::npos ? page.size() : end + 3;
  }
  for (const std::string_view hidden : {"script", "style"}) {
    if (!starts_with_tag(rest, hidden)) continue;
    end = page.find("</" + std::string(hidden), at);
    if (end == std::string_view::npos) return page.size();
    at = end;
  }
  end = page.find('>', at);
  return end == std::string_view::npos ? page.size() : end + 1;
}

/// Decodes the entity at the front of `rest`: its text and its length, or `&` itself.
std::pair<std::string_view, std::size_t> decode_entity(std::string_view rest) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> known = {
      {{"&amp;", "&"},
       {"&lt;", "<"},
       {"&gt;", ">"},
       {"&quot;", "\""},
       {"&ldquo;", "\""},
       {"&rdquo;", "\""},
       {"&lsquo;", "'"},
       {"&rsquo;", "'"},
       {"&#39;", "'"},
       {"&#160;", " "},
       {"&nbsp;", " "},
       {"&ndash;", "-"},
       {"&mdash;", "-"},
       {"&copy;", "\xc2\xa9"}}};
  for (const auto& [entity, text] : known) {
    if (rest.starts_with(entity)) return {text, entity.size()};
  }
  return {rest.substr(0, 1), 1};
}

/// Bytes of the UTF-8 sequence at the front of `text`; 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  std::size_t length = 0;
  if (first >= 0xc2 && first < 0xe0) length = 2;
  if (first >= 0xe0 && first < 0xf0) length = 3;
  if (first >= 0xf0 && first < 0xf5) length = 4;
  if (length == 0 || length > text.size()) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool out_of_range = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  // U+0080 to U+009f are control characters, which terminals obey.
  if (overlong || out_of_range || (first == 0xc2 && second < 0xa0)) return 0;
  const bool continued = std::all_of(text.begin() + 1, text.begin() + static_cast<long>(length),
                                     [](char c) { return (c & 0xc0) == 0x80; });
  return continued ? length : 0;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool looks_binary(std::string_view text) {
  return text.substr(0, 8192).find('\0') != std::string_view::npos;
}

std::string without_markup(std::string_view page) {
  std::string text;
  text.reserve(page.size() / 2);
  for (std::size_t at = 0; at < page.size();) {
    if (page[at] == '<') {
      at = end_of_markup(page, at);
      text += ' ';
    } else if (page[at] == '&') {
      const auto [decoded, length] = decode_entity(page.substr(at));
      text += decoded;
      at += length;
    } else {
      text += page[at++];
    }
  }
  return text;
}

std::vector<std::string_view> split_into_passages(std::string_view text, std::size_t words,
                                                  std::size_t overlap) {
  struct span {
    std::size_t begin, end;
  };
  std::vector<span> spans;
  for (std::size_t at = 0; at < text.size();) {
    if (is_space(text[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    const std::size_t longest = begin + words * bytes_per_word;
    while (at < text.size() && at < longest && !is_space(text[at])) ++at;
    spans.push_back({begin, at});
  }

  std::vector<std::string_view> passages;
  for (std::size_t first = 0; first < spans.size();) {
    std::size_t last = first;
    while (last + 1 < spans.size() && last + 1 - first < words &&
           spans[last + 1].end - spans[first].begin <= words * bytes_per_word) {
      ++last;
    }
    passages.push_back(text.substr(spans[first].begin, spans[last].end - spans[first].begin));
    if (last + 1 == spans.size()) break;
    first = std::max(first + 1, last + 1 - std::min(overlap, last - first));
  }
  return passages;
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    std::size_t length = 1;
    if (is_space(c)) {
      if (!result.empty() && result.back() != ' ') result += ' ';
    } else if (c > ' ' && c < 0x7f) {
      result += c;
    } else if (length = utf8_length(text.substr(at)); length > 0) {
      result += text.substr(at, length);
    } else {
      result += '?';
      length = 1;
    }
    at += length;
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

}  // namespace document_index
