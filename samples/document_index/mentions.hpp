/// The words of a sentence and the entities among them: the first half of finding facts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "facts.hpp"

namespace document_index {

/// A word without the punctuation around it.
struct token {
  std::string_view text;
  bool ends_phrase = false;  ///< punctuation follows
};

/// An entity and the tokens [begin, end) that name it.
struct mention {
  entity what;
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Views into `text`. A sentence ends at `.`, `!`, `?` before white space, and at an empty line.
std::vector<std::string_view> sentences_of(std::string_view text);
std::vector<token> tokens_of(std::string_view sentence);
/// In their order, without overlaps.
std::vector<mention> mentions_of(const std::vector<token>& sentence);

bool is_year(std::string_view word);

}  // namespace document_index
