#include "core/options_file.hpp"

#include <cerrno>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>

#include "core/descriptor.hpp"
#include "core/units.hpp"

namespace troupe::core {
namespace {

namespace po = boost::program_options;

constexpr std::size_t largest_file = 1 << 20;
constexpr std::string_view blanks = " \t\r";
constexpr std::string_view line_allowed = "NAME = VALUE; # begins a comment";

/// The content, or the errno that says why there is none. Also of a pipe, hence not by size.
std::pair<std::string, int> read_all(const std::string& path) {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {{}, errno};
  std::string content;
  char buffer[4096];
  while (content.size() <= largest_file) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got == 0) return {content, 0};
    if (got > 0) {
      content.append(buffer, static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      return {{}, errno};
    }
  }
  return {{}, EFBIG};
}

[[noreturn]] void refuse_file(std::string_view what, const std::string& path, int reason) {
  refuse_value(what, path, "cannot be read: " + std::generic_category().message(reason),
               "a file of at most 1 MiB that this user may read");
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// Refuses what Program_options would take silently in another way than it was meant.
void check_line(std::string_view line, const std::string& where) {
  const std::string_view text = trim(line);
  if (text.starts_with('[')) refuse_value(where, text, "begins a section", line_allowed);
  if (text.starts_with('=')) refuse_value(where, text, "has a value without a name", line_allowed);
  const std::size_t hash = text.find('#');
  if (hash == std::string_view::npos || hash == 0) return;
  if (blanks.find(text[hash - 1]) == std::string_view::npos) {
    refuse_value(where, text, "has a # inside a word, which would cut it off",
                 "# after a blank, as a comment");
  }
}

}  // namespace

std::vector<file_entry> parse_config_lines(std::string_view path, const std::string& content) {
  static const po::options_description none_registered;
  std::vector<file_entry> entries;
  std::istringstream lines(content);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = "file " + std::string(path) + ", line " + std::to_string(++number);
    check_line(line, where);
    try {
      // Line by line, for its errors do not say which one they mean.
      std::istringstream one(line);
      constexpr bool allow_unregistered = true;
      for (const po::option& option :
           po::parse_config_file(one, none_registered, allow_unregistered).options) {
        entries.push_back(
            {option.string_key, option.value.empty() ? "" : option.value.front(), where});
      }
    } catch (const po::error&) {
      refuse_value(where, trim(line), "is no entry", line_allowed);
    }
  }
  return entries;
}

std::string read_named_file(const std::string& path, std::string_view asked_by) {
  auto [content, reason] = read_all(path);
  if (reason != 0) refuse_file(asked_by, path, reason);
  return std::move(content);
}

std::optional<std::string> read_file_if_there(const std::string& path) {
  auto [content, reason] = read_all(path);
  if (reason == 0) return std::move(content);
  const bool absent = reason == ENOENT || reason == ENOTDIR;
  // In a folder that this user may not enter (sudo keeps HOME) there is nothing for this user.
  const bool hidden = reason == EACCES && ::access(path.c_str(), F_OK) != 0;
  if (absent || hidden) return std::nullopt;
  refuse_file("configuration", path, reason);
}

}  // namespace troupe::core
