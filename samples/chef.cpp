// An introduction to actors: a chef who cooks one order at a time and remembers them all.
//
// What to notice: the chef has state and no lock; the orders of one waiter are cooked in the order
// in which they were given; a detached chef outlives every handle and is found again by name; an
// order that cannot be cooked is an exception for the one who ordered, and the chef goes on.
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

namespace kitchen {

class chef {
 public:
  explicit chef(std::string name) : name_(std::move(name)) {}

  std::string cook(const std::string& dish) {
    if (dish == "fugu") throw std::invalid_argument("no licence to prepare fugu");
    ++cooked_[dish];
    return name_ + " made " + dish + ", dish number " + std::to_string(++count_);
  }
  int dishes() const { return count_; }
  std::map<std::string, int> report() const { return cooked_; }

 private:
  std::string name_;
  int count_ = 0;
  std::map<std::string, int> cooked_;
};

/// A waiter knows the chef by name only.
int serve_table(const std::vector<std::string>& dishes) {
  const auto chef = troupe::get_actor<kitchen::chef>("chef");
  int served = 0;
  for (const std::string& dish : dishes) {
    troupe::get(chef.remote<&kitchen::chef::cook>(dish));
    ++served;
  }
  return served;
}

}  // namespace kitchen

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  {
    const auto chef = troupe::with({.name = "chef", .lifetime = troupe::lifetime::detached})
                          .remote<kitchen::chef>("Auguste");
    const auto first = chef.remote<&kitchen::chef::cook>("onion soup");
    const auto second = chef.remote<&kitchen::chef::cook>("ratatouille");
    std::cout << troupe::get(first) << '\n' << troupe::get(second) << '\n';
    try {
      troupe::get(chef.remote<&kitchen::chef::cook>("fugu"));
    } catch (const std::invalid_argument& e) {
      std::cout << "sent back: " << e.what() << '\n';
    }
  }  // the handle goes, the chef stays

  using menu = std::vector<std::string>;
  const auto table1 = troupe::remote<kitchen::serve_table>(menu{"omelette", "onion soup"});
  const auto table2 = troupe::remote<kitchen::serve_table>(menu{"omelette", "crepes", "crepes"});
  const auto [one, two] = troupe::get(table1, table2);
  std::cout << "tables served: " << one << " and " << two << " dishes\n";

  const auto chef = troupe::get_actor<kitchen::chef>("chef");
  for (const auto& [dish, times] : troupe::get(chef.remote<&kitchen::chef::report>())) {
    std::cout << "  " << dish << ": " << times << '\n';
  }
  const int dishes = troupe::get(chef.remote<&kitchen::chef::dishes>());
  std::cout << "the chef made " << dishes << " dishes\n";
  troupe::kill(chef);  // a detached actor ends when it is told to
  return dishes == 7 ? 0 : 1;
}
