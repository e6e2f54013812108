#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string_view>

namespace document_index {

namespace {

/// One option of the command line; `value` is empty for a switch.
struct option {
  std::string_view name;
  std::string_view value;
  std::string_view help;
  std::function<void(const std::string&)> apply;
};

[[noreturn]] void fail(const std::string& what) {
  throw std::invalid_argument(what + "; --help lists the options");
}

std::size_t whole_number(std::string_view name, const std::string& text, std::size_t least,
                         std::size_t most) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool complete = error == std::errc() && end == text.data() + text.size();
  if (!complete || value < least || value > most) {
    fail(std::string(name) + " takes a whole number from " + std::to_string(least) + " to " +
         std::to_string(most) + ", not '" + text + "'");
  }
  return value;
}

/// The options, which write to `to`.
std::vector<option> options_of(program_options& to, bool& help) {
  const auto number = [](std::string_view name, std::string_view about, std::size_t least,
                         std::size_t most, std::function<void(std::size_t)> store) {
    return option{name, "N", about,
                  [=](const std::string& text) { store(whole_number(name, text, least, most)); }};
  };
  reading_options& reading = to.reading;
  return {
      {"--query", "TEXT", "a question; may be given several times (default: three examples)",
       [&to](const std::string& text) { to.queries.push_back(text); }},
      number("--top", "passages shown for each query (3)", 1, 100,
             [&to](std::size_t n) { to.top = n; }),
      number("--workers", "actors in each pool (one for each CPU)", 1, 1000,
             [&to](std::size_t n) { to.workers = n; }),
      number("--batch-size", "passages in one call of an actor (32)", 1, 100'000,
             [&reading](std::size_t n) { reading.batch_size = n; }),
      number("--limit", "read at most so many files", 1, 1'000'000'000,
             [&to](std::size_t n) { to.limit = n; }),
      number("--max-file-size", "leave out files of more KiB (1024)", 1, 1 << 20,
             [&reading](std::size_t n) { reading.max_file_bytes = n << 10; }),
      number("--passage-words", "words of a passage (200)", 10, 10'000,
             [&reading](std::size_t n) { reading.passage_words = n; }),
      number("--overlap", "words that a passage shares with the next (40)", 0, 9'999,
             [&reading](std::size_t n) { reading.overlap_words = n; }),
      {"--list-left-out", "", "name every file left out, not only those that cannot be read",
       [&to](const std::string&) { to.list_left_out = true; }},
      {"--json", "", "one JSON object a line instead of text",
       [&to](const std::string&) { to.json = true; }},
      {"--help", "", "this text", [&help](const std::string&) { help = true; }},
  };
}

void print_help(const std::vector<option>& options) {
  std::cout << "document_index [OPTION]... [DIRECTORY]...\n"
               "Indexes the texts below the directories (/usr/share/common-licenses and\n"
               "/usr/share/doc) and answers queries with the passages that fit best.\n\n";
  for (const option& each : options) {
    const std::string usage = std::string(each.name) + " " + std::string(each.value);
    std::cout << "  " << std::left << std::setw(22) << usage << each.help << '\n';
  }
  std::cout << "Options of troupe itself: --troupe-help\n";
}

void apply(const std::vector<option>& options, const std::vector<std::string>& arguments,
           std::size_t& at) {
  const std::string& argument = arguments[at];
  const std::size_t equals = argument.find('=');
  const std::string name = argument.substr(0, equals);
  const auto known = std::find_if(options.begin(), options.end(),
                                  [&](const option& each) { return each.name == name; });
  if (known == options.end()) fail("there is no option '" + name + "'");
  if (known->value.empty()) {
    if (equals != std::string::npos) fail(name + " takes no value");
    known->apply({});
  } else if (equals != std::string::npos) {
    known->apply(argument.substr(equals + 1));
  } else if (++at < arguments.size()) {
    known->apply(arguments[at]);
  } else {
    fail(name + " takes a value: " + name + " " + std::string(known->value));
  }
}

}  // namespace

std::optional<program_options> parse_command_line(int argc, char** argv) {
  program_options result;
  bool help = false;
  const std::vector<option> options = options_of(result, help);
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  bool only_directories = false;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (only_directories || !argument.starts_with('-')) {
      result.roots.emplace_back(argument);
    } else if (argument == "--") {
      only_directories = true;
    } else if (!argument.starts_with("--troupe-")) {
      apply(options, arguments, at);
    }
  }
  if (help) {
    print_help(options);
    return std::nullopt;
  }
  if (result.reading.overlap_words >= result.reading.passage_words) {
    fail("--overlap must be less than --passage-words, which is " +
         std::to_string(result.reading.passage_words));
  }
  if (result.roots.empty()) result.roots = {"/usr/share/common-licenses", "/usr/share/doc"};
  if (result.queries.empty()) {
    result.queries = {"patent license grant", "how to report a bug",
                      "who holds the copyright of the GNU C library"};
  }
  return result;
}

}  // namespace document_index
