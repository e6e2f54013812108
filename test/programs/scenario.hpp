/// What the programs that tests run on a cluster share: checks, and a choice of what to do.
/// `PROGRAM SCENARIO [ARGUMENT...]` prints what went wrong and ends with 1, or prints "ok".
#pragma once

#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

namespace scenario {

inline int failures = 0;

inline void check(bool good, const char* what, int line) {
  if (good) return;
  ++failures;
  std::cout << "line " << line << ": " << what << '\n';
}

/// A `get` that ends where a broken runtime would hang.
template <class T>
T fetch(const troupe::object_ref<T>& ref) {
  return troupe::get(ref, std::chrono::seconds(60));
}

using words = std::vector<std::string>;

inline int run(int argc, char** argv,
               const std::map<std::string, std::function<void(const words&)>>& all) {
  const auto session = troupe::init(argc, argv);
  const auto found = argc > 1 ? all.find(argv[1]) : all.end();
  if (found == all.end()) {
    std::cout << "no such scenario\n";
    return 2;
  }
  found->second(words(argv + 2, argv + argc));
  if (failures == 0) std::cout << "ok\n";
  return failures == 0 ? 0 : 1;
}

}  // namespace scenario

#define CHECK(condition) scenario::check(static_cast<bool>(condition), #condition, __LINE__)
#define CHECK_THROWS_AS(expression, type)                            \
  do {                                                               \
    bool thrown = false;                                             \
    try {                                                            \
      static_cast<void>(expression);                                 \
    } catch (const type&) {                                          \
      thrown = true;                                                 \
    }                                                                \
    scenario::check(thrown, #expression " throws " #type, __LINE__); \
  } while (false)
