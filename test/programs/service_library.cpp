// A shared library whose tasks and actors run in programs that do not contain them.
#include "service_library.hpp"

#include <troupe/troupe.hpp>

namespace service {

int only_in_the_library(int n) { return n * 7; }

// Nothing here calls them, clients do.
const troupe::exports<&tally::add, &tally::host, &tally::where> methods;

}  // namespace service

/// Called by `troupe worker`.
extern "C" void troupe_start() {
  troupe::with({.name = "tally", .lifetime = troupe::lifetime::detached}).remote<service::tally>();
}

/// Called by a program that has loaded the library.
extern "C" int ask_the_library(int n) {
  return troupe::get(troupe::remote<service::only_in_the_library>(n), std::chrono::seconds(60));
}
