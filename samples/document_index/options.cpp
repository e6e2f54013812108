#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <stdexcept>
#include <string_view>

#include <boost/any.hpp>
#include <boost/program_options.hpp>

namespace document_index {

namespace po = boost::program_options;

namespace {

/// A number with bounds. Program_options' own numbers take "-1" as 18446744073709551615.
template <std::size_t Least, std::size_t Most>
struct count {
  std::size_t value = Least;
};

template <std::size_t Least, std::size_t Most>
void validate(boost::any& result, const std::vector<std::string>& given, count<Least, Most>*, int) {
  po::validators::check_first_occurrence(result);
  const std::string& text = po::validators::get_single_string(given);
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool complete = error == std::errc() && end == text.data() + text.size();
  if (!complete || value < Least || value > Most) {
    throw po::error_with_option_name("%canonical_option% takes a whole number from " +
                                     std::to_string(Least) + " to " + std::to_string(Most) +
                                     ", not '" + text + "'");
  }
  result = count<Least, Most>{value};
}

using few = count<1, 100>;
using many = count<1, 100'000>;
using number = count<1, 1'000'000'000>;
using kilobytes = count<1, 1 << 20>;
using words = count<10, 10'000>;
using overlapping = count<0, 9'999>;

po::options_description describe() {
  po::options_description visible("Options", 100);
  auto add = visible.add_options();
  add("query,q", po::value<std::vector<std::string>>()->value_name("TEXT"),
      "a question; may be given several times (default: three examples)");
  add("top", po::value<few>()->value_name("N"), "passages shown for each query (3)");
  add("workers", po::value<few>()->value_name("N"), "actors in each pool (one per CPU)");
  add("batch-size", po::value<many>()->value_name("N"), "passages in one call of an actor (32)");
  add("limit", po::value<number>()->value_name("N"), "read at most so many files");
  add("max-file-size", po::value<kilobytes>()->value_name("KIB"), "skip larger files (1024)");
  add("passage-words", po::value<words>()->value_name("N"), "words of a passage (200)");
  add("overlap", po::value<overlapping>()->value_name("N"),
      "words that a passage shares with the next (40)");
  add("list-left-out", "name every file that was left out, not only those that cannot be read");
  add("json", "one JSON object a line instead of text");
  add("help,h", "this text");
  return visible;
}

template <class Count>
void take(const po::variables_map& given, const char* name, std::size_t& to) {
  if (given.count(name) != 0) to = given[name].as<Count>().value;
}

std::vector<std::string> own_arguments(int argc, char** argv) {
  std::vector<std::string> own(argv + 1, argv + argc);
  std::erase_if(own, [](const std::string& each) { return each.starts_with("--troupe-"); });
  return own;
}

program_options convert(const po::variables_map& given) {
  program_options result;
  if (given.count("directory") != 0) {
    // As strings: Program_options splits a path at its blanks.
    const auto& roots = given["directory"].as<std::vector<std::string>>();
    result.roots.assign(roots.begin(), roots.end());
  } else {
    result.roots = {"/usr/share/common-licenses", "/usr/share/doc"};
  }
  result.queries = {"patent license grant", "how to report a bug",
                    "who holds the copyright of the GNU C library"};
  if (given.count("query") != 0) result.queries = given["query"].as<std::vector<std::string>>();

  take<few>(given, "top", result.top);
  take<few>(given, "workers", result.workers);
  take<many>(given, "batch-size", result.reading.batch_size);
  if (given.count("limit") != 0) result.limit = given["limit"].as<number>().value;
  if (given.count("max-file-size") != 0) {
    result.reading.max_file_bytes = given["max-file-size"].as<kilobytes>().value << 10;
  }
  take<words>(given, "passage-words", result.reading.passage_words);
  take<overlapping>(given, "overlap", result.reading.overlap_words);
  if (result.reading.overlap_words >= result.reading.passage_words) {
    throw std::invalid_argument("--overlap must be less than --passage-words, which is " +
                                std::to_string(result.reading.passage_words));
  }
  result.json = given.count("json") != 0;
  result.list_left_out = given.count("list-left-out") != 0;
  return result;
}

}  // namespace

std::optional<program_options> parse_command_line(int argc, char** argv) {
  const po::options_description visible = describe();
  po::options_description all;
  all.add(visible).add_options()("directory", po::value<std::vector<std::string>>());
  po::positional_options_description words_without_dashes;
  words_without_dashes.add("directory", -1);
  // No guessing: "--work" for "--workers" would break with the next option that begins so.
  constexpr int style =
      po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

  po::variables_map given;
  try {
    po::store(po::command_line_parser(own_arguments(argc, argv))
                  .options(all)
                  .positional(words_without_dashes)
                  .style(style)
                  .run(),
              given);
  } catch (const po::error& wrong) {
    throw std::invalid_argument(std::string(wrong.what()) + "; --help lists the options");
  }
  if (given.count("help") != 0) {
    std::cout << "document_index [OPTION]... [DIRECTORY]...\n"
                 "Indexes the texts below the directories (/usr/share/common-licenses and\n"
                 "/usr/share/doc) and answers queries with the passages that fit best.\n\n"
              << visible << "Options of troupe itself: --troupe-help\n";
    return std::nullopt;
  }
  return convert(given);
}

}  // namespace document_index
