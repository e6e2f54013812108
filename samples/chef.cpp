// An introduction to actors: a chef who cooks one order at a time and remembers them all.
//
// What to notice: the chef has state and no lock; the orders of one waiter are cooked in the order
// in which they were given; a detached chef outlives every handle and is found again by name; an
// order that cannot be cooked is an exception for the one who ordered, and the chef goes on.
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace kitchen {

class chef {
 public:
  explicit chef(std::string name) : name_(std::move(name)) {}

  /// Returns the number of the dish, counted over all tables.
  int cook(const std::string& dish) {
    if (dish == "fugu") throw std::invalid_argument(name_ + " has no licence to prepare fugu");
    if (std::exchange(busy_, true)) throw std::logic_error("two dishes at once");
    ++cooked_[dish];
    busy_ = false;
    return ++dishes_;
  }
  int dishes() const { return dishes_; }
  std::map<std::string, int> cooked() const { return cooked_; }

 private:
  std::string name_;
  bool busy_ = false;
  int dishes_ = 0;
  std::map<std::string, int> cooked_;
};

/// A waiter knows the chef by name only. Returns the dishes that came in the order of the orders.
int serve_table(const std::vector<std::string>& order) {
  const auto chef = troupe::get_actor<kitchen::chef>("chef");
  std::vector<troupe::object_ref<int>> dishes;
  for (const auto& dish : order) dishes.push_back(chef.remote<&kitchen::chef::cook>(dish));
  int in_order = 0;
  int last = 0;
  for (const int number : troupe::get(dishes)) in_order += std::exchange(last, number) < number;
  return in_order;
}

}  // namespace kitchen

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  {
    const auto chef = troupe::with({.name = "chef", .lifetime = troupe::lifetime::detached})
                          .remote<kitchen::chef>("Auguste");
    const auto soup = chef.remote<&kitchen::chef::cook>("onion soup");  // returns at once
    const auto stew = chef.remote<&kitchen::chef::cook>("ratatouille");
    std::cout << "the stew is dish " << troupe::get(stew) << ", the soup was dish "
              << troupe::get(soup) << '\n';
    try {
      troupe::get(chef.remote<&kitchen::chef::cook>("fugu"));
    } catch (const std::invalid_argument& e) {
      std::cout << "sent back: " << e.what() << '\n';
    }
  }  // the last handle goes, the chef stays

  using menu = std::vector<std::string>;
  const auto table1 = troupe::remote<kitchen::serve_table>(menu{"omelette", "onion soup"});
  const auto table2 = troupe::remote<kitchen::serve_table>(menu{"omelette", "crepes", "crepes"});
  const auto [one, two] = troupe::get(table1, table2);
  std::cout << "served in order: " << one << " and " << two << " dishes\n";

  const auto chef = troupe::get_actor<kitchen::chef>("chef");
  for (const auto& [dish, times] : troupe::get(chef.remote<&kitchen::chef::cooked>())) {
    std::cout << "  " << dish << ": " << times << '\n';
  }
  const int dishes = troupe::get(chef.remote<&kitchen::chef::dishes>());
  std::cout << "the chef made " << dishes << " dishes\n";
  troupe::kill(chef);  // a detached actor ends when it is told to
  return one == 2 && two == 3 && dishes == 7 ? 0 : 1;
}
