#include "mentions.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "terms.hpp"
#include "text.hpp"

namespace document_index {

namespace {

constexpr std::size_t longest_name = 7;    // words; more are a heading
constexpr std::size_t longest_token = 80;  // bytes; more are a ruler or a hash

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& set, std::string_view word) {
  return std::find(set.begin(), set.end(), word) != set.end();
}

constexpr std::array<std::string_view, 5> connectors = {"of", "for", "de", "van", "von"};
constexpr std::array<std::string_view, 18> organisation_words = {
    "foundation", "inc",        "incorporated", "corporation", "corp",      "ltd",
    "gmbh",       "university", "institute",    "project",     "group",     "consortium",
    "company",    "laboratory", "team",         "association", "community", "committee"};
constexpr std::array<std::string_view, 4> licence_words = {"license", "licence", "licenses",
                                                           "licences"};
constexpr std::array<std::string_view, 9> licence_prefixes = {
    "GPL", "LGPL", "AGPL", "GFDL", "MPL", "Apache-", "BSD-", "Artistic-", "CC-BY"};
// Capitalised where a sentence or a heading begins, and not part of the name that follows.
constexpr std::array<std::string_view, 23> openers = {
    "rights",     "note",    "see",     "please",        "copyright",      "copyrighted",
    "version",    "section", "chapter", "table",         "figure",         "files",
    "file",       "comment", "source",  "however",       "each",           "every",
    "permission", "author",  "authors", "upstream-name", "redistributions"};

bool is_capitalised(std::string_view word) {
  return word.size() > 1 && is_upper(word[0]) && word.find_first_of("/()=_<>:") == word.npos;
}
bool shouts(std::string_view word) {
  return word.size() > 4 && std::none_of(word.begin(), word.end(), is_lower);
}
bool is_initial(std::string_view word) {  // "Richard M. Stallman"
  return (word.size() == 1 && is_upper(word[0])) || word == "GNU";
}

bool is_email(std::string_view word) {
  const std::size_t at = word.find('@');
  return at != 0 && at != word.npos && word.find('@', at + 1) == word.npos &&
         word.find('.', at) != word.npos && word.find_first_of("/:;,{}[]()") == word.npos &&
         is_word_byte(word.back()) && is_word_byte(word[at + 1]);
}

bool is_url(std::string_view word) {
  for (const std::string_view scheme : {"http://", "https://", "ftp://"}) {
    if (word.starts_with(scheme)) return word.size() > scheme.size() + 3;
  }
  return word.starts_with("www.") && word.size() > 7;
}

/// A licence named by one word: "GPL-2+", "BSD-3-clause".
bool is_licence_id(std::string_view word) {
  return std::any_of(
      licence_prefixes.begin(), licence_prefixes.end(), [&](std::string_view prefix) {
        if (!word.starts_with(prefix) || word.size() > 24) return false;
        const std::string_view rest = word.substr(prefix.size());
        return prefix.ends_with('-') ? !rest.empty()
                                     : rest.empty() || rest[0] == '-' || rest[0] == 'v';
      });
}

std::optional<entity_kind> kind_of_word(std::string_view word) {
  if (is_url(word)) return entity_kind::url;
  if (is_email(word)) return entity_kind::email;
  if (is_year(word)) return entity_kind::year;
  if (is_licence_id(word)) return entity_kind::licence;
  return std::nullopt;
}

entity_kind kind_of_name(const std::vector<token>& words, std::size_t begin, std::size_t end) {
  if (contains(licence_words, lower_case(words[end - 1].text))) return entity_kind::licence;
  for (std::size_t at = begin; at < end; ++at) {
    if (contains(organisation_words, lower_case(words[at].text))) return entity_kind::organisation;
  }
  return entity_kind::name;
}

/// The end of the capitalised words from `begin` on; connectors count when one more follows.
std::size_t end_of_name(const std::vector<token>& words, std::size_t begin) {
  std::size_t end = begin;
  while (end < words.size()) {
    const std::string_view word = words[end].text;
    const bool joins = end > begin && end + 1 < words.size() && contains(connectors, word) &&
                       !words[end].ends_phrase && is_capitalised(words[end + 1].text);
    if (!joins && !is_capitalised(word) && !is_initial(word)) break;
    ++end;
    const bool initial = word.size() == 1;  // its full stop ends no phrase
    if (words[end - 1].ends_phrase && !initial) break;
  }
  return end;
}

std::optional<mention> name_at(const std::vector<token>& words, std::size_t begin) {
  const std::size_t end = end_of_name(words, begin);
  while (begin < end) {
    const std::string first = lower_case(words[begin].text);
    if (words[begin].text.size() > 1 && !is_stop_word(first) && !contains(openers, first)) break;
    ++begin;
  }
  if (end - begin < 2 || end - begin > longest_name) return std::nullopt;
  std::string text;
  for (std::size_t at = begin; at < end; ++at) {
    if (shouts(words[at].text)) return std::nullopt;  // "NO WARRANTY"
    if (!text.empty()) text += ' ';
    text += words[at].text;
  }
  if (std::none_of(text.begin(), text.end(), is_lower)) return std::nullopt;
  return mention{{kind_of_name(words, begin, end), printable(text)}, begin, end};
}

}  // namespace

