/// A program that a test has started and that goes on beside it.
#pragma once

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "test/support/daemons.hpp"

namespace troupe::test {

/// Waits until it has printed `ready OWN_PID WORKER_PID`. Ends with the scope, by SIGKILL.
class running_program {
 public:
  running_program(const std::vector<std::string>& words,
                  const std::vector<std::string>& environment) {
    std::string command = "env";
    for (const std::string& variable : environment) command += " '" + variable + "'";
    for (const std::string& word : words) command += " '" + word + "'";
    pipe_ = ::popen((command + " 2>&1").c_str(), "r");
    char line[4096];
    while (pid == 0 && std::fgets(line, sizeof line, pipe_) != nullptr) {
      long long own = 0;
      long long worker = 0;
      if (std::sscanf(line, "ready %lld %lld", &own, &worker) == 2) {
        pid = own;
        worker_pid = worker;
      } else {
        said_ += line;
      }
    }
  }
  running_program(const running_program&) = delete;
  running_program& operator=(const running_program&) = delete;
  ~running_program() {
    if (pid != 0 && process_lives(pid)) ::kill(static_cast<pid_t>(pid), SIGKILL);
    ::pclose(pipe_);
  }

  /// The next line that it says, without its end; false at its end.
  bool next_line(std::string& line) {
    char text[4096];
    if (std::fgets(text, sizeof text, pipe_) == nullptr) return false;
    said_ += text;
    line = text;
    if (!line.empty() && line.back() == '\n') line.pop_back();
    return true;
  }
  /// All that it says besides, to its end.
  const std::string& rest() {
    for (int c = std::fgetc(pipe_); c != EOF; c = std::fgetc(pipe_)) said_ += static_cast<char>(c);
    return said_;
  }

  std::int64_t pid = 0;  ///< 0: it has ended before it was ready
  std::int64_t worker_pid = 0;

 private:
  std::FILE* pipe_ = nullptr;
  std::string said_;
};

}  // namespace troupe::test
