#include "net/pull_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe::net {

// -- pull_state -----------------------------------------------------------------------------------

void pull_state::begin(stored_id id, process_id home) {
  const auto [at, fresh] = pulls_.try_emplace(id);
  at->second.wanted = true;
  // Its home is asked already: a second question would free the source that answers the first.
  if (!fresh) return;
  at->second.home = home;
  effects_.emplace_back(ask_home{home, id});
}

void pull_state::located(stored_id id, std::uint64_t size, process_id source) {
  const auto at = pulls_.find(id);
  if (at == pulls_.end()) {
    // It was stopped meanwhile: the home must not count the source as busy.
    effects_.emplace_back(tell_home{id.owner, id, source, false});
    return;
  }
  pull& of = at->second;
  if (of.source != 0) return;
  if (!of.wanted) {
    effects_.emplace_back(tell_home{of.home, id, source, false});
    pulls_.erase(at);
    return;
  }
  if (of.size != 0 && of.size != size) return refused(id, "its size has changed");
  of.source = source;
  if (of.size == 0) {
    of.size = size;
    effects_.emplace_back(value_located{id, size});
  } else {
    ask_more(id, of);
  }
}

void pull_state::refused(stored_id id, const std::string& why, store_refusal refusal) {
  const auto at = pulls_.find(id);
  if (at == pulls_.end()) return;
  const bool wanted = at->second.wanted;
  pulls_.erase(at);
  if (wanted) effects_.emplace_back(pull_hopeless{id, why, refusal});
}

void pull_state::memory_granted(stored_id id) {
  const auto at = pulls_.find(id);
  if (at == pulls_.end()) return;
  at->second.has_memory = true;
  ask_more(id, at->second);
}

void pull_state::ask_more(stored_id id, pull& of) {
  if (of.source == 0 || !of.has_memory) return;
  const std::uint32_t window = wide_.contains(of.source) ? window_ * wide_by : window_;
  while (of.under_way.size() < window && (of.next < of.size || !of.again.empty())) {
    std::uint64_t offset = of.next;
    std::uint64_t size = std::min(chunk_bytes_, of.size - of.next);
    if (!of.again.empty()) {
      offset = of.again.begin()->first;
      size = of.again.begin()->second;
      of.again.erase(of.again.begin());
    } else {
      of.next += size;
    }
    of.under_way.emplace(offset, size);
    effects_.emplace_back(ask_chunk{of.source, id, offset, size});
  }
}

bool pull_state::expects(stored_id id, process_id from, std::uint64_t offset,
                         std::uint64_t size) const {
  const auto at = pulls_.find(id);
  if (at == pulls_.end() || at->second.source != from) return false;
  const auto chunk = at->second.under_way.find(offset);
  return chunk != at->second.under_way.end() && chunk->second == size;
}

void pull_state::arrived(stored_id id, std::uint64_t offset) {
  pull& of = pulls_.at(id);
  of.under_way.erase(offset);
#ifdef TROUPE_PLANTED_LAST_CHUNK_NOT_AWAITED  // for the simulator to find
  if (of.next < of.size || !of.again.empty()) return ask_more(id, of);
#else
  if (of.next < of.size || !of.again.empty() || !of.under_way.empty()) return ask_more(id, of);
#endif
  effects_.emplace_back(end_transfer{of.source, id});
  if (of.home != 0) effects_.emplace_back(tell_home{of.home, id, of.source, true});
  effects_.emplace_back(pull_complete{id});
  pulls_.erase(id);
}

void pull_state::set_wide(process_id source, bool wide) {
  if (!wide) {
    wide_.erase(source);
    return;
  }
  if (!wide_.insert(source).second) return;
  for (auto& [id, of] : pulls_) {
    if (of.source == source) ask_more(id, of);
  }
}

void pull_state::undelivered(stored_id id, process_id source, std::uint64_t offset) {
  const auto at = pulls_.find(id);
  if (at == pulls_.end() || at->second.source != source) return;
  pull& of = at->second;
  const auto chunk = of.under_way.find(offset);
  if (chunk == of.under_way.end()) return;
  of.again.insert(of.under_way.extract(chunk));
  ask_more(id, of);
}

void pull_state::lost_source(stored_id id, pull& of) {
  effects_.emplace_back(tell_home{of.home, id, of.source, false});
  of.source = 0;
  of.again.merge(of.under_way);
  of.under_way.clear();
  effects_.emplace_back(ask_home{of.home, id});
}

void pull_state::missing(stored_id id, process_id source, const std::string& no_room) {
  const auto at = pulls_.find(id);
  if (at == pulls_.end() || at->second.source != source) return;
  // What was asked for behind that chunk may find the value there again, and have it held.
  effects_.emplace_back(end_transfer{source, id});
  if (at->second.home == 0) return refused(id, "the node that it was made on is gone");
  if (source == at->second.home) {
    effects_.emplace_back(tell_home{source, id, source, false});
    if (!no_room.empty()) {  // it is there, and need not be made again
      return refused(id, "on the node that it was made on: " + no_room, store_refusal::full);
    }
    return refused(id, "its node does not have it any more");
  }
  lost_source(id, at->second);
}

