/// A set that forgets its oldest members beyond a bound.
#pragma once

#include <cstddef>
#include <deque>
#include <unordered_set>

namespace troupe::net {

/// Remembers what happened, for as long as anybody can still ask. Thread-compatible.
template <class T>
class bounded_set {
 public:
  explicit bounded_set(std::size_t bound = 10'000) : bound_(bound) {}

  /// False when it was there.
  bool insert(const T& member) {
    if (!members_.insert(member).second) return false;
    order_.push_back(member);
    if (order_.size() > bound_) {
      members_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }
  bool contains(const T& member) const { return members_.count(member) != 0; }
  std::size_t size() const { return members_.size(); }

 private:
  std::size_t bound_;
  std::unordered_set<T> members_;
  std::deque<T> order_;
};

}  // namespace troupe::net