bool is_year(std::string_view word) {
  if (word.size() == 9 && (word[4] == '-'))
    return is_year(word.substr(0, 4)) && is_year(word.substr(5));
  return word.size() == 4 && std::all_of(word.begin(), word.end(), is_digit) && word >= "1960" &&
         word <= "2039";
}

std::vector<std::string_view> sentences_of(std::string_view text) {
  std::vector<std::string_view> sentences;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool last = at + 1 == text.size();
    const bool stop = (text[at] == '.' || text[at] == '!' || text[at] == '?') &&
                      (last || is_space(text[at + 1])) && !(at > 1 && text[at - 2] == ' ');
    const bool gap = text[at] == '\n' && !last && text[at + 1] == '\n';
    if (!stop && !gap && !last) continue;
    sentences.push_back(text.substr(begin, at + 1 - begin));
    begin = at + 1;
  }
  return sentences;
}

std::vector<token> tokens_of(std::string_view sentence) {
  std::vector<token> tokens;
  for (std::size_t at = 0; at < sentence.size();) {
    if (is_space(sentence[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < sentence.size() && !is_space(sentence[at])) ++at;
    std::string_view word = sentence.substr(begin, at - begin);
    if (word == "#" || word == "*" || word == "//") continue;  // a line of a comment begins
    if (lower_case(word) == "(c)" || word == "\xc2\xa9") {
      tokens.push_back({"(c)", false});
      continue;
    }
    const auto is_edge = [](char c) { return !is_word_byte(c) && c != '+'; };
    bool opens = false;
    while (!word.empty() && is_edge(word.front())) {
      opens = opens || word.front() != '<';
      word.remove_prefix(1);
    }
    if (opens && !tokens.empty()) tokens.back().ends_phrase = true;
    // "License:" on a line of its own is a field, not the last name of who stands before it.
    if (word.ends_with(':') && !tokens.empty()) tokens.back().ends_phrase = true;
    bool closes = false;
    while (!word.empty() && is_edge(word.back())) {
      closes = true;
      word.remove_suffix(1);
    }
    if (word.empty() || word.size() > longest_token) {
      if (!tokens.empty()) tokens.back().ends_phrase = true;
    } else {
      tokens.push_back({word, closes});
    }
  }
  return tokens;
}

std::vector<mention> mentions_of(const std::vector<token>& sentence) {
  std::vector<mention> mentions;
  for (std::size_t at = 0; at < sentence.size();) {
    const std::string_view word = sentence[at].text;
    if (const auto kind = kind_of_word(word)) {
      mentions.push_back({{*kind, printable(word)}, at, at + 1});
      ++at;
    } else if (!is_capitalised(word) && !is_initial(word)) {
      ++at;
    } else if (auto name = name_at(sentence, at)) {
      at = name->end;
      mentions.push_back(*std::move(name));
    } else {
      at = std::max(at + 1, end_of_name(sentence, at));
    }
  }
  return mentions;
}

}  // namespace document_index
