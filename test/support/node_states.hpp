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

// -- what a control is told -----------------------------------------------------------------------

/// A node with four CPUs.
inline net::join_cluster hello_of(net::process_id id, const std::string& name = "",
                                  const std::string& host = "here") {
  net::join_cluster hello;
  hello.node = peer_of(id, host);
  hello.name = name.empty() ? "n" + std::to_string(id) : name;
  hello.total = amounts({{"CPU", 4}});
  return hello;
}

inline net::register_name registration_of(net::process_id owner, const std::string& name,
                                          std::uint64_t actor) {
  net::register_name what;
  what.request = 1;
  what.name = name;
  what.class_name = "chef";
  what.actor = {owner, actor};
  what.owner = peer_of(owner);
  return what;
}

/// The number of the job that the control gives to a driver of that node.
template <class Control>
net::job_id start_job_of(Control& control, net::process_id node, net::process_id driver) {
  control.tell(node, net::process_joined{driver});
  net::job_started job;
  job.driver = peer_of(driver);
  control.tell(node, job);
  return control.template sent<net::job_started>(node).back().job;
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
