/// The part of a passage that answers a query best.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace document_index {

/// About `words` words of the passage where most of the query's words stand, as one printable line.
std::string snippet_of(std::string_view passage, std::string_view query, std::size_t words);

}  // namespace document_index
