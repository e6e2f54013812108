/// Tables on a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::tools {

/// Control characters of a peer's text must not reach a terminal.
std::string printable(std::string text);
/// "3.5 GiB".
std::string size_text(std::uint64_t bytes);
/// The first row is the heading; columns are as wide as they must be.
void print_table(std::vector<std::vector<std::string>> rows);

}  // namespace troupe::tools
