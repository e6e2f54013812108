/// Whether a node's head lives: a head that is silent may be cut off, one whose machine answers
/// that nobody listens at its address is dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "net/address.hpp"
#include "net/ids.hpp"

namespace troupe::net {

class connection_attempt;

/// A silent head may have declared this node dead and have begun its work elsewhere: then the node
/// must end it. A head whose process is dead cannot, so the node may go on with its work, and
/// wait for it to be started again. Thread-compatible; never blocks.
class head_watch {
 public:
  using time = std::chrono::steady_clock::time_point;
  enum class finding : std::uint8_t { alive, silent, just_died, stays_dead };

  head_watch();
  ~head_watch();
  head_watch(const head_watch&) = delete;
  head_watch& operator=(const head_watch&) = delete;

  void begin(const peer& head, time now);
  /// Something came from it.
  void heard(time now);
  /// To be called every 100 ms or so. `is_linked`: a connection to it is open; one that has ended
  /// may have ended with it, so that it is looked for at once. `silent_for`: so long nothing is
  /// known of it. `dead_for`: so long it is known to be dead.
  finding look(time now, bool is_linked, std::chrono::milliseconds silent_for,
               std::chrono::milliseconds dead_for);

 private:
  peer head_;
  host_and_port numeric_;  ///< its address, looked up once: that may block
  std::unique_ptr<connection_attempt> probe_;
  time probe_until_{};
  time heard_{};
  time known_{};  ///< whether it lives
  time next_probe_{};
  bool dead_ = false;
};

}  // namespace troupe::net
