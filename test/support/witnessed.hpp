/// What a scenario `witness` has left behind.
#pragma once

#include <fstream>
#include <string>

namespace troupe::test {

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
