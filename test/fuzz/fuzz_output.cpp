// Cuts any bytes that a worker prints into lines. Input: again and again one byte for the size of
// what comes at once, and that.
#include <string>
#include <vector>

#include "net/output_lines.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  output_lines cutter;
  std::vector<output_line> lines;
  std::string all;
  while (!in.rest().empty()) {
    const auto bytes = in.take(std::size_t{in.number<std::uint8_t>()} * 64 + 1);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    all += text;
    cutter.add(text, lines);
  }
  cutter.finish(lines);
  std::size_t found = 0;
  for (const output_line& line : lines) {
    fuzz::check(line.text.size() <= output_lines::longest_line, "a line is too long");
    fuzz::check(line.name.size() <= longest_printer_name, "a name is too long");
    fuzz::check(line.text.find('\n') == std::string::npos, "a line holds the end of one");
    found += line.text.size();
  }
  found += static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n'));
  const bool named = all.find(name_begins) != std::string::npos;
  fuzz::check(named ? found <= all.size() : found == all.size(),
              "something that was printed is lost");
  fuzz::check(
      cutter.last().size() <= output_lines::kept_lines * (output_lines::kept_line_bytes + 1),
      "more is kept than shall be");
  return 0;
}
