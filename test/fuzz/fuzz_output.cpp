// Cuts any bytes that a worker prints into lines. Input: again and again one byte for the size of
// what comes at once, and that.
#include <string>
#include <vector>

#include "net/output_lines.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using net::output_lines;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  output_lines cutter;
  std::vector<std::string> lines;
  std::string all;
  while (!in.rest().empty()) {
    const auto bytes = in.take(std::size_t{in.number<std::uint8_t>()} * 64 + 1);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    all += text;
    cutter.add(text, lines);
  }
  cutter.finish(lines);
  std::size_t found = 0;
  for (const std::string& line : lines) {
    fuzz::check(line.size() <= output_lines::longest_line, "a line is too long");
    fuzz::check(line.find('\n') == std::string::npos, "a line holds the end of one");
    found += line.size();
  }
  fuzz::check(
      found + static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n')) == all.size(),
      "something that was printed is lost");
  fuzz::check(
      cutter.last().size() <= output_lines::kept_lines * (output_lines::kept_line_bytes + 1),
      "more is kept than shall be");
  return 0;
}
