// Squares, four ways: in order, first come first served, chained, and with a continuation.
//
// What to notice: submitting returns at once; get gives results in the order of the refs; wait
// gives those that are ready, so that work goes on with them while others still run; a ref is an
// argument.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

std::int64_t square(std::int64_t x) { return x * x; }

/// The slow way: a sum of odd numbers. Its time grows with `x`.
std::int64_t square_by_sums(std::int64_t x) {
  volatile std::int64_t sum = 0;  // or the compiler finds the formula
  for (std::int64_t i = 0; i < x; ++i) sum = sum + 2 * i + 1;
  return sum;
}

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  using squares = std::vector<troupe::object_ref<std::int64_t>>;

  squares refs;
  for (int i = 1; i <= 10; ++i) refs.push_back(troupe::remote<square>(i));
  std::cout << "in order:";
  for (const auto value : troupe::get(refs)) std::cout << ' ' << value;
  std::cout << '\n';

  // The big ones were submitted first; the small ones tend to be ready first.
  squares slow;
  for (std::int64_t x = 20'000'000; x >= 2; x /= 10) {
    slow.push_back(troupe::remote<square_by_sums>(x));
  }
  std::int64_t sum = 0;
  std::cout << "as they come:";
  for (auto [ready, rest] = troupe::wait(slow); !ready.empty(); ready = rest.take()) {
    for (const auto& ref : ready) {
      sum += troupe::get(ref);
      std::cout << ' ' << troupe::get(ref) << std::flush;
    }
  }
  std::cout << "\ntheir sum: " << sum << '\n';

  // The square of a square, with no wait in between.
  const auto fourth = troupe::remote<square>(troupe::remote<square>(3));
  const auto text =
      fourth.then([](std::int64_t value) { return "3^4 = " + std::to_string(value); });
  std::cout << troupe::get(text) << '\n';
  return sum == 404'040'404'040'404 && troupe::get(fourth) == 81 ? 0 : 1;
}
