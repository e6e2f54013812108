/// The program's own command line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "reading.hpp"

namespace document_index {

struct program_options {
  std::vector<std::filesystem::path> roots;
  std::vector<std::string> queries;
  std::size_t top = 3;
  std::size_t workers = 0;  ///< actors of each pool; 0: one for each CPU of the session
  std::optional<std::size_t> limit;
  reading_options reading;
  bool json = false;
  bool list_left_out = false;
};

/// Options that begin with `--troupe-` are left to `troupe::init`. Nothing when help was asked for
/// and printed.
/// @throws std::invalid_argument that names the option and what is wrong with it.
std::optional<program_options> parse_command_line(int argc, char** argv);

}  // namespace document_index
