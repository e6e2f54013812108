#include "index.hpp"

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "snippet.hpp"

namespace document_index {

namespace {

constexpr std::size_t snippet_words = 45;
constexpr std::size_t shown_relations = 4;
constexpr std::size_t shown_entities = 8;

// Two licences share about a tenth of their terms, two cuts through one text more than half.
constexpr double least_resemblance = 0.45;
// How many candidates are looked at for each hit that is asked for.
constexpr std::size_t candidates_per_hit = 20;

bool are_neighbours(const hit& shown, const passage& other) {
  return shown.path == other.path &&
         (shown.number + 1 == other.number || other.number + 1 == shown.number);
}

}  // namespace

void passage_index::add(troupe::object_ref<batch> passages,
                        const std::vector<sparse_vector>& vectors, const batch_facts& facts) {
  troupe::object_view<batch> view = troupe::view(passages);
  if (vectors.size() != view->passages.size() || facts.passages.size() != view->passages.size()) {
    throw std::invalid_argument("passage_index::add: each passage needs one vector and its facts");
  }
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const auto number = static_cast<std::uint32_t>(entries_.size());
    for (const auto& [term, weight] : vectors[i]) postings_[term].push_back({number, weight});
    entries_.push_back({&view->passages[i], graph_.add(facts.passages[i])});
  }
  passages_by_node_[facts.node] += vectors.size();
  batches_.push_back(std::move(view));
}

std::vector<passage_index::scored> passage_index::score_all(const sparse_vector& vector) const {
  std::vector<float> scores(entries_.size(), 0);
  for (const auto& [term, weight] : vector) {
    for (const posting& at : postings_[term]) scores[at.passage] += weight * at.weight;
  }
  std::vector<scored> found;
  for (std::uint32_t at = 0; at < scores.size(); ++at) {
    if (scores[at] > 0) found.push_back({scores[at], at});
  }
  std::sort(found.begin(), found.end(), [this](const scored& a, const scored& b) {
    if (a.score != b.score) return a.score > b.score;
    const passage& left = *entries_[a.passage].what;
    const passage& right = *entries_[b.passage].what;
    return std::tie(left.path, left.number) < std::tie(right.path, right.number);
  });
  return found;
}

hit passage_index::make_hit(const scored& found, const std::string& query) const {
  const entry& at = entries_[found.passage];
  hit result{found.score, at.what->path, at.what->number, 0, {}, {}};
  result.snippet = snippet_of(at.what->text, query, snippet_words);
  for (const std::uint32_t number : at.entities) result.entities.push_back(graph_.at(number));
  std::stable_sort(result.entities.begin(), result.entities.end(),
                   [](const entity& a, const entity& b) { return a.kind < b.kind; });
  if (result.entities.size() > shown_entities) result.entities.resize(shown_entities);
  return result;
}

answer passage_index::search(const sparse_vector& vector, const std::string& query,
                             std::size_t top) const {
  answer result{query, {}, {}};
  std::vector<sparse_vector> shown;  // the terms of the hits
  std::vector<scored> candidates = score_all(vector);
  candidates.resize(std::min(candidates.size(), top * candidates_per_hit));
  for (const scored& found : candidates) {
    const passage& candidate = *entries_[found.passage].what;
    sparse_vector terms = term_frequencies(candidate.text);
    const auto like = std::find_if(shown.begin(), shown.end(), [&](const sparse_vector& other) {
      return resemblance(other, terms) >= least_resemblance;
    });
    if (like != shown.end()) {
      ++result.hits[static_cast<std::size_t>(like - shown.begin())].alike;
    } else if (shown.size() < top &&
               std::none_of(result.hits.begin(), result.hits.end(),
                            [&](const hit& other) { return are_neighbours(other, candidate); })) {
      result.hits.push_back(make_hit(found, query));
      shown.push_back(std::move(terms));
    }
  }

  std::vector<std::string> names;
  for (const hit& found : result.hits) {
    names.push_back(document_of(found.path));
    for (const entity& mentioned : found.entities) names.push_back(mentioned.text);
  }
  result.related = graph_.about(names, query, shown_relations);
  return result;
}

index_size passage_index::size() const {
  index_size result;
  result.passages = entries_.size();
  result.terms = static_cast<std::size_t>(std::count_if(
      postings_.begin(), postings_.end(), [](const auto& list) { return !list.empty(); }));
  result.entities = graph_.entities();
  result.relations = graph_.relations();
  result.most_mentioned = graph_.most_mentioned(5);
  result.passages_by_node = passages_by_node_;
  return result;
}

}  // namespace document_index
