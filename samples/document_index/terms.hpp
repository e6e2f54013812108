/// Hashed n-gram vectors: what embeds passages and queries so that they can be compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace document_index {

/// The number of dimensions. n-grams are hashed to them: no vocabulary to share or to grow.
inline constexpr std::uint32_t dimensions = 1U << 20;

struct term_weight {
  std::uint32_t term = 0;  ///< below `dimensions`
  float weight = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(term, weight);
  }
};

/// The terms of a text, each once, ascending.
using sparse_vector = std::vector<term_weight>;

/// The stem of a word in lower case: "licensed", "licenses" and "licensing" become "licens".
std::string_view stem(std::string_view word);

/// Whether a word in lower case says nothing about its text: "the", "of", or a single letter.
bool is_stop_word(std::string_view word);

/// The stems of a text's words without stop words, each once, in their order.
std::vector<std::string> stems_of(std::string_view text);

/// How often the stems and the pairs of neighbouring stems stand in a text, damped: 1 + ln(count).
sparse_vector term_frequencies(std::string_view text);

/// Multiplies by the inverse document frequencies and scales to length 1. Terms without weight go.
sparse_vector weighted(sparse_vector frequencies,
                       const std::vector<float>& inverse_document_frequencies);

/// The share of terms that two vectors have in common, 0 to 1, whatever their weights.
double resemblance(const sparse_vector& a, const sparse_vector& b);

}  // namespace document_index
