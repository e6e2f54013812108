// A pipeline of three stages that run at the same time: read, parse, aggregate.
//
// What to notice: each stage pulls from the stream of the one before it; a generator pauses when
// its consumer falls behind (backpressure), so of 400 blocks only a few exist at once, whatever the
// speed of the stages; the totals are those of a plain loop.
#include <atomic>
#include <cstdint>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include <troupe/troupe.hpp>

namespace log_analysis {

constexpr int blocks = 400;
constexpr int lines_per_block = 500;
constexpr unsigned ahead = 4;  // blocks that a stage may be ahead of the next one

std::atomic<int> alive = 0;
std::atomic<int> most_alive = 0;

/// A part of a web server's log, made from its number: the same every time.
std::string make_block(int number) {
  static const char* const paths[] = {"/", "/docs", "/jobs", "/actors", "/login"};
  std::string text;
  for (int i = 0; i < lines_per_block; ++i) {
    std::uint64_t x = static_cast<std::uint64_t>(number) * lines_per_block + std::uint64_t(i);
    x = x * 6364136223846793005U + 1442695040888963407U;
    const char* status = (x >> 33) % 50 == 0 ? " 500 " : (x >> 40) % 20 == 0 ? " 404 " : " 200 ";
    text += std::string("GET ") + paths[(x >> 20) % 5] + status + std::to_string(x >> 52) + '\n';
  }
  return text;
}

struct totals {
  std::map<int, std::uint64_t> lines_by_status;
  std::uint64_t bytes = 0;

  void add(const totals& part) {
    for (const auto& [status, lines] : part.lines_by_status) lines_by_status[status] += lines;
    bytes += part.bytes;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lines_by_status, bytes);
  }
  bool operator==(const totals&) const = default;
};

totals parse_block(const std::string& text) {
  totals result;
  std::istringstream lines(text);
  std::string method;
  std::string path;
  std::uint64_t bytes = 0;
  for (int status = 0; lines >> method >> path >> status >> bytes; result.bytes += bytes) {
    ++result.lines_by_status[status];
  }
  return result;
}

troupe::generator<std::string> read(int count) {
  for (int block = 0; block < count; ++block) {
    const int now = ++alive;
    if (now > most_alive) most_alive = now;  // only this stage writes it
    co_yield make_block(block);
  }
}

troupe::generator<totals> parse(int count) {
  auto stage = troupe::with({.name = "read", .backpressure = ahead});
  auto texts = stage.remote<read>(count);
  for (;;) {
    co_await texts.available();  // no thread waits
    const auto text = texts.next();
    if (!text) co_return;
    totals part = parse_block(*troupe::view(*text));
    --alive;
    co_yield std::move(part);
  }
}

totals aggregate(int count) {
  totals sum;
  auto parts = troupe::with({.name = "parse", .backpressure = ahead}).remote<parse>(count);
  for (const auto& part : parts) sum.add(*troupe::view(part));
  return sum;
}

}  // namespace log_analysis

int main(int argc, char** argv) {
  using namespace log_analysis;
  const auto session = troupe::init(argc, argv);

  const totals sum = troupe::get(troupe::remote<aggregate>(blocks));
  totals serial;
  for (int block = 0; block < blocks; ++block) serial.add(parse_block(make_block(block)));

  for (const auto& [status, lines] : sum.lines_by_status) {
    std::cout << "status " << status << ": " << lines << " lines\n";
  }
  // In the stream, in the making, and with the parser.
  const bool bounded = most_alive <= static_cast<int>(ahead) + 2;
  std::cout << sum.bytes << " bytes, " << (sum == serial ? "as" : "NOT as") << " the serial run\n"
            << "at most " << most_alive << " of " << blocks
            << " blocks at once: " << (bounded ? "bounded\n" : "NOT bounded\n");
  return sum == serial && bounded ? 0 : 1;
}
