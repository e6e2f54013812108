#include "actors/supervisor_state.hpp"

#include <troupe/detail/assert.hpp>

namespace troupe::actors {

supervisor_state::supervisor_state(strategy how, int max_restarts, std::chrono::nanoseconds period,
                                   const std::vector<restart>& children)
    : how_(how), max_restarts_(max_restarts), period_(period) {
  for (const restart when : children) children_.push_back({.when = when});
}

supervisor_state::plan supervisor_state::begin() const {
  plan all;
  for (std::size_t i = 0; i < children_.size(); ++i) all.start.push_back(i);
  return all;
}

std::uint64_t supervisor_state::started(std::size_t index) {
  child& one = children_[index];
  TROUPE_ASSERT(one.state != child_state::running, "a child that runs cannot start");
  one.state = child_state::running;
  if (one.incarnation > 0) ++one.restarts;
  return ++one.incarnation;
}

void supervisor_state::stopped(std::size_t index) {
  child& one = children_[index];
  if (one.state == child_state::running) one.state = child_state::stopped;
}

supervisor_state::plan supervisor_state::ended(std::size_t index, std::uint64_t incarnation,
                                               bool abnormal, time_point now) {
  child& one = children_[index];
  if (ending_ || one.incarnation != incarnation || one.state == child_state::stopped ||
      one.state == child_state::ended) {
    return {};
  }
  const bool restarts =
      one.when == restart::permanent || (one.when == restart::transient && abnormal);
  if (!restarts) {
    one.state = child_state::ended;
    return {};
  }
  one.state = child_state::restarting;
  if (too_many(now)) {
    one.state = child_state::ended;
    plan all = stop_all();
    all.give_up = true;
    return all;
  }
  if (how_ == strategy::one_for_one) return {{}, {index}, false};

  const std::size_t first = how_ == strategy::one_for_all ? 0 : index;
  plan some;
  some.stop = running_from(first);
  for (std::size_t i = first; i < children_.size(); ++i) {
    child& other = children_[i];
    // One that may end and never come back does so, also when a sibling's end is why.
    if (other.when == restart::temporary) {
      if (other.state == child_state::running) other.state = child_state::ended;
      continue;
    }
    other.state = child_state::restarting;
    some.start.push_back(i);
  }
  return some;
}

supervisor_state::plan supervisor_state::stop_all() {
  ending_ = true;
  return {running_from(0), {}, false};
}

bool supervisor_state::too_many(time_point now) {
  while (!restarts_.empty() && now - restarts_.front() >= period_) restarts_.pop_front();
  restarts_.push_back(now);
  return restarts_.size() > static_cast<std::size_t>(max_restarts_);
}

std::vector<std::size_t> supervisor_state::running_from(std::size_t first) const {
  std::vector<std::size_t> running;
  for (std::size_t i = children_.size(); i > first; --i) {
    if (children_[i - 1].state == child_state::running) running.push_back(i - 1);
  }
  return running;
}

}  // namespace troupe::actors
