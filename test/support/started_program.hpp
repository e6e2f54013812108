/// A program that a test has started, and with which it talks by lines.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace troupe::test {

/// Null at the end, for exec. They point into `texts`.
std::vector<char*> pointers_to(std::vector<std::string>& texts);
/// What a program of a test gets: `more`, NAME=VALUE, beside the test's own without TROUPE_....
std::vector<std::string> environment_with(const std::vector<std::string>& more);
/// An exit code, or 128 and the signal.
int exit_code(int wait_status);

/// Ends with the scope, by SIGKILL. Thread-compatible; a thread of its own reads what it says, on
/// stdout and stderr. Waits have deadlines.
class started_program {
 public:
  static constexpr std::chrono::milliseconds patience{60'000};

  /// The first word is its path, or a name that is looked for in PATH.
  started_program(std::vector<std::string> words, const std::vector<std::string>& environment);
  started_program(const started_program&) = delete;
  started_program& operator=(const started_program&) = delete;
  ~started_program();

  pid_t pid() const { return pid_; }
  /// A line to its stdin. One that has ended hears nothing, which is no error.
  void tell(const std::string& line) const;
  void kill(int signal) const;

  /// The next line; nothing at its end, or when none came in time.
  std::optional<std::string> hear(std::chrono::milliseconds longest = patience);
  /// The numbers that follow that word in the next line that begins with it; none when no such line
  /// comes. What came before it is passed over.
  std::vector<std::int64_t> hear_numbers(const std::string& word);
  /// The first of them, or 0.
  std::int64_t hear_number(const std::string& word);
  /// All that it has said until now.
  std::string said() const;
  /// Whether it has said that or does so.
  bool says(const std::string& text) const;
  /// All that it has said, waited for to its end.
  std::string said_to_end();
  /// Its exit code; nothing when it goes on.
  std::optional<int> ended_within(std::chrono::milliseconds longest);

 private:
  void read();

  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::optional<int> code_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<std::string> lines_;  // guarded by mutex_, as below
  std::string said_;
  bool silent_ = false;  // its end was read
  std::jthread reader_;
};

/// Of a driver that says `ready OWN_PID WORKER_PID`; 0: it does not.
std::int64_t worker_of(started_program& driver);

}  // namespace troupe::test