void pull_state::process_gone(process_id who, const std::string& cause) {
  std::vector<stored_id> hopeless;
  for (auto& [id, of] : pulls_) {
    if (of.home == who) {
      of.home = 0;  // a transfer from another source goes on to its end
      if (of.source == 0 || of.source == who) hopeless.push_back(id);
    } else if (of.source == who && of.home == 0) {
      hopeless.push_back(id);
    } else if (of.source == who) {
      lost_source(id, of);
    }
  }
  for (const stored_id id : hopeless) refused(id, "the node that had it is gone: " + cause);
}

void pull_state::stop(stored_id id) {
  const auto at = pulls_.find(id);
  if (at == pulls_.end()) return;
  pull& of = at->second;
  if (of.source == 0) {
    // What the home answers will free the source that it names, or serve who wants it by then.
    pull asked;
    asked.home = of.home;
    asked.wanted = false;
    of = std::move(asked);
    return;
  }
  effects_.emplace_back(end_transfer{of.source, id});
  if (of.home != 0) effects_.emplace_back(tell_home{of.home, id, of.source, false});
  pulls_.erase(at);
}

// -- spread_state ---------------------------------------------------------------------------------

void spread_state::asked(stored_id id, process_id by, bool keeps, bool is_sealed) {
  value& of = values_[id];
  of.is_sealed = is_sealed;
  if (of.serving.contains(by)) finish(of, by);
  const bool known = std::any_of(of.waiting.begin(), of.waiting.end(),
                                 [by](const receiver& r) { return r.node == by; });
  if (!known) of.waiting.push_back({by, keeps});
  serve(id, of);
}

void spread_state::sealed(stored_id id) {
  const auto at = values_.find(id);
  if (at == values_.end()) return;
  at->second.is_sealed = true;
  serve(id, at->second);
}

void spread_state::serve(stored_id id, value& of) {
  while (of.is_sealed && !of.waiting.empty()) {
    const receiver next = of.waiting.front();
    // The one with the least to do; copies before this node, which may have other things to do.
    process_id best = 0;
    std::uint32_t least = at_once_;
    const auto consider = [&](process_id source) {
      if (source == next.node || of.bad.contains({source, next.node})) return;
      const auto busy = of.busy.find(source);
      const std::uint32_t load = busy == of.busy.end() ? 0 : busy->second;
      if (load < least) {
        least = load;
        best = source;
      }
    };
    for (const process_id copy : of.copies) consider(copy);
    consider(self_);
    if (best == 0) return;  // all are busy: whoever ends lets it go on
    of.waiting.pop_front();
    ++of.busy[best];
    of.serving[next.node] = {best, next.keeps};
    effects_.emplace_back(name_source{next.node, id, best});
  }
}

void spread_state::finish(value& of, process_id by) {
  const auto at = of.serving.find(by);
  if (at == of.serving.end()) return;
  const auto busy = of.busy.find(at->second.node);
  if (busy != of.busy.end() && --busy->second == 0) of.busy.erase(busy);
  of.serving.erase(at);
}

void spread_state::ended(stored_id id, process_id by, process_id source, bool done) {
  const auto at = values_.find(id);
  if (at == values_.end()) {
    if (done) effects_.emplace_back(delete_copy{by, id});  // it was freed meanwhile
    return;
  }
  value& of = at->second;
  const auto served = of.serving.find(by);
  if (served == of.serving.end() || served->second.node != source) return;
  if (done && served->second.keeps) of.copies.insert(by);
  if (!done && source != self_) of.bad.insert({source, by});
  finish(of, by);
  serve(id, of);
  clean_up(id);
}

void spread_state::evicted(stored_id id, process_id node) {
  const auto at = values_.find(id);
  if (at == values_.end()) return;
  at->second.copies.erase(node);
  clean_up(id);
}

void spread_state::freed(stored_id id) {
  const auto at = values_.find(id);
  if (at == values_.end()) return;
  for (const process_id copy : at->second.copies) effects_.emplace_back(delete_copy{copy, id});
  for (const auto& [node, from] : at->second.serving) effects_.emplace_back(delete_copy{node, id});
  // They are told that there is none any more.
  for (const receiver& one : at->second.waiting) {
    effects_.emplace_back(name_source{one.node, id, self_});
  }
  values_.erase(at);
}

void spread_state::process_gone(process_id who) {
  std::vector<stored_id> touched;
  for (auto& [id, of] : values_) {
    touched.push_back(id);
    of.copies.erase(who);
    finish(of, who);
    std::erase_if(of.waiting, [who](const receiver& r) { return r.node == who; });
    std::erase_if(of.bad,
                  [who](const auto& pair) { return pair.first == who || pair.second == who; });
  }
  for (const stored_id id : touched) {
    serve(id, values_.at(id));
    clean_up(id);
  }
}

void spread_state::clean_up(stored_id id) {
  const auto at = values_.find(id);
  const value& of = at->second;
  if (of.copies.empty() && of.serving.empty() && of.waiting.empty()) values_.erase(at);
}

}  // namespace troupe::net
