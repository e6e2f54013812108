/// When events are recorded and looked at, and which work they say is done.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe::gpu {

/// Pure, thread-compatible. Each lane (a stream) has work whose end somebody waits for, and one
/// event at most that is on its way. An event covers all that was enqueued before it was recorded:
/// a chain of a thousand kernels needs few.
class completion_state {
 public:
  std::size_t add_lane();

  /// Work was enqueued there.
  void added(std::size_t lane);
  /// Lanes that want an event recorded: there is work without one, and none is on its way.
  std::vector<std::size_t> to_record() const;
  /// It was recorded, after everything that was added.
  void recorded(std::size_t lane);
  /// Lanes whose event is on its way.
  std::vector<std::size_t> to_query() const;
  /// The event has happened. How many pieces of work, the oldest first, are done.
  std::size_t happened(std::size_t lane);
  /// The device has failed: all work of the lane is over. How many pieces that are.
  std::size_t failed(std::size_t lane);

  bool idle() const noexcept { return pending_ == 0; }

 private:
  struct state {
    std::size_t pending = 0;  ///< added, not done
    std::size_t covered = 0;  ///< of them by the event on its way; 0: there is none
  };
  std::vector<state> lanes_;
  std::size_t pending_ = 0;
};

/// How long to pause between two looks at events, the first of which was so long ago: none at
/// first, then a part of that, so that what takes long costs little to watch and is told at most an
/// eighth of its time too late.
std::chrono::nanoseconds pause_between_looks(std::chrono::nanoseconds since_first);

}  // namespace troupe::gpu
