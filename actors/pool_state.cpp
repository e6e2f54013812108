#include "actors/pool_state.hpp"

#include <utility>

#include <troupe/detail/assert.hpp>

namespace troupe::actors {

namespace {

constexpr pool_state::lane_id no_lane = ~pool_state::lane_id{0};

}  // namespace

pool_state::pool_state(const pool_limits& limits) : limits_(limits) {
  TROUPE_ASSERT(limits.max_in_flight > 0, "a pool's members take at least one call");
  TROUPE_ASSERT(limits.max_attempts > 0, "a pool sends a call at least once");
}

// -- items ----------------------------------------------------------------------------------------

pool_state::lane_id pool_state::add_lane(const lane_limits& limits) {
  TROUPE_ASSERT(limits.max_batch_size > 0, "a batch holds at least one item");
  lanes_.push_back({limits, {}});
  return static_cast<lane_id>(lanes_.size() - 1);
}

std::optional<pool_state::refusal> pool_state::would_refuse() const {
  if (dead_end_) return refusal::no_members;
  if (!has_free() && waiting_ >= room_to_come() &&
      waiting_ - room_to_come() >= limits_.max_pending) {
    return refusal::full;
  }
  return std::nullopt;
}

pool_state::item_id pool_state::submit(lane_id into, time_point now) {
  TROUPE_ASSERT(!would_refuse(), "the pool was asked whether it takes the item");
  const item_id item = ++last_item_;
  lanes_[into].items.emplace(item, waiting_item{now, 0});
  lane_of_.emplace(item, into);
  ++waiting_;
  dispatch(now);
  return item;
}

bool pool_state::withdraw(item_id item) {
  const auto found = lane_of_.find(item);
  if (found == lane_of_.end()) return false;
  lanes_[found->second].items.erase(item);
  lane_of_.erase(found);
  --waiting_;
  return true;
}

void pool_state::tick(time_point now) {
  armed_.reset();
  dispatch(now);
}

// -- dispatch -------------------------------------------------------------------------------------

bool pool_state::is_due(const lane& of, time_point now) const {
  if (of.items.empty()) return false;
  const waiting_item& oldest = of.items.begin()->second;
  return of.items.size() >= of.limits.max_batch_size || oldest.attempts > 0 ||
         now - oldest.since >= of.limits.max_wait;
}

pool_state::lane_id pool_state::oldest_due(time_point now) const {
  lane_id chosen = no_lane;
  for (lane_id i = 0; i < lanes_.size(); ++i) {
    if (!is_due(lanes_[i], now)) continue;
    if (chosen == no_lane || lanes_[i].items.begin()->first < lanes_[chosen].items.begin()->first) {
      chosen = i;
    }
  }
  return chosen;
}

void pool_state::dispatch(time_point now) {
  while (!free_.empty() && waiting_ > 0) {
    const lane_id from = oldest_due(now);
    if (from == no_lane) break;
    send(from, std::get<2>(*free_.begin()));
  }
  if (free_.empty() || waiting_ == 0) return;  // the event that changes this comes here again
  std::optional<time_point> next;
  for (const lane& one : lanes_) {
    if (one.items.empty()) continue;
    const time_point due = one.items.begin()->second.since + one.limits.max_wait;
    if (!next || due < *next) next = due;
  }
  if (!armed_ || *next < *armed_) {
    armed_ = next;
    effects_.push_back(wake_at{*next});
  }
}

void pool_state::send(lane_id from, member_id to) {
  lane& source = lanes_[from];
  const batch_id batch = ++last_batch_;
  flight& call = batches_[batch];
  call.to = to;
  call.from = from;
  while (!source.items.empty() && call.items.size() < source.limits.max_batch_size) {
    const auto& [item, state] = *source.items.begin();
    const bool alone = state.attempts > 0;
    if (alone && !call.items.empty()) break;
    call.items.push_back(item);
    call.states.push_back(state);
    lane_of_.erase(item);
    source.items.erase(source.items.begin());
    if (alone) break;
  }
  waiting_ -= call.items.size();
  clear_free(to);
  member& target = members_.at(to);
  ++target.in_flight;
  target.last_used = ++uses_;
  set_free(to);
  effects_.push_back(send_batch{batch, to, from, call.items});
}

void pool_state::set_free(member_id id) {
  const member& one = members_.at(id);
  if (!one.gone && one.in_flight < limits_.max_in_flight) {
    free_.emplace(one.in_flight, one.last_used, id);
  }
}

void pool_state::clear_free(member_id id) {
  const member& one = members_.at(id);
  free_.erase({one.in_flight, one.last_used, id});
}

// -- batches --------------------------------------------------------------------------------------

void pool_state::take_back(batch_id batch) {
  const auto found = members_.find(batches_.at(batch).to);
  if (found == members_.end()) return;  // it ended before its calls were heard of
  clear_free(found->first);
  --found->second.in_flight;
  set_free(found->first);
}

void pool_state::finished(batch_id batch, time_point now) {
  take_back(batch);
  batches_.erase(batch);
  failed_starts_ = 0;
  dispatch(now);
}

void pool_state::interrupted(batch_id batch, bool gone, bool resend, time_point now) {
  take_back(batch);
  flight call = std::move(batches_.at(batch));
  batches_.erase(batch);
  if (const auto found = members_.find(call.to); gone && found != members_.end()) {
    clear_free(call.to);
    found->second.gone = true;
  }
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    waiting_item state = call.states[i];
    if (!resend || ++state.attempts >= limits_.max_attempts) {
      effects_.push_back(fail_item{call.items[i], failing::interrupted});
    } else if (dead_end_) {
      effects_.push_back(fail_item{call.items[i], failing::no_members});
    } else {
      lanes_[call.from].items.emplace(call.items[i], state);
      lane_of_.emplace(call.items[i], call.from);
      ++waiting_;
    }
  }
  dispatch(now);
}

