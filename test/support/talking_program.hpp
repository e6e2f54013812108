/// A program that a test has started, that says `WORD NUMBER`, and that is told when to go on.
#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "test/support/catch.hpp"
#include "test/support/temp_folder.hpp"

namespace troupe::test {

/// Thread-compatible. Its end is waited for.
class talking_program {
 public:
  talking_program(const std::vector<std::string>& words,
                  const std::vector<std::string>& environment) {
    answers_ = (folder_.path() / "answers").string();
    ::mkfifo(answers_.c_str(), 0600);
    std::string command = "exec env";
    for (const std::string& one : environment) command += " '" + one + "'";
    for (const std::string& word : words) command += " '" + word + "'";
    from_ = ::popen((command + " <>" + answers_).c_str(), "r");
  }
  talking_program(const talking_program&) = delete;
  talking_program& operator=(const talking_program&) = delete;
  ~talking_program() { ::pclose(from_); }

  long hear(const char* word) {
    char said[64] = {};
    long value = 0;
    if (std::fscanf(from_, "%63s %ld", said, &value) != 2) return 0;
    INFO(said);
    CHECK(std::string(said) == word);
    return value;
  }
  void go_on() const { std::ofstream(answers_) << "on\n"; }
  std::string rest() {
    std::string text;
    for (int c = std::fgetc(from_); c != EOF; c = std::fgetc(from_)) text += static_cast<char>(c);
    return text;
  }

 private:
  temp_folder folder_;
  std::string answers_;
  std::FILE* from_ = nullptr;
};

/// Of the file that the scenario `witness` writes: when a process was last heard in it.
struct witnessed {
  long long first = 0;
  long long last = 0;
};
inline witnessed witnessed_of(const std::string& notes, long pid) {
  witnessed result;
  std::ifstream lines(notes);
  long who = 0;
  for (long long time = 0; lines >> who >> time;) {
    if (who != pid) continue;
    if (result.first == 0) result.first = time;
    result.last = time;
  }
  return result;
}

}  // namespace troupe::test
