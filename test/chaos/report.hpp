/// The figures of a run of the chaos: for each cell how often, how soon noticed, how soon right
/// again.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "test/chaos/round.hpp"

namespace chaos {

/// Thread-compatible. Prints a line for each round as it comes.
class report {
 public:
  report(std::uint64_t seed, int silence) : seed_(seed), silence_(silence) {}

  void add(std::uint64_t number, const cell& what, const outcome& now);
  /// Anonymous memory of each daemon after a round.
  void resident(const std::map<std::string, std::size_t>& mib);
  bool clean() const { return wrong_.empty(); }
  void print() const;
  nlohmann::json json() const;

 private:
  struct figures {
    std::uint64_t rounds = 0;
    std::uint64_t answered = 0;
    std::uint64_t lost = 0;
    std::vector<double> noticed;
    std::vector<double> recovered;
    std::vector<double> settled;
  };

  std::uint64_t seed_;
  int silence_;
  std::map<std::pair<victim, std::string>, figures> cells_;
  std::map<std::string, std::size_t> most_resident_;
  std::vector<std::string> wrong_;
};

}  // namespace chaos
