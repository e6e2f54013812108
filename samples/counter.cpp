// The first program: a task, an actor, and an object that both share.
//
// What to notice: remote<> is the one verb for functions, classes and methods; an actor's calls run
// one at a time, those of one caller in the order in which it made them; a ref may stand where its
// value is expected, with no wait in between.
#include <iostream>
#include <vector>

#include <troupe/troupe.hpp>

int add(int a, int b) { return a + b; }

struct counter {
  explicit counter(int start = 0) : value(start) {}
  int increment(int by) { return value += by; }
  int read() const { return value; }
  int value;
};

void count_up(troupe::actor_handle<counter> shared, int times) {
  std::vector<troupe::object_ref<int>> calls;
  for (int i = 0; i < times; ++i) calls.push_back(shared.remote<&counter::increment>(1));
  troupe::get(calls);
}

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);

  const auto sum = troupe::remote<add>(2, 3);
  std::cout << "2 + 3 = " << troupe::get(sum) << '\n';

  const auto c = troupe::remote<counter>(10);
  const auto after = c.remote<&counter::increment>(sum);  // the ref is the argument
  std::cout << "the counter is at " << troupe::get(after) << '\n';

  // Handles are values: four tasks count with the same actor, and no increment gets lost.
  std::vector<troupe::object_ref<void>> callers;
  for (int i = 0; i < 4; ++i) callers.push_back(troupe::remote<count_up>(c, 1000));
  troupe::get(callers);
  const int total = troupe::get(c.remote<&counter::read>());
  std::cout << "after four callers: " << total << '\n';

  // A named actor is found by whoever knows its name.
  const auto named = troupe::with({.name = "visits"}).remote<counter>(0);
  troupe::get_actor<counter>("visits").remote<&counter::increment>(1);
  const int visits = troupe::get(named.remote<&counter::read>());
  std::cout << "visits: " << visits << '\n';

  return total == 4015 && visits == 1 ? 0 : 1;
}