// -- members --------------------------------------------------------------------------------------

void pool_state::start(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    starting_.insert(++last_member_);
    effects_.push_back(start_member{last_member_});
  }
}

void pool_state::member_started(member_id id, time_point now) {
  if (starting_.erase(id) == 0) return;
  members_.emplace(id, member{});
  set_free(id);
  dispatch(now);
}

void pool_state::member_start_failed(member_id id) { member_ended(id, true, true); }

void pool_state::member_ended(member_id id, bool useless, bool replace) {
  if (members_.contains(id)) {
    clear_free(id);
    members_.erase(id);
  } else if (starting_.erase(id) == 0) {
    return;  // it was taken out meanwhile
  }
  if (useless) ++failed_starts_;
  if (replace) {
    try_replace();
  } else {
    ended_without_successor();
  }
}

void pool_state::try_replace() {
  const bool allowed = limits_.max_replacements < 0 ||
                       replaced_ < static_cast<std::uint64_t>(limits_.max_replacements);
  if (!allowed || failed_starts_ >= limits_.max_failed_starts) return ended_without_successor();
  ++replaced_;
  start(1);
}

void pool_state::ended_without_successor() {
  if (!members_.empty() || !starting_.empty()) return;
  dead_end_ = true;
  for (lane& one : lanes_) {
    for (const auto& [item, state] : one.items) {
      effects_.push_back(fail_item{item, failing::no_members});
    }
    one.items.clear();
  }
  lane_of_.clear();
  waiting_ = 0;
}

pool_state::member_id pool_state::add_member() {
  starting_.insert(++last_member_);
  dead_end_ = false;
  return last_member_;
}

std::optional<pool_state::member_id> pool_state::take_idle() {
  if (waiting_ > 0) return std::nullopt;
  if (!free_.empty() && std::get<0>(*free_.begin()) == 0) {
    const member_id id = std::get<2>(*free_.begin());
    clear_free(id);
    members_.erase(id);
    return id;
  }
  if (starting_.empty()) return std::nullopt;
  return starting_.extract(starting_.begin()).value();
}

}  // namespace troupe::actors
