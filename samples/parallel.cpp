// The same work serially and as tasks, with both times.
//
// What to notice: the tasks are the plain function, unchanged; on n idle CPUs the ratio nears n; the
// results come in as they complete, not in the order of submission.
#include <chrono>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <vector>

#include <troupe/troupe.hpp>

/// Steps that the Collatz sequence takes, added up for `count` numbers from `first` on.
std::uint64_t collatz_steps(std::uint64_t first, std::uint64_t count) {
  std::uint64_t steps = 0;
  for (std::uint64_t n = first; n < first + count; ++n) {
    for (std::uint64_t x = n; x > 1; ++steps) x = x % 2 == 0 ? x / 2 : 3 * x + 1;
  }
  return steps;
}

template <class F>
double seconds(F f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  constexpr std::uint64_t chunks = 32;
  constexpr std::uint64_t size = 20'000;

  std::uint64_t serial = 0;
  const double serial_time = seconds([&] {
    for (std::uint64_t i = 0; i < chunks; ++i) serial += collatz_steps(1 + i * size, size);
  });

  std::uint64_t parallel = 0;
  double first_result = 0;
  const auto begin = std::chrono::steady_clock::now();
  const double parallel_time = seconds([&] {
    std::vector<troupe::object_ref<std::uint64_t>> refs;
    for (std::uint64_t i = 0; i < chunks; ++i) {
      refs.push_back(troupe::remote<collatz_steps>(1 + i * size, size));
    }
    for (const auto& ref : troupe::as_completed(std::move(refs))) {
      parallel += troupe::get(ref);
      if (first_result > 0) continue;
      first_result =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
  });

  std::cout << std::fixed << std::setprecision(3) << "serial:   " << serial_time << " s\n"
            << "parallel: " << parallel_time << " s on "
            << troupe::cluster_resources().at("CPU") << " CPUs, " << serial_time / parallel_time
            << " times as fast\n"
            << "first of " << chunks << " results after " << first_result << " s\n"
            << "steps: " << parallel << '\n';
  return serial == parallel ? 0 : 1;
}
