/// Decides which task goes to which lease, and what becomes of it when the lease is lost.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/ids.hpp"
#include "net/lease_window.hpp"

namespace troupe::net {

/// What follows for a task whose worker has died.
enum class after_death : std::uint8_t {
  fail,         ///< it may have run, and must not run twice (as often)
  again,        ///< it had not begun: queue it as it is
  again_alone,  ///< it was running: another attempt, in a process of its own
};
/// `most`: its max_retries, -1 for ever; `attempt`: how often it was retried before.
constexpr after_death decide_after_death(std::int32_t most, std::int32_t attempt,
                                         bool was_running) noexcept {
  if (!was_running) return most != 0 ? after_death::again : after_death::fail;
  return most == -1 || attempt < most ? after_death::again_alone : after_death::fail;
}

/// Pure; thread-compatible. A line is a queue of tasks of one shape with the leases that run them;
/// `Task` is a pointer that is handed back as it was given, and is not looked into.
template <class Task>
class task_flight_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  struct line;
  struct lease {
    line* of = nullptr;
    lease_id id = 0;
    process_id node = 0;
    process_id worker = 0;
    std::uint32_t in_flight = 0;
    std::deque<std::uint64_t> order;  ///< the tasks in flight as they were sent, some have ended
    lease_window window;
    bool idle_watched = false;
  };
  struct line {
    std::vector<std::unique_ptr<lease>> leases;
    bool asking = false;  ///< a request for a lease is open
  };
  /// A task that shall be sent.
  struct departure {
    Task task;
    process_id worker;
    lease_id under;
  };
  struct landing {
    Task task;
    lease* by;
  };
  struct stranded {
    Task task;
    bool was_running;  ///< as far as can be known: it was the oldest of its lease
  };

  lease& granted(line& of, lease_id id, process_id node, process_id worker) {
    of.asking = false;
    lease& fresh = *of.leases.emplace_back(std::make_unique<lease>());
    fresh.of = &of;
    fresh.id = id;
    fresh.node = node;
    fresh.worker = worker;
    return fresh;
  }
  /// True when a lease is to be asked for; the line is told by `granted` or by `asking`.
  bool ask(line& of) noexcept { return !std::exchange(of.asking, true); }

  /// Gives tasks to leases with room, in turn: `pop` hands out the next task that waits with its
  /// id, or nothing; `takes_more` tells whether the way to a worker is free. A lease gets one task
  /// in any case, whose end brings the line to its turn again.
  template <class Pop, class TakesMore>
  void fill(line& of, Pop&& pop, TakesMore&& takes_more, std::vector<departure>& leaving) {
    for (bool room = true; room;) {
      room = false;
      for (const auto& one : of.leases) {
        if (one->in_flight >= one->window.size()) continue;
        if (one->in_flight > 0 && !takes_more(one->worker)) continue;
        const std::pair<Task, std::uint64_t> next = pop();
        if (next.first == Task{}) return;
        room = true;
        ++one->in_flight;
        one->order.push_back(next.second);
        flights_[next.second] = {next.first, one.get()};
        leaving.push_back({next.first, one->worker, one->id});
      }
    }
  }

  template <class Pop>
  void fill(line& of, Pop&& pop, std::vector<departure>& leaving) {
    fill(
        of, std::forward<Pop>(pop), [](process_id) { return true; }, leaving);
  }

  /// A task has ended in its worker.
  std::optional<landing> done(std::uint64_t task, time now) {
    const std::optional<landing> landed = returned(task);
    if (!landed) return landed;
    lease& by = *landed->by;
    by.window.task_ended(now, by.in_flight);
    while (!by.order.empty() && !flights_.contains(by.order.front())) by.order.pop_front();
    return landed;
  }
  /// A task was not begun, or never left: its lease has room.
  std::optional<landing> returned(std::uint64_t task) {
    const auto at = flights_.find(task);
    if (at == flights_.end()) return std::nullopt;
    const landing landed{at->second.task, at->second.by};
    flights_.erase(at);
    --landed.by->in_flight;
    return landed;
  }

  /// True when the lease is idle and nobody watches that yet: `idle_over` is to be called later.
  bool watch_idle(lease& of) noexcept {
    return of.in_flight == 0 && !std::exchange(of.idle_watched, true);
  }
  /// True when it has no work: it is forgotten and shall be given back.
  bool idle_over(line& of, process_id node, lease_id id) {
    const auto at = std::find_if(of.leases.begin(), of.leases.end(), [&](const auto& one) {
      return one->id == id && one->node == node;
    });
    if (at == of.leases.end()) return false;
    (*at)->idle_watched = false;
    if ((*at)->in_flight > 0) return false;
    of.leases.erase(at);
    return true;
  }

  /// The node has ended the lease: where it was, and with its tasks as above. Nobody when it is not
  /// of this line.
  std::optional<process_id> revoked(line& of, process_id node, lease_id id,
                                    std::vector<stranded>& tasks) {
    std::optional<process_id> worker;
    lose(of, tasks, [&](const lease& one) {
      if (one.node != node || one.id != id) return false;
      worker = one.worker;
      return true;
    });
    return worker;
  }

  /// The worker or node is gone, and the line's leases that it held: the tasks that were in flight
  /// there, in their order. True when a lease was lost.
  bool process_gone(line& of, process_id gone, std::vector<stranded>& tasks) {
    return lose(of, tasks,
                [gone](const lease& one) { return one.worker == gone || one.node == gone; });
  }
  /// This process has lost its node: nobody will tell what becomes of its leases.
  void cut_off(line& of, std::vector<stranded>& tasks) {
    lose(of, tasks, [](const lease&) { return true; });
  }

  /// Where a task is, if it is on its way.
  std::optional<landing> find(std::uint64_t task) const {
    const auto at = flights_.find(task);
    if (at == flights_.end()) return std::nullopt;
    return landing{at->second.task, at->second.by};
  }
  /// Forgets all that is in flight.
  std::vector<landing> take_all() {
    std::vector<landing> all;
    for (const auto& [id, one] : flights_) {
      --one.by->in_flight;
      all.push_back({one.task, one.by});
    }
    flights_.clear();
    return all;
  }
  std::size_t in_flight() const noexcept { return flights_.size(); }

 private:
  struct flight {
    Task task{};
    lease* by = nullptr;
  };

  template <class Which>
  bool lose(line& of, std::vector<stranded>& tasks, Which&& which) {
    const auto lost = std::erase_if(of.leases, [&](const auto& one) {
      if (!which(*one)) return false;
      bool oldest = true;  // a lease runs its tasks in their order
      for (const std::uint64_t id : one->order) {
        const auto at = flights_.find(id);
        if (at == flights_.end() || at->second.by != one.get()) continue;
        tasks.push_back({at->second.task, oldest});
        oldest = false;
        flights_.erase(at);
      }
      return true;
    });
    return lost != 0;
  }

  std::unordered_map<std::uint64_t, flight> flights_;  ///< by the task's id
};

}  // namespace troupe::net
