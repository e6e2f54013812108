/// Decides the life of one actor of a cluster: where it is, when it begins again, when it is over.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/ids.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// Pure; thread-compatible. Kept by the actor's owner. `incarnation` is 0 until it is created for
/// the first time and grows by one with each life.
class actor_life_state {
 public:
  enum class step : std::uint8_t {
    ask_lease,   ///< a place for the next life
    create,      ///< send its creation to `host()`
    end_life,    ///< tell `host()` to end it
    give_lease,  ///< its lease is not needed any more
    publish,     ///< tell those who hold handles where it is
    bury,        ///< it is over: its name is free
  };
  using steps = std::vector<step>;

  explicit actor_life_state(std::int32_t max_restarts) : restarts_left_(max_restarts) {}
  /// As its owner has stored it.
  actor_life_state(std::int32_t restarts_left, actor_phase phase, std::uint32_t incarnation,
                   peer host)
      : restarts_left_(restarts_left),
        phase_(phase),
        incarnation_(incarnation),
        host_(std::move(host)) {}

  steps begin();
  /// A lease was granted.
  steps placed(const peer& host);
  /// No lease can be had.
  steps refused(const std::string& why);
  /// Its constructor has run, or failed, in that life.
  steps created(std::uint32_t incarnation, bool succeeded, const std::string& why);
  /// That life has ended by itself. `may_restart`: it counts as a failure.
  steps ended(std::uint32_t incarnation, std::uint8_t reason, const std::string& why,
              bool may_restart);
  /// A process is gone.
  steps process_gone(process_id gone, const std::string& cause);
  /// Somebody wants it to end.
  steps kill(std::uint8_t reason, const std::string& why, bool may_restart);

  actor_phase phase() const noexcept { return phase_; }
  std::uint32_t incarnation() const noexcept { return incarnation_; }
  const peer& host() const noexcept { return host_; }
  std::uint8_t reason() const noexcept { return reason_; }
  const std::string& text() const noexcept { return text_; }
  bool has_host() const noexcept { return host_.id != 0; }
  std::int32_t restarts_left() const noexcept { return restarts_left_; }

 private:
  steps over(std::uint8_t reason, const std::string& why);
  steps again_or_over(std::uint8_t reason, const std::string& why);

  std::int32_t restarts_left_;  ///< -1: without end
  actor_phase phase_ = actor_phase::pending;
  std::uint32_t incarnation_ = 0;
  peer host_;
  bool asking_ = false;
  std::uint8_t reason_ = 0;
  std::string text_;
};

}  // namespace troupe::net
