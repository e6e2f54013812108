// Indexes the texts of a machine and answers queries with ranked passages.
//
// Notice when it runs: reading, embedding and extracting go on at the same time, with a bounded
// number of batches on their way; what the program itself does is to pass refs along
// (indexing.cpp).
//
//     document_index --query "patent license grant" /usr/share/common-licenses /usr/share/doc

#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <troupe/runtime.hpp>

#include "indexing.hpp"
#include "options.hpp"
#include "reading.hpp"
#include "report.hpp"

namespace {

using namespace document_index;

void run(const program_options& options) {
  file_list files = find_files(options.roots, options.limit);
  if (files.paths.empty()) {
    throw std::runtime_error("there are no files to read below '" + options.roots.front().string() +
                             (options.roots.size() > 1 ? "' and the others" : "'"));
  }
  const report_options report{.json = options.json, .list_left_out = options.list_left_out};
  indexer indexing(options);
  const totals done = indexing.run(std::move(files));
  print_summary(done, indexing.size(), report);
  for (const std::string& query : options.queries) print_answer(indexing.ask(query), report);
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<program_options> options;
  try {
    options = parse_command_line(argc, argv);
  } catch (const std::invalid_argument& wrong) {
    std::cerr << "document_index: " << wrong.what() << '\n';
    return 2;
  }
  if (!options) return 0;
  try {
    const auto session = troupe::init(argc, argv);
    run(*options);
  } catch (const std::exception& failed) {
    std::cerr << "document_index: " << failed.what() << '\n';
    return 1;
  }
  return 0;
}
