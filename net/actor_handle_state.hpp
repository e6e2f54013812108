/// Decides what a process that holds handles of an actor believes of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/ids.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// Pure; thread-compatible. Follows what the actor's owner says, which may begin another life, and
/// what the processes say that calls were sent to.
class actor_handle_state {
 public:
  enum class news : std::uint8_t {
    none,     ///< it says nothing of now
    known,    ///< of the life that is known
    another,  ///< that life is over: calls that were sent may have run in it
    over,     ///< the actor is: `end` is to be called
  };
  news heard(const actor_at& what);
  /// It is over, or nobody tells this process of it any more. False when that was known.
  bool end();
  /// Its host refused a call of the life that is known. True: its owner is to be asked where it is.
  bool refused();
  /// What to tell the owner of `actor`, which is among that one's.
  kill_actor order_end(std::uint64_t actor, std::uint8_t reason, std::string text,
                       bool may_restart);
  /// What another life of the owner is to be told again: the last order that may not have been
  /// carried out.
  const std::optional<kill_actor>& ordered_end() const noexcept { return ordered_end_; }

  actor_phase phase() const noexcept { return phase_; }
  std::uint32_t incarnation() const noexcept { return incarnation_; }
  const peer& host() const noexcept { return host_; }
  bool is_dead() const noexcept { return phase_ == actor_phase::dead; }
  /// Calls wait until it is known where to send them.
  bool is_away() const noexcept {
    return phase_ == actor_phase::pending || phase_ == actor_phase::restarting;
  }

 private:
  actor_phase phase_ = actor_phase::pending;
  std::uint32_t incarnation_ = 0;
  peer host_;
  std::optional<kill_actor> ordered_end_;
};

}  // namespace troupe::net
