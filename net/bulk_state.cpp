#include "net/bulk_state.hpp"

#include <algorithm>

namespace troupe::net {

std::map<process_id, bulk_state::source_state>::iterator bulk_state::find_channel(
    std::uint64_t channel) {
  return std::find_if(sources_.begin(), sources_.end(), [channel](const auto& entry) {
    const source_state& of = entry.second;
    return of.channel == channel && (of.at == phase::connecting || of.at == phase::open);
  });
}

void bulk_state::wanted(time now, process_id source) {
  if (sources_.size() >= settings_.most_channels && !sources_.contains(source)) return;
  const auto [at, fresh] = sources_.try_emplace(source);
  source_state& of = at->second;
  if (!fresh && (of.at != phase::resting || now < of.until)) return;
  of.at = phase::asking;
  of.until = now + settings_.open_within;
  effects_.emplace_back(ask_channel{source});
}

void bulk_state::offered(time now, process_id source, std::uint64_t channel, std::uint16_t port,
                         const bulk_key& key) {
  const auto at = sources_.find(source);
  if (at == sources_.end() || at->second.at != phase::asking) return;
  at->second.at = phase::connecting;
  at->second.channel = channel;
  at->second.until = now + settings_.open_within;
  effects_.emplace_back(connect_channel{source, channel, port, key});
}

void bulk_state::refused(time now, process_id source, const std::string& why) {
  const auto at = sources_.find(source);
  if (at == sources_.end() || at->second.at != phase::asking) return;
  rest(now, source, at->second, why);
}

void bulk_state::opened(time now, std::uint64_t channel) {
  const auto at = find_channel(channel);
  if (at == sources_.end()) {
    effects_.emplace_back(close_channel{channel});
    return;
  }
  at->second.at = phase::open;
  at->second.used = now;
  at->second.bytes = 0;
  effects_.emplace_back(channel_stands{at->first, true});
}

void bulk_state::lost(time now, std::uint64_t channel, const std::string& why) {
  const auto at = find_channel(channel);
  if (at != sources_.end()) rest(now, at->first, at->second, why);
}

void bulk_state::rest(time now, process_id source, source_state& of, const std::string& why) {
  if (of.at == phase::open) effects_.emplace_back(channel_stands{source, false});
  const auto factor = std::uint32_t{1} << std::min(of.troubles++, std::uint32_t{16});
  of.at = phase::resting;
  of.until = now + std::min<std::chrono::milliseconds>(settings_.first_rest * factor,
                                                       settings_.longest_rest);
  if (!std::exchange(of.told, true)) effects_.emplace_back(channel_trouble{source, why});
  fail_requests(source);
}

void bulk_state::fail_requests(process_id source) {
  for (auto at = requests_.begin(); at != requests_.end();) {
    const chunk what = at->second;
    if (what.source != source) {
      ++at;
      continue;
    }
    by_place_.erase({what.id, what.offset});
    at = requests_.erase(at);
#ifndef TROUPE_PLANTED_CHUNK_NOT_ASKED_AGAIN
    effects_.emplace_back(chunk_undelivered{source, what.id, what.offset});
#endif
  }
}

void bulk_state::erase_request(std::map<std::uint64_t, chunk>::iterator at) {
  by_place_.erase({at->second.id, at->second.offset});
  requests_.erase(at);
}

bulk_state::way bulk_state::asked(time now, process_id source, stored_id id, std::uint64_t offset,
                                  std::uint64_t size) {
  forget(id, offset);
  const auto at = sources_.find(source);
  if (at == sources_.end() || at->second.at != phase::open) return {};
  const std::uint64_t request = ++last_request_;
  const bool owed = std::any_of(requests_.begin(), requests_.end(), [source](const auto& entry) {
    return entry.second.source == source;
  });
  if (!owed) at->second.used = now;
  requests_[request] = {source, id, offset, size};
  by_place_[{id, offset}] = request;
  return {at->second.channel, request};
}

std::optional<bulk_state::chunk> bulk_state::arrived(time now, std::uint64_t request) {
  const auto at = requests_.find(request);
  if (at == requests_.end()) return std::nullopt;
  const chunk what = at->second;
  if (const auto of = sources_.find(at->second.source); of != sources_.end()) {
    of->second.used = now;
    of->second.troubles = 0;
    of->second.told = false;
  }
  erase_request(at);
  return what;
}

void bulk_state::forget(stored_id id) {
  auto at = by_place_.lower_bound({id, 0});
  while (at != by_place_.end() && at->first.first == id) {
    requests_.erase(at->second);
    at = by_place_.erase(at);
  }
}

void bulk_state::forget(stored_id id, std::uint64_t offset) {
  const auto at = by_place_.find({id, offset});
  if (at != by_place_.end()) erase_request(requests_.find(at->second));
}

void bulk_state::process_gone(process_id source) {
  const auto at = sources_.find(source);
  if (at == sources_.end()) return;
  const source_state of = at->second;
  sources_.erase(at);
  if (of.at == phase::connecting || of.at == phase::open) {
    effects_.emplace_back(close_channel{of.channel});
    effects_.emplace_back(channel_stands{source, false});
  }
  for (auto request = requests_.begin(); request != requests_.end();) {
    const auto next = std::next(request);
    if (request->second.source == source) erase_request(request);
    request = next;
  }
}

void bulk_state::carried(time now, std::uint64_t channel, std::uint64_t bytes) {
  const auto at = find_channel(channel);
  if (at == sources_.end() || at->second.bytes == bytes) return;
  at->second.bytes = bytes;
  at->second.used = now;
}

void bulk_state::tick(time now) {
  std::vector<process_id> forgotten;
  for (auto& [source, of] : sources_) {
    const process_id from = source;
    const bool owes = std::any_of(requests_.begin(), requests_.end(), [from](const auto& entry) {
      return entry.second.source == from;
    });
    switch (of.at) {
      case phase::asking:
        if (now >= of.until) rest(now, source, of, "it does not say where");
        break;
      case phase::connecting:
        if (now < of.until) break;
        effects_.emplace_back(close_channel{of.channel});
        rest(now, source, of, "it does not answer there");
        break;
      case phase::open:
        if (owes && now - of.used >= settings_.stalled_after) {
          effects_.emplace_back(close_channel{of.channel});
          rest(now, source, of, "nothing comes by it any more");
        } else if (!owes && now - of.used >= settings_.idle_after) {
          effects_.emplace_back(close_channel{of.channel});
          effects_.emplace_back(channel_stands{source, false});
          forgotten.push_back(source);
        }
        break;
      case phase::resting:
        // What is known of the trouble is kept for a while: the next try would meet it again.
        if (now >= of.until + settings_.longest_rest) forgotten.push_back(source);
        break;
    }
  }
  for (const process_id source : forgotten) sources_.erase(source);
}

std::vector<std::uint64_t> bulk_state::open_channels() const {
  std::vector<std::uint64_t> channels;
  for (const auto& [source, of] : sources_) {
    if (of.at == phase::open) channels.push_back(of.channel);
  }
  return channels;
}

}  // namespace troupe::net
