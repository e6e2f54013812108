// The same work serially and as tasks, with both times.
//
// What to notice: the tasks are the plain function, unchanged; on n idle CPUs the ratio nears n;
// the first result is there long before the last one, for as_completed gives them as they come.
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

class stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  constexpr std::uint64_t chunks = 32;
  constexpr std::uint64_t size = 30'000;

  const stopwatch serial_watch;
  std::uint64_t serial = 0;
  for (std::uint64_t i = 0; i < chunks; ++i) serial += collatz_steps(1 + i * size, size);
  const double serial_time = serial_watch.seconds();

  const stopwatch parallel_watch;
  std::uint64_t parallel = 0;
  double first_time = 0;
  std::vector<troupe::object_ref<std::uint64_t>> refs;
  for (std::uint64_t i = 0; i < chunks; ++i) {
    refs.push_back(troupe::remote<collatz_steps>(1 + i * size, size));
  }
  for (const auto& ref : troupe::as_completed(std::move(refs))) {
    if (first_time == 0) first_time = parallel_watch.seconds();
    parallel += troupe::get(ref);
  }
  const double parallel_time = parallel_watch.seconds();

  std::cout << std::setprecision(3) << "serial:   " << serial_time << " s\n"
            << "parallel: " << parallel_time << " s on " << troupe::cluster_resources().at("CPU")
            << " CPUs\n"
            << "first of " << chunks << " results after " << first_time << " s\n"
            << "ratio:    " << serial_time / parallel_time << '\n'
            << "steps:    " << parallel << (serial == parallel ? ", as" : ", NOT as")
            << " in the serial run\n";
  return serial == parallel ? 0 : 1;
}
