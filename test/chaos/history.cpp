#include "test/chaos/history.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace chaos {
namespace {

struct fate {
  bool acked = false;
  bool failed = false;
  int runs = 0;
};

class checker {
 public:
  explicit checker(std::string name) : name_(std::move(name)) {}

  void lives(const std::vector<life>& all) {
    for (std::size_t i = 1; i < all.size(); ++i) {
      const life& earlier = all[i - 1];
      const life& later = all[i];
      if (earlier.last >= later.first) {
        say("process " + std::to_string(earlier.pid) + " was alive for " +
            std::to_string((earlier.last - later.first) / 1'000'000) +
            " ms beside the next life in process " + std::to_string(later.pid));
      }
    }
  }
  /// The calls of one caller come in their order, whole, and not twice in a life.
  void order(const std::vector<life>& all, promise promised) {
    std::int64_t most = -1;
    for (const life& one : all) {
      std::int64_t previous = -1;
      for (const std::int64_t call : one.calls) {
        if (call <= previous) {
          say("call " + std::to_string(call) + " ran after call " + std::to_string(previous) +
              " in the life in process " + std::to_string(one.pid));
        }
        if (promised == promise::retried && call > most + 1) {
          say("call " + std::to_string(call) + " ran before call " + std::to_string(most + 1));
        }
        previous = call;
        most = std::max(most, call);
      }
    }
  }
  void fates(const std::map<std::int64_t, fate>& all, promise promised) {
    for (const auto& [number, known] : all) {
      const std::string which = "call " + std::to_string(number);
      if (known.acked && known.runs == 0) say(which + " was answered and never ran");
      if (promised == promise::at_most_once && known.runs > 1) {
        say(which + " ran " + std::to_string(known.runs) + " times");
      }
      if (promised == promise::retried && known.failed) say(which + " failed");
    }
  }

  std::vector<std::string> wrong;

 private:
  void say(const std::string& what) { wrong.push_back(name_ + ": " + what); }
  std::string name_;
};

std::map<std::int64_t, fate> fates_of(const std::string& calls) {
  std::map<std::int64_t, fate> result;
  std::istringstream lines(calls);
  std::string what;
  for (std::int64_t number = 0; lines >> what >> number;) {
    fate& known = result[number];
    known.acked = known.acked || what == "acked";
    known.failed = known.failed || what == "failed";
  }
  return result;
}

}  // namespace

std::vector<life> lives_of(const std::string& ledger) {
  std::map<std::pair<std::int64_t, std::int64_t>, life> found;
  std::istringstream lines(ledger);
  for (std::string text; std::getline(lines, text);) {
    std::istringstream words(text);
    std::string kind;
    std::int64_t pid = 0;
    std::int64_t id = 0;
    std::int64_t time = 0;
    if (!(words >> kind >> pid >> id >> time)) continue;
    life& one = found[{pid, id}];
    if (one.first == 0) one = {pid, id, time, time, {}};
    one.first = std::min(one.first, time);
    one.last = std::max(one.last, time);
    std::int64_t number = 0;
    if (kind == "call" && words >> number) one.calls.push_back(number);
  }
  std::vector<life> result;
  for (auto& [key, one] : found) result.push_back(std::move(one));
  std::sort(result.begin(), result.end(),
            [](const life& a, const life& b) { return a.first < b.first; });
  return result;
}

std::vector<std::string> check_history(const std::string& name, const std::string& ledger,
                                       const std::string& calls, promise promised) {
  const std::vector<life> lives = lives_of(ledger);
  std::map<std::int64_t, fate> fates = fates_of(calls);
  checker check(name);
  for (const life& one : lives) {
    for (const std::int64_t call : one.calls) {
      const auto known = fates.find(call);
      if (known == fates.end()) {
        check.wrong.push_back(name + ": call " + std::to_string(call) + " ran and was never sent");
      } else {
        ++known->second.runs;
      }
    }
  }
  check.lives(lives);
  check.order(lives, promised);
  check.fates(fates, promised);
  return check.wrong;
}

}  // namespace chaos
