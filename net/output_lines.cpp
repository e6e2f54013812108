#include "net/output_lines.hpp"

#include <algorithm>
#include <utility>

namespace troupe::net {

void output_lines::add(std::string_view bytes, std::vector<std::string>& lines) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t room = longest_line - begun_.size();
    const std::size_t size = std::min({end, room, bytes.size()});
    begun_.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (!bytes.empty() && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      complete(lines);
    } else if (begun_.size() == longest_line) {
      complete(lines);
    }
  }
}

void output_lines::finish(std::vector<std::string>& lines) {
  if (!begun_.empty()) complete(lines);
}

void output_lines::complete(std::vector<std::string>& lines) {
  last_.push_back(begun_.substr(0, kept_line_bytes));
  if (last_.size() > kept_lines) last_.pop_front();
  lines.push_back(std::exchange(begun_, {}));
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
