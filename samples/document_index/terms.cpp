#include "terms.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "text.hpp"

namespace document_index {

namespace {

constexpr std::size_t longest_word = 40;  // what is longer is no word: base64, hashes, rulers

constexpr std::array<std::string_view, 84> stop_words = {
    "about", "after", "all",   "also", "am",    "an",    "and",   "any",  "are",  "as",    "at",
    "be",    "been",  "but",   "by",   "can",   "could", "did",   "do",   "does", "for",   "from",
    "had",   "has",   "have",  "he",   "her",   "his",   "how",   "i",    "if",   "in",    "into",
    "is",    "it",    "its",   "may",  "me",    "more",  "most",  "my",   "no",   "not",   "of",
    "on",    "one",   "only",  "or",   "other", "our",   "she",   "so",   "some", "such",  "than",
    "that",  "the",   "their", "them", "then",  "there", "these", "they", "this", "those", "to",
    "too",   "under", "up",    "us",   "use",   "was",   "we",    "were", "what", "when",  "which",
    "who",   "why",   "will",  "with", "would", "you",   "your"};
static_assert(std::is_sorted(stop_words.begin(), stop_words.end()));

std::uint64_t hash_onto(std::uint64_t hash, std::string_view text) {  // FNV-1a
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

std::uint32_t dimension_of(std::uint64_t hash) {
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15U;
  return static_cast<std::uint32_t>(hash >> 44) % dimensions;
}

/// Without `suffix`, when enough of a word is left.
bool strip(std::string_view& word, std::string_view suffix, std::size_t least) {
  if (word.size() < suffix.size() + least || !word.ends_with(suffix)) return false;
  word.remove_suffix(suffix.size());
  return true;
}

}  // namespace

std::string_view stem(std::string_view word) {
  if (!word.ends_with("ss") && !word.ends_with("us")) strip(word, "s", 3);
  if (strip(word, "ing", 3) || strip(word, "ed", 3)) {
    if (word.size() > 3 && word.back() == word[word.size() - 2]) word.remove_suffix(1);
  }
  strip(word, "e", 3);
  strip(word, "y", 3) || strip(word, "i", 3);
  return word;
}

bool is_stop_word(std::string_view word) {
  return word.size() < 2 || std::binary_search(stop_words.begin(), stop_words.end(), word);
}

std::vector<std::string> stems_of(std::string_view text) {
  std::vector<std::string> stems;
  for_each_word(text, [&](std::string_view word, std::size_t) {
    if (is_stop_word(word)) return;
    const std::string_view root = stem(word);
    if (std::find(stems.begin(), stems.end(), root) == stems.end()) stems.emplace_back(root);
  });
  return stems;
}

sparse_vector term_frequencies(std::string_view text) {
  constexpr std::uint64_t seed = 0xcbf29ce484222325U;
  std::vector<std::uint32_t> terms;
  std::uint64_t previous = 0;  // 0: nothing to pair with
  for_each_word(text, [&](std::string_view word, std::size_t) {
    if (is_stop_word(word)) return;
    if (word.size() > longest_word) {
      previous = 0;
      return;
    }
    const std::string_view root = stem(word);
    const std::uint64_t hash = hash_onto(seed, root);
    terms.push_back(dimension_of(hash));
    if (previous != 0) terms.push_back(dimension_of(hash_onto(previous ^ 1, root)));
    previous = hash;
  });

  std::sort(terms.begin(), terms.end());
  sparse_vector vector;
  for (std::size_t at = 0; at < terms.size();) {
    const auto begin = at;
    while (at < terms.size() && terms[at] == terms[begin]) ++at;
    vector.push_back({terms[begin], 1 + std::log(static_cast<float>(at - begin))});
  }
  return vector;
}

sparse_vector weighted(sparse_vector frequencies,
                       const std::vector<float>& inverse_document_frequencies) {
  double squares = 0;
  for (term_weight& entry : frequencies) {
    entry.weight *= inverse_document_frequencies[entry.term];
    squares += static_cast<double>(entry.weight) * entry.weight;
  }
  std::erase_if(frequencies, [](const term_weight& entry) { return entry.weight <= 0; });
  const auto length = static_cast<float>(std::sqrt(squares));
  for (term_weight& entry : frequencies) entry.weight /= length;
  return frequencies;
}

double resemblance(const sparse_vector& a, const sparse_vector& b) {
  std::size_t common = 0;
  for (auto left = a.begin(), right = b.begin(); left != a.end() && right != b.end();) {
    if (left->term == right->term) ++common;
    const bool left_is_less = left->term < right->term;
    if (!(right->term < left->term)) ++left;
    if (!left_is_less) ++right;
  }
  const std::size_t all = a.size() + b.size() - common;
  return all == 0 ? 1 : static_cast<double>(common) / static_cast<double>(all);
}

}  // namespace document_index
