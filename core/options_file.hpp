/// The configuration file: finding out whether it is there, reading it, splitting it into entries.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::core {

struct file_entry {
  std::string key;
  std::string value;
  std::string where;  ///< `file PATH, line 3`
};

/// Splits lines `key = value`; `#` begins a comment. Throws `std::invalid_argument` with file and
/// line for anything else.
std::vector<file_entry> parse_config_lines(std::string_view path, const std::string& content);

/// The content of a file that was asked for by name; `asked_by` (an option or a variable) is what
/// the `std::invalid_argument` names when it cannot be read or is larger than 1 MiB.
std::string read_named_file(const std::string& path, std::string_view asked_by);

/// Nothing when there is no such file; `std::invalid_argument` when there is one that cannot be
/// read.
std::optional<std::string> read_file_if_there(const std::string& path);

}  // namespace troupe::core
