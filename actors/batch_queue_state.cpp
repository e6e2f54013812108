#include "actors/batch_queue_state.hpp"

#include <utility>

#include <troupe/detail/assert.hpp>

namespace troupe::actors {

batch_queue_state::batch_queue_state(const batch_limits& limits) : limits_(limits) {
  TROUPE_ASSERT(limits.max_batch_size > 0, "a batch holds at least one call");
}

batch_queue_state::entry* batch_queue_state::find(std::uint64_t number) {
  const auto found = entries_.find(number);
  return found != entries_.end() ? &found->second : nullptr;
}

/// The caller's last call stands in that entry now. The one before may stand in another, which goes
/// at once: nothing of the caller's may pass it by.
void batch_queue_state::note_place(caller_id caller, std::uint64_t number) {
  if (!limits_.ordered) return;
  const auto [at, added] = places_.try_emplace(caller, number);
  if (added || at->second == number) return;
  if (entry* const before = find(at->second)) before->due = time_point::min();
  at->second = number;
}

batch_queue_state::entry& batch_queue_state::add(caller_id caller, method_id method, call_id call) {
  entry& made = entries_.emplace_hint(entries_.end(), ++last_, entry{})->second;
  made.what.method = method;
  made.what.calls.push_back(call);
  made.callers.push_back(caller);
  note_place(caller, last_);
  return made;
}

void batch_queue_state::arrive(call_id call, caller_id caller) { add(caller, no_method, call); }

void batch_queue_state::arrive_again(call_id call, caller_id caller, method_id method) {
  add(caller, method, call);
}

/// The method's last batch, if the caller may join it.
batch_queue_state::entry* batch_queue_state::open_batch(method_id method, caller_id caller) {
  if (method >= open_.size()) return nullptr;
  entry* const last = find(open_[method]);
  if (last == nullptr || last->what.calls.size() >= limits_.max_batch_size) return nullptr;
  if (!limits_.ordered) return last;
  const auto place = places_.find(caller);
  return place == places_.end() || place->second <= open_[method] ? last : nullptr;
}

void batch_queue_state::arrive(call_id call, caller_id caller, method_id method, time_point since) {
  if (entry* const batch = open_batch(method, caller)) {
    batch->what.calls.push_back(call);
    batch->callers.push_back(caller);
    note_place(caller, open_[method]);
    if (batch->what.calls.size() >= limits_.max_batch_size) batch->due = time_point::min();
    return;
  }
  if (method >= open_.size()) open_.resize(method + 1);
  // Nobody joins the one before any more.
  if (entry* const before = find(open_[method])) before->due = time_point::min();
  entry& made = add(caller, method, call);
  open_[method] = last_;
  if (limits_.max_batch_size > 1 && limits_.max_wait.count() > 0) {
    made.due = since + limits_.max_wait;
  }
}

std::optional<batch_queue_state::turn> batch_queue_state::next(time_point now) {
  // Of each method at most the last batch waits, so few are passed by.
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->second.due <= now) return take(at);
  }
  return std::nullopt;
}

std::optional<batch_queue_state::turn> batch_queue_state::take_any() {
  if (entries_.empty()) return std::nullopt;
  return take(entries_.begin());
}

batch_queue_state::turn batch_queue_state::take(line::iterator at) {
  const auto& [number, chosen] = *at;
  if (limits_.ordered) {
    for (const caller_id caller : chosen.callers) {
      const auto place = places_.find(caller);
      if (place != places_.end() && place->second == number) places_.erase(place);
    }
  }
  turn result = std::move(at->second.what);
  entries_.erase(at);
  return result;
}

std::optional<batch_queue_state::time_point> batch_queue_state::due() const {
  std::optional<time_point> first;
  for (const auto& [number, one] : entries_) {
    if (!first || one.due < *first) first = one.due;
  }
  return first;
}

}  // namespace troupe::actors
