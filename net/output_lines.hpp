/// Cuts what a process prints into lines, and keeps the last ones.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

/// Between these a worker writes before a line the name of the function or actor that prints it.
/// Both are control characters that text has no use for.
inline constexpr char name_begins = '\x1e';
inline constexpr char name_ends = '\x1f';
inline constexpr std::size_t longest_printer_name = 200;

struct output_line {
  std::string name;  ///< of what printed it; empty when nobody said
  std::string text;
  bool operator==(const output_line&) const = default;
};

/// Thread-compatible.
class output_lines {
 public:
  static constexpr std::size_t longest_line = 16'384;  ///< a longer one is cut into several
  static constexpr std::size_t kept_lines = 20;
  static constexpr std::size_t kept_line_bytes = 400;  ///< of each of those

  /// Appends the lines that are complete now.
  void add(std::string_view bytes, std::vector<output_line>& lines);
  /// The last line, if nothing ended it.
  void finish(std::vector<output_line>& lines);
  /// The last lines, each ended by a line end but the last.
  std::string last() const;

 private:
  void complete(std::vector<output_line>& lines, bool is_cut);

  std::string begun_;
  std::string name_of_cut_;  ///< of a line whose beginning was given already
  bool cut_ = false;
  std::deque<std::string> last_;
};

}  // namespace troupe::net
