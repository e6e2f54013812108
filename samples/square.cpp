// Squares, three ways: one after the other, all at once, and first come first served.
//
// What to notice: submitting returns at once; get gives results in the order of the refs; wait gives
// those that are ready, so that work can go on with them while others still run.
#include <iostream>
#include <numeric>
#include <vector>

#include <troupe/troupe.hpp>

int square(int x) { return x * x; }

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);

  std::vector<troupe::object_ref<int>> refs;
  for (int i = 1; i <= 10; ++i) refs.push_back(troupe::remote<square>(i));
  std::cout << "in order:";
  for (const int value : troupe::get(refs)) std::cout << ' ' << value;
  std::cout << '\n';

  // Ready first, taken first: each step gives one that is ready, and the rest.
  int sum = 0;
  std::size_t steps = 0;
  auto [ready, rest] = troupe::wait(refs);
  for (;;) {
    for (const auto& ref : ready) sum += troupe::get(ref);
    ++steps;
    if (rest.empty()) break;
    ready = rest.take();
  }
  std::cout << "sum of squares: " << sum << " in " << steps << " steps\n";

  // A ref is an argument: the square of a square, with no wait in between.
  const auto fourth = troupe::remote<square>(troupe::remote<square>(3));
  std::cout << "3^4 = " << troupe::get(fourth) << '\n';

  const auto text = fourth.then([](int value) { return "then: " + std::to_string(value); });
  std::cout << troupe::get(text) << '\n';
  return sum == 385 ? 0 : 1;
}
