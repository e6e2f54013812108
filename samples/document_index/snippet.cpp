#include "snippet.hpp"

#include <algorithm>
#include <vector>

#include "terms.hpp"
#include "text.hpp"

namespace document_index {

namespace {

constexpr std::size_t no_term = static_cast<std::size_t>(-1);

struct placed_word {
  std::size_t offset = 0;
  std::size_t term = no_term;  ///< which of the query's words it is
};

/// How good a window is: different words of the query count more than the same one again.
std::size_t merit(const std::vector<placed_word>& words, std::size_t begin, std::size_t end,
                  std::size_t terms) {
  std::vector<bool> seen(terms, false);
  std::size_t points = 0;
  for (std::size_t at = begin; at < end; ++at) {
    if (words[at].term == no_term) continue;
    points += seen[words[at].term] ? 1 : 10;
    seen[words[at].term] = true;
  }
  return points;
}

}  // namespace

std::string snippet_of(std::string_view passage, std::string_view query, std::size_t length) {
  const std::vector<std::string> terms = stems_of(query);
  std::vector<placed_word> words;
  for_each_word(passage, [&](std::string_view word, std::size_t offset) {
    const auto term = std::find(terms.begin(), terms.end(), stem(word));
    words.push_back(
        {offset, term == terms.end() ? no_term : static_cast<std::size_t>(term - terms.begin())});
  });
  if (words.size() <= length) return printable(passage);

  constexpr std::size_t lead = 6;  // words before the first hit, so that it can be understood
  std::size_t best = 0;
  std::size_t best_merit = merit(words, 0, length, terms.size());
  for (std::size_t at = 1; at < words.size(); ++at) {
    if (words[at].term == no_term) continue;
    const std::size_t begin = std::min(at - std::min(at, lead), words.size() - length);
    const std::size_t points = merit(words, begin, begin + length, terms.size());
    if (points <= best_merit) continue;
    best = begin;
    best_merit = points;
  }

  const std::size_t begin = words[best].offset;
  const bool ends_early = best + length < words.size();
  const std::size_t end = ends_early ? words[best + length].offset : passage.size();
  return (best > 0 ? "... " : "") + printable(passage.substr(begin, end - begin)) +
         (ends_early ? " ..." : "");
}

}  // namespace document_index
