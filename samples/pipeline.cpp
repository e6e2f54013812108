// A pipeline of three stages: read, parse, aggregate, each a generator or a task.
//
// What to notice: the stages run at the same time; a generator pauses when its consumer falls behind
// (backpressure), so that memory stays flat whatever the size of the input; an error would appear at
// its place in the stream.
#include <cstdint>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

namespace log_analysis {

constexpr int blocks = 200;
constexpr int lines_per_block = 500;

/// One line of a web server's log, made from its number: the same input every time.
std::string line(std::uint64_t n) {
  static const char* const paths[] = {"/", "/docs", "/api/v1/jobs", "/api/v1/actors", "/login"};
  const std::uint64_t x = n * 6364136223846793005ULL + 1442695040888963407ULL;
  const int status = (x >> 33) % 50 == 0 ? 500 : (x >> 40) % 20 == 0 ? 404 : 200;
  return std::string("GET ") + paths[(x >> 20) % 5] + ' ' + std::to_string(status) + ' ' +
         std::to_string((x >> 50) % 900 + 100);
}

/// Stage 1: reads the log block by block.
troupe::generator<std::string> read_log(int count) {
  for (int block = 0; block < count; ++block) {
    std::string text;
    for (int i = 0; i < lines_per_block; ++i) {
      text += line(static_cast<std::uint64_t>(block) * lines_per_block + std::uint64_t(i)) + '\n';
    }
    co_yield std::move(text);
  }
}

struct totals {
  std::map<int, std::uint64_t> by_status;
  std::uint64_t bytes = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(by_status, bytes);
  }
};

/// Stage 2: parses one block.
totals parse(const std::string& block) {
  totals result;
  std::istringstream lines(block);
  std::string method;
  std::string path;
  for (int status = 0, bytes = 0; lines >> method >> path >> status >> bytes;) {
    ++result.by_status[status];
    result.bytes += static_cast<std::uint64_t>(bytes);
  }
  return result;
}

/// Stage 3: adds up.
void add(totals& sum, const totals& part) {
  for (const auto& [status, count] : part.by_status) sum.by_status[status] += count;
  sum.bytes += part.bytes;
}

}  // namespace log_analysis

int main(int argc, char** argv) {
  using namespace log_analysis;
  const auto session = troupe::init(argc, argv);

  totals sum;
  std::vector<troupe::object_ref<totals>> parsing;
  auto stream = troupe::with({.backpressure = 8}).remote<read_log>(blocks);
  for (const auto& block : stream) {
    parsing.push_back(troupe::remote<parse>(block));  // the block goes from stage to stage as a ref
    if (parsing.size() < 16) continue;
    add(sum, troupe::get(parsing.front()));
    parsing.erase(parsing.begin());
  }
  for (const auto& part : parsing) add(sum, troupe::get(part));

  totals serial;
  for (int block = 0; block < blocks; ++block) {
    std::string text;
    for (int i = 0; i < lines_per_block; ++i) {
      text += line(static_cast<std::uint64_t>(block) * lines_per_block + std::uint64_t(i)) + '\n';
    }
    add(serial, parse(text));
  }
  for (const auto& [status, count] : sum.by_status) {
    std::cout << "status " << status << ": " << count << '\n';
  }
  const bool same = sum.by_status == serial.by_status && sum.bytes == serial.bytes;
  std::cout << blocks * lines_per_block << " lines, " << sum.bytes << " bytes, "
            << (same ? "as" : "NOT as") << " the serial run\n";
  return same ? 0 : 1;
}
