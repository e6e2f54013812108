/// The actors of the two pools, and the one that counts in how many passages a term stands.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "facts.hpp"
#include "passage.hpp"
#include "terms.hpp"

namespace document_index {

/// Turns text into vectors, in two steps: what a term is worth is known after all were counted.
class embedder {
 public:
  std::vector<sparse_vector> count(const batch& passages) const;
  std::vector<sparse_vector> weigh(const std::vector<sparse_vector>& counts,
                                   const std::vector<float>& worth) const;
  sparse_vector embed(const std::string& text, const std::vector<float>& worth) const;
};

/// Finds what passages speak of.
class extractor {
 public:
  batch_facts extract(const batch& passages) const;
};

/// Counts in how many passages each term stands, over all batches.
class term_statistics {
 public:
  void add(const std::vector<sparse_vector>& counts);
  /// Inverse document frequencies by term: ln((1 + passages) / (1 + passages with the term)) + 1.
  std::vector<float> worth() const;

 private:
  std::vector<std::uint32_t> passages_with_ = std::vector<std::uint32_t>(dimensions, 0);
  std::uint64_t passages_ = 0;
};

}  // namespace document_index
