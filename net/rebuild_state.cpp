#include "net/rebuild_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe::net {

void rebuild_state::keep(stored_id value, std::uint64_t bytes, std::int32_t most,
                         std::int32_t attempt) {
  entry& made = entries_[value];
  made.bytes = bytes;
  made.most = most;
  made.attempt = attempt;
  made.ids = {value};
  used_ += bytes;
}

void rebuild_state::keep_not(stored_id value, std::string why) {
  entry& made = entries_[value];
  made.why_not = std::move(why);
  made.ids = {value};
}

std::vector<rebuild_state::asked> rebuild_state::forget(stored_id value) {
  const auto at = entries_.find(value);
  if (at == entries_.end()) return {};
  for (const stored_id& id : at->second.ids) first_ids_.erase(id);
  used_ -= at->second.bytes;
  std::vector<asked> left = std::move(at->second.waiting);
  entries_.erase(at);
  return left;
}

rebuild_state::entry* rebuild_state::find(stored_id value) {
  if (const auto first = first_ids_.find(value); first != first_ids_.end()) value = first->second;
  const auto at = entries_.find(value);
  return at == entries_.end() ? nullptr : &at->second;
}

rebuild_state::verdict rebuild_state::lost(stored_id value, process_id who) {
  entry* const of = find(value);
  if (of == nullptr) {
    return hopeless{
        "it is not the result of a task that its owner still knows (what was put, or "
        "made by an actor or a generator, is not made again)"};
  }
  if (!of->why_not.empty()) return hopeless{of->why_not};
  if (of->running) {
    of->waiting.push_back({who, value});
    return under_way{};
  }
  if (value != of->ids.back()) return lies_elsewhere{of->ids.front()};
  if (of->most != -1 && of->attempt >= of->most) {
    return hopeless{"its task has run " + std::to_string(of->attempt + 1) +
                    " times, and max_retries is " + std::to_string(of->most)};
  }
  of->running = true;
  of->waiting.push_back({who, value});
  ++of->attempt;
  return run_again{of->ids.front(), of->attempt, of->most};
}

std::vector<rebuild_state::asked> rebuild_state::rebuilt(stored_id value, stored_id now,
                                                         std::int32_t attempt) {
  entry* const of = find(value);
  if (of == nullptr) return {};
  of->running = false;
  of->attempt = attempt;
  of->ids.push_back(now);
  first_ids_[now] = of->ids.front();
#ifdef TROUPE_PLANTED_REBUILT_NOT_TOLD  // for the simulator to find
  return {};
#endif
  return std::exchange(of->waiting, {});
}

std::vector<rebuild_state::asked> rebuild_state::failed(stored_id value, std::int32_t attempt) {
  entry* const of = find(value);
  if (of == nullptr) return {};
  of->running = false;
  of->attempt = attempt;
  return std::exchange(of->waiting, {});
}

void rebuild_state::process_gone(process_id gone) {
  for (auto& [id, of] : entries_) {
    std::erase_if(of.waiting, [gone](const asked& one) { return one.who == gone; });
  }
}

}  // namespace troupe::net
