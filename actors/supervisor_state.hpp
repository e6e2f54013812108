/// Decides for a supervisor: which children stop and start when one has ended, and when to give up.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include <troupe/supervisor.hpp>

namespace troupe::actors {

/// Pure; thread-compatible. Children are known by their index in the order of their start.
///
/// The supervisor carries out a plan (stop, then start, in the given order) before it tells of the
/// next event. An incarnation numbers the lives of a child; ends of past ones are not news.
class supervisor_state {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  struct child {
    restart when = restart::permanent;
    child_state state = child_state::stopped;
    std::uint64_t incarnation = 0;  ///< lives so far
    int restarts = 0;
  };
  struct plan {
    std::vector<std::size_t> stop;   ///< children that run, the youngest first
    std::vector<std::size_t> start;  ///< the oldest first
    bool give_up = false;            ///< too many restarts: `stop` has all, nothing starts

    bool operator==(const plan&) const = default;
  };

  supervisor_state(strategy how, int max_restarts, std::chrono::nanoseconds period,
                   const std::vector<restart>& children);

  /// What to do first: all children, in order.
  plan begin() const;
  /// The child runs. Returns the number of this life.
  std::uint64_t started(std::size_t index);
  /// The child was stopped, as a plan says.
  void stopped(std::size_t index);
  /// A child ended by itself, or could not be started again: that counts as an end, too.
  plan ended(std::size_t index, std::uint64_t incarnation, bool abnormal, time_point now);
  /// The supervisor shall end: stop all.
  plan stop_all();

  const child& at(std::size_t index) const { return children_[index]; }
  std::size_t size() const noexcept { return children_.size(); }

 private:
  bool too_many(time_point now);
  std::vector<std::size_t> running_from(std::size_t first) const;

  strategy how_;
  int max_restarts_;
  std::chrono::nanoseconds period_;
  std::vector<child> children_;
  std::deque<time_point> restarts_;  ///< within the last period; at most max_restarts_ + 1
  bool ending_ = false;
};

}  // namespace troupe::actors
