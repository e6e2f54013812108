/// The actor whose history the chaos checks: it writes down every life, call and heartbeat.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <string>

#include <troupe/troupe.hpp>

#include "test/chaos/append_file.hpp"

namespace chaos {

/// Lines are `start|tick|stop PID LIFE TIME` and `call PID LIFE TIME NUMBER`. What it was told is
/// read again at the start of each life, so a call that is repeated counts once.
class ledger {
 public:
  explicit ledger(const std::string& path) : file_(path), life_(std::random_device{}()) {
    std::ifstream before(path);
    for (std::string text; std::getline(before, text);) {
      std::istringstream words(text);
      std::string kind;
      std::int64_t pid = 0;
      std::int64_t life = 0;
      std::int64_t time = 0;
      std::int64_t number = 0;
      if (words >> kind >> pid >> life >> time >> number && kind == "call") numbers_.insert(number);
    }
    note("start");
    timer_ = troupe::this_actor::send_every<&ledger::tick>(std::chrono::milliseconds(10));
  }
  ~ledger() { note("stop"); }
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;

  void tick() const { note("tick"); }
  /// How many numbers it has been told in all its lives.
  std::int64_t enter(std::int64_t number) {
    note("call", ' ' + std::to_string(number));
    numbers_.insert(number);
    return count();
  }
  std::int64_t count() const { return static_cast<std::int64_t>(numbers_.size()); }
  std::int64_t pid() const { return ::getpid(); }

 private:
  void note(const std::string& kind, const std::string& more = {}) const {
    file_.line(kind + ' ' + std::to_string(::getpid()) + ' ' + std::to_string(life_) + ' ' +
               std::to_string(now()) + more);
  }

  append_file file_;
  std::int64_t life_;
  std::set<std::int64_t> numbers_;
  troupe::timer timer_;
};

}  // namespace chaos
