/// A program with which the chaos talks by lines. Ends with the scope, by SIGKILL.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace chaos {

/// Thread-compatible; a thread of its own reads what the program says.
class child {
 public:
  child(const std::vector<std::string>& words, const std::vector<std::string>& environment);
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child();

  pid_t pid() const { return pid_; }
  void tell(const std::string& line) const;
  /// The next line; nothing at its end, or when none came in time.
  std::optional<std::string> hear(std::chrono::milliseconds longest);
  /// Its exit code, or 128 and the signal; nothing when it goes on.
  std::optional<int> ended_within(std::chrono::milliseconds longest);
  void kill(int signal) const;

 private:
  void read();

  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::optional<int> code_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  bool ended_ = false;
  std::jthread reader_;
};

}  // namespace chaos
