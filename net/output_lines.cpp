#include "net/output_lines.hpp"

#include <algorithm>
#include <utility>

namespace troupe::net {

void output_lines::add(std::string_view bytes, std::vector<output_line>& lines) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t room = longest_line - begun_.size();
    const std::size_t size = std::min({end, room, bytes.size()});
    begun_.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (!bytes.empty() && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      complete(lines, false);
    } else if (begun_.size() == longest_line) {
      complete(lines, true);
    }
  }
}

void output_lines::finish(std::vector<output_line>& lines) {
  if (!begun_.empty()) complete(lines, false);
}

void output_lines::complete(std::vector<output_line>& lines, bool is_cut) {
  output_line line{cut_ ? name_of_cut_ : std::string(), std::exchange(begun_, {})};
  if (!line.text.empty() && line.text.front() == name_begins) {
    const std::size_t end = line.text.find(name_ends);
    if (end != std::string::npos && end <= longest_printer_name + 1) {
      line.name = line.text.substr(1, end - 1);
      line.text.erase(0, end + 1);
    }
  }
  cut_ = is_cut;
  name_of_cut_ = is_cut ? line.name : std::string();
  last_.push_back(line.text.substr(0, kept_line_bytes));
  if (last_.size() > kept_lines) last_.pop_front();
  lines.push_back(std::move(line));
}

std::string output_lines::last() const {
  std::string text;
  for (const std::string& line : last_) {
    if (!text.empty()) text += '\n';
    text += line;
  }
  return text;
}

}  // namespace troupe::net
