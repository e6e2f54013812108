#include "pipeline.hpp"

#include <cstdint>
#include <deque>
#include <fstream>
#include <iostream>
#include <set>
#include <vector>

#include <troupe/troupe.hpp>

namespace {

constexpr int blocks = 200;

std::vector<std::uint32_t> make(int block) {
  std::vector<std::uint32_t> result(2'000);
  auto state = static_cast<std::uint32_t>(block) * 2'654'435'761U + 1;
  for (std::uint32_t& each : result) each = state = state * 1'664'525U + 1'013'904'223U;
  return result;
}
/// Work for some milliseconds.
std::uint64_t refine(const std::vector<std::uint32_t>& values) {
  std::uint64_t sum = 0;
  for (int round = 0; round < 2'000; ++round) {
    for (const std::uint32_t v : values) sum = sum * 31 + (v ^ static_cast<std::uint32_t>(round));
  }
  return sum;
}

/// Counts each block once, also when it is told again.
class tally {
 public:
  explicit tally(const std::string& path) {
    std::ifstream before(path);
    for (int block = 0; before >> block;) counted_.insert(block);
    journal_.open(path, std::ios::app);
  }
  int count(int block, std::uint64_t) {
    if (counted_.insert(block).second) journal_ << block << std::endl;
    return static_cast<int>(counted_.size());
  }

 private:
  std::set<int> counted_;
  std::ofstream journal_;
};

}  // namespace

bool pipeline(const std::string& journal) {
  const troupe::options stage{.num_cpus = 1, .max_retries = -1};
  const auto counter = troupe::with({.num_cpus = 0.1, .max_restarts = -1, .max_task_retries = -1})
                           .remote<tally>(journal);
  std::deque<troupe::object_ref<std::uint64_t>> refined;
  std::deque<troupe::object_ref<int>> counted;
  std::uint64_t sum = 0;
  int total = 0;
  for (int block = 0; block < blocks + 16; ++block) {
    if (block < blocks) {
      refined.push_back(
          troupe::with(stage).remote<refine>(troupe::with(stage).remote<make>(block)));
      counted.push_back(counter.remote<&tally::count>(block, refined.back()));
    }
    if (block < 16) continue;  // so many are on their way
    sum += troupe::get(refined.front());
    total = troupe::get(counted.front());
    refined.pop_front();
    counted.pop_front();
    if ((block - 15) % (blocks / 10) == 0) {
      std::cout << (block - 15) * 100 / blocks << " % done" << std::endl;
    }
  }
  std::uint64_t expected = 0;
  for (int block = 0; block < blocks; ++block) expected += refine(make(block));
  std::cout << total << " blocks counted, the sum is " << (sum == expected ? "right" : "WRONG")
            << std::endl;
  return total == blocks && sum == expected;
}
