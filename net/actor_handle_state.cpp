#include "net/actor_handle_state.hpp"

#include <utility>

namespace troupe::net {

actor_handle_state::news actor_handle_state::heard(const actor_at& what) {
  if (is_dead()) return news::none;
  // An owner that has forgotten it does not know how many lives it had.
  if (what.phase == actor_phase::dead) return news::over;
  if (what.incarnation < incarnation_) return news::none;
  const bool another = what.incarnation != incarnation_ || what.phase == actor_phase::restarting;
  // One that was to end this life alone has come about.
  if (another && ordered_end_ && !ordered_end_->no_restart) ordered_end_.reset();
  phase_ = what.phase;
  incarnation_ = what.incarnation;
  host_ = what.host;
  return another ? news::another : news::known;
}

bool actor_handle_state::end() {
  if (is_dead()) return false;
  phase_ = actor_phase::dead;
  host_ = {};
  ordered_end_.reset();
  return true;
}

bool actor_handle_state::refused() {
  if (phase_ != actor_phase::alive) return false;
  phase_ = actor_phase::restarting;
  return true;
}

kill_actor actor_handle_state::order_end(std::uint64_t actor, std::uint8_t reason, std::string text,
                                         bool may_restart) {
  kill_actor order{actor, !may_restart, reason, std::move(text), incarnation_};
  const bool ends_anyway = ordered_end_ && ordered_end_->no_restart;
  if (!ends_anyway) ordered_end_ = order;
  return order;
}

}  // namespace troupe::net
