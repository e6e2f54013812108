#include "test/chaos/report.hpp"

#include <algorithm>
#include <cstdio>

namespace chaos {
namespace {

struct spread {
  double median = 0;
  double most = 0;
};

spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.back()};
}

std::string to_text(const std::vector<double>& values) {
  if (values.empty()) return "-";
  const spread s = spread_of(values);
  char text[64];
  std::snprintf(text, sizeof text, "%.2f / %.2f", s.median, s.most);
  return text;
}

nlohmann::json to_json(const std::vector<double>& values) {
  if (values.empty()) return nullptr;
  const spread s = spread_of(values);
  return {{"median", s.median}, {"max", s.most}};
}

std::string name_of(const cell& what) {
  return std::string(to_text(what.struck)) + '/' + what.phase;
}

}  // namespace

void report::add(std::uint64_t number, const cell& what, const outcome& now) {
  figures& known = cells_[{what.struck, what.phase}];
  ++known.rounds;
  known.answered += now.answered;
  known.lost += now.lost;
  if (now.noticed) known.noticed.push_back(*now.noticed);
  if (now.recovered) known.recovered.push_back(*now.recovered);
  known.settled.push_back(now.settled);
  std::printf("round %llu %s%s%s: noticed %s, right %s, settled %.2f s; %llu answers%s\n",
              static_cast<unsigned long long>(number), name_of(what).c_str(),
              now.detail.empty() ? "" : " ", now.detail.c_str(),
              now.noticed ? std::to_string(*now.noticed).c_str() : "-",
              now.recovered ? std::to_string(*now.recovered).c_str() : "-", now.settled,
              static_cast<unsigned long long>(now.answered), now.wrong.empty() ? "" : "; BROKEN");
  for (const std::string& each : now.wrong) {
    std::printf("  BROKEN: %s\n", each.c_str());
    wrong_.push_back("round " + std::to_string(number) + ' ' + name_of(what) + ": " + each);
  }
}

void report::resident(const std::map<std::string, std::size_t>& mib) {
  for (const auto& [node, now] : mib) most_resident_[node] = std::max(most_resident_[node], now);
}

void report::print() const {
  std::printf("\nseed %llu, --silence=%d; seconds as median / most\n",
              static_cast<unsigned long long>(seed_), silence_);
  std::printf("%-26s %6s  %-15s %-15s %-15s %9s %6s\n", "struck/while", "rounds", "noticed",
              "right again", "nothing left", "answers", "lost");
  std::uint64_t rounds = 0;
  for (const auto& [key, known] : cells_) {
    std::printf("%-26s %6llu  %-15s %-15s %-15s %9llu %6llu\n",
                name_of({key.first, key.second}).c_str(),
                static_cast<unsigned long long>(known.rounds), to_text(known.noticed).c_str(),
                to_text(known.recovered).c_str(), to_text(known.settled).c_str(),
                static_cast<unsigned long long>(known.answered),
                static_cast<unsigned long long>(known.lost));
    rounds += known.rounds;
  }
  std::printf("most memory of the daemons, without their stores:");
  for (const auto& [node, most] : most_resident_) std::printf(" %s %zu MiB", node.c_str(), most);
  std::printf("\n%llu rounds, %s\n", static_cast<unsigned long long>(rounds),
              clean() ? "all promises were kept" : "BROKEN:");
  for (const std::string& each : wrong_) std::printf("  %s\n", each.c_str());
}

nlohmann::json report::json() const {
  nlohmann::json cells = nlohmann::json::array();
  for (const auto& [key, known] : cells_) {
    cells.push_back({{"struck", chaos::to_text(key.first)},
                     {"phase", key.second},
                     {"rounds", known.rounds},
                     {"answers", known.answered},
                     {"lost_values", known.lost},
                     {"noticed_s", to_json(known.noticed)},
                     {"recovered_s", to_json(known.recovered)},
                     {"settled_s", to_json(known.settled)}});
  }
  return {{"seed", seed_},
          {"silence_s", silence_},
          {"cells", cells},
          {"daemon_mib", most_resident_},
          {"broken", wrong_}};
}

}  // namespace chaos
