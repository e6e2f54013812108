/// What tests of the node's and the control's decisions share: peers, and effects to look at.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/node_state.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

inline net::peer peer_of(net::process_id id, const std::string& host = "here") {
  return {id, host, "/" + std::to_string(id), host + ":" + std::to_string(id)};
}

inline core::resource_set resources(std::initializer_list<std::pair<const char*, double>> amounts) {
  core::resource_set set;
  for (const auto& [name, amount] : amounts) {
    set.set(name, core::resource_amount::from_double(amount, name));
  }
  return set;
}

inline net::demand amounts(std::initializer_list<std::pair<const char*, double>> given) {
  net::demand result;
  for (const auto& [name, amount] : resources(given)) result.emplace_back(name, amount.units());
  return result;
}

/// Effects of a state machine, taken out by what they are.
template <class Effect, class Send>
class effects_of {
 public:
  void add(std::vector<Effect> more) {
    for (Effect& e : more) all_.push_back(std::move(e));
  }
  void clear() { all_.clear(); }

  /// The messages of that type to that process, oldest first; they are taken out.
  template <class T>
  std::vector<T> sent(net::process_id to) {
    std::vector<T> result;
    std::erase_if(all_, [&](Effect& e) {
      auto* const send = std::get_if<Send>(&e);
      if (send == nullptr || send->to != to) return false;
      auto* const what = std::get_if<T>(&send->what);
      if (what == nullptr) return false;
      result.push_back(std::move(*what));
      return true;
    });
    return result;
  }
  /// The other effects of that type; they are taken out.
  template <class T>
  std::vector<T> done() {
    std::vector<T> result;
    std::erase_if(all_, [&](Effect& e) {
      auto* const what = std::get_if<T>(&e);
      if (what == nullptr) return false;
      result.push_back(std::move(*what));
      return true;
    });
    return result;
  }

 private:
  std::vector<Effect> all_;
};

}  // namespace troupe::test
