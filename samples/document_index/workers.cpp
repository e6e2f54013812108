#include "workers.hpp"

#include <cmath>

#include <troupe/runtime.hpp>

namespace document_index {

std::vector<sparse_vector> embedder::count(const batch& passages) const {
  std::vector<sparse_vector> counts;
  counts.reserve(passages.passages.size());
  for (const passage& each : passages.passages) counts.push_back(term_frequencies(each.text));
  return counts;
}

std::vector<sparse_vector> embedder::weigh(const std::vector<sparse_vector>& counts,
                                           const std::vector<float>& worth) const {
  std::vector<sparse_vector> vectors;
  vectors.reserve(counts.size());
  for (const sparse_vector& each : counts) vectors.push_back(weighted(each, worth));
  return vectors;
}

sparse_vector embedder::embed(const std::string& text, const std::vector<float>& worth) const {
  return weighted(term_frequencies(text), worth);
}

batch_facts extractor::extract(const batch& passages) const {
  batch_facts facts{{}, troupe::node_name()};
  facts.passages.reserve(passages.passages.size());
  for (const passage& each : passages.passages) {
    facts.passages.push_back(extract_facts(each.text, document_of(each.path)));
  }
  return facts;
}

void term_statistics::add(const std::vector<sparse_vector>& counts) {
  passages_ += counts.size();
  for (const sparse_vector& vector : counts) {
    for (const term_weight& entry : vector) ++passages_with_[entry.term];
  }
}

std::vector<float> term_statistics::worth() const {
  std::vector<float> worth;
  worth.reserve(passages_with_.size());
  const double all = static_cast<double>(passages_) + 1;
  for (const std::uint32_t with : passages_with_) {
    worth.push_back(static_cast<float>(std::log(all / (with + 1.0)) + 1));
  }
  return worth;
}

}  // namespace document_index
