#include "net/actor_life_state.hpp"

namespace troupe::net {

namespace {

// As troupe::exit_reason, which this file needs no more of.
constexpr std::uint8_t constructor_threw = 3;
constexpr std::uint8_t failed = 4;

}  // namespace

using steps = actor_life_state::steps;

steps actor_life_state::begin() {
  asking_ = true;
  return {step::ask_lease};
}

steps actor_life_state::placed(const peer& host) {
  asking_ = false;
  if (phase_ == actor_phase::dead) return {step::give_lease};
  host_ = host;
  ++incarnation_;
  return {step::create};
}

steps actor_life_state::refused(const std::string& why) {
  asking_ = false;
  if (phase_ == actor_phase::dead) return {};
  return over(constructor_threw, "it could not be placed: " + why);
}

steps actor_life_state::created(std::uint32_t incarnation, bool succeeded, const std::string& why) {
  if (phase_ == actor_phase::dead || incarnation != incarnation_) return {};
  if (!succeeded) {
    // A first constructor that throws will throw again; a later one may have met bad luck.
    if (phase_ == actor_phase::restarting) return again_or_over(failed, why);
    return over(constructor_threw, why);
  }
  phase_ = actor_phase::alive;
  return {step::publish};
}

steps actor_life_state::ended(std::uint32_t incarnation, std::uint8_t reason,
                              const std::string& why, bool may_restart) {
  // That life may be known to be over: it was ended, and has failed meanwhile.
  if (phase_ == actor_phase::dead || incarnation != incarnation_ || !has_host()) return {};
  return may_restart ? again_or_over(reason, why) : over(reason, why);
}

steps actor_life_state::process_gone(process_id gone, const std::string& cause) {
  if (phase_ == actor_phase::dead || !has_host() || host_.id != gone) return {};
  host_ = {};
  return again_or_over(failed, "its process has ended: " + cause);
}

steps actor_life_state::kill(std::uint8_t reason, const std::string& why, bool may_restart) {
  if (phase_ == actor_phase::dead) return {};
  steps next;
  if (has_host()) next.push_back(step::end_life);
  // One that waits for its lease has no life yet that could fail.
  if (may_restart && !has_host()) return {};
  const steps rest = may_restart ? again_or_over(reason, why) : over(reason, why);
  next.insert(next.end(), rest.begin(), rest.end());
  return next;
}

steps actor_life_state::again_or_over(std::uint8_t reason, const std::string& why) {
  if (restarts_left_ == 0) return over(reason, why);
  if (restarts_left_ > 0) --restarts_left_;
  phase_ = actor_phase::restarting;
  text_ = why;
  host_ = {};
  steps next{step::publish, step::give_lease};
  if (!asking_) {
    asking_ = true;
    next.push_back(step::ask_lease);
  }
  return next;
}

steps actor_life_state::over(std::uint8_t reason, const std::string& why) {
  phase_ = actor_phase::dead;
  reason_ = reason;
  text_ = why;
  host_ = {};
  return {step::publish, step::give_lease, step::bury};
}

}  // namespace troupe::net
