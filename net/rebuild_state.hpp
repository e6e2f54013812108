/// Decides what is done about values that are lost: which task runs again, and who hears of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "net/store_state.hpp"

namespace troupe::net {

/// The values that tasks of one process made. Pure; thread-compatible.
///
/// A value keeps the name under which it was first known; each time it is rebuilt it gets another
/// id, and all of them are known. Attempts count against the task's `max_retries`, those that the
/// deaths of workers took included.
class rebuild_state {
 public:
  /// `limit`: bytes of what is kept to run tasks again.
  explicit rebuild_state(std::uint64_t limit) : limit_(limit) {}

  /// Whether so much more can be kept.
  bool has_room(std::uint64_t bytes) const noexcept { return bytes <= limit_ - used_; }
  /// The result of a task that can run again has come to lie there. `most`: its max_retries, -1 for
  /// ever; `attempt`: how often it was retried before.
  void keep(stored_id value, std::uint64_t bytes, std::int32_t most, std::int32_t attempt);
  /// The result of one that cannot.
  void keep_not(stored_id value, std::string why);
  /// Nobody can ask for it any more. Those who did and wait still; they are answered by nobody
  /// else.
  struct asked {
    process_id who = 0;
    stored_id value;  ///< by the id they know
  };
  std::vector<asked> forget(stored_id value);

  struct run_again {
    stored_id value;  ///< its first id
    std::int32_t attempt = 0;
    std::int32_t most = 0;
  };
  struct under_way {};
  struct lies_elsewhere {
    stored_id value;  ///< its first id
  };
  struct hopeless {
    std::string why;
  };
  using verdict = std::variant<run_again, under_way, lies_elsewhere, hopeless>;
  /// `who` cannot read it.
  verdict lost(stored_id value, process_id who);

  /// The task has run again: who waits for it.
  std::vector<asked> rebuilt(stored_id value, stored_id now, std::int32_t attempt);
  /// It has failed.
  std::vector<asked> failed(stored_id value, std::int32_t attempt);
  /// A process is gone: it waits for nothing any more.
  void process_gone(process_id gone);

  std::size_t size() const noexcept { return entries_.size(); }
  std::uint64_t bytes() const noexcept { return used_; }

 private:
  struct entry {
    std::uint64_t bytes = 0;
    std::int32_t most = 0;
    std::int32_t attempt = 0;
    bool running = false;
    std::string why_not;
    std::vector<stored_id> ids;  ///< the first one, and those it got later
    std::vector<asked> waiting;
  };

  entry* find(stored_id value);

  const std::uint64_t limit_;
  std::uint64_t used_ = 0;
  std::map<stored_id, entry> entries_;        ///< by first id
  std::map<stored_id, stored_id> first_ids_;  ///< of ids that are not
};

}  // namespace troupe::net
