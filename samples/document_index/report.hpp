/// What the program prints: answers and a summary, as text or as one JSON object a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index.hpp"
#include "passage.hpp"

namespace document_index {

/// What one run of indexing did.
struct totals {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
  std::vector<left_out_file> left_out;
};

struct report_options {
  bool json = false;
  bool list_left_out = false;  ///< name all files that were left out, not only unreadable ones
};

void print_summary(const totals& run, const index_size& size, const report_options& options);
void print_answer(const answer& found, const report_options& options);

}  // namespace document_index
