/// Cuts what a process prints into lines, and keeps the last ones.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

/// Thread-compatible.
class output_lines {
 public:
  static constexpr std::size_t longest_line = 16'384;  ///< a longer one is cut into several
  static constexpr std::size_t kept_lines = 20;
  static constexpr std::size_t kept_line_bytes = 400;  ///< of each of those

  /// Appends the lines that are complete now.
  void add(std::string_view bytes, std::vector<std::string>& lines);
  /// The last line, if nothing ended it.
  void finish(std::vector<std::string>& lines);
  /// The last lines, each ended by a line end but the last.
  std::string last() const;

 private:
  void complete(std::vector<std::string>& lines);

  std::string begun_;
  std::deque<std::string> last_;
};

}  // namespace troupe::net
