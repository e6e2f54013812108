#include "net/package_state.hpp"

#include <algorithm>

namespace troupe::net {

void package_state::found(const std::string& hash, std::uint64_t bytes) {
  if (!kept_.emplace(hash, kept{bytes, ++uses_, {}}).second) return;
  bytes_ += bytes;
  make_room();
}

void package_state::want(time now, std::uint64_t ticket, const std::string& hash,
                         std::uint64_t bytes, std::vector<process_id> sources) {
  if (const auto at = kept_.find(hash); at != kept_.end()) {
    at->second.tickets.insert(ticket);
    at->second.used = ++uses_;
    effects_.emplace_back(package_answer{ticket, hash, {}});
    return;
  }
  if (const auto at = fetches_.find(hash); at != fetches_.end()) {
    at->second.tickets.insert(ticket);
    for (const process_id source : sources) {
      auto& known = at->second.sources;
      if (std::find(known.begin(), known.end(), source) == known.end()) known.push_back(source);
    }
    return;
  }
  fetch& of = fetches_[hash];
  of.size = bytes;
  of.tickets.insert(ticket);
  for (const process_id source : sources) {
    if (source != 0 && std::find(of.sources.begin(), of.sources.end(), source) == of.sources.end())
      of.sources.push_back(source);
  }
  if (of.sources.empty()) return give_up(hash, "nobody has it");
  if (bytes == 0 || bytes > settings_.most_bytes) {
    return give_up(hash, "it has " + std::to_string(bytes) + " bytes, and this node keeps 1 to " +
                             std::to_string(settings_.most_bytes));
  }
  begin(now, hash, of);
}

void package_state::release(std::uint64_t ticket) {
  for (auto& [hash, of] : kept_) of.tickets.erase(ticket);
  // What is on its way comes: the next worker will want it, too.
  for (auto& [hash, of] : fetches_) of.tickets.erase(ticket);
  make_room();
}

void package_state::begin(time now, const std::string& hash, fetch& of) {
  of.asked = of.received = of.written = 0;
  of.finishing = false;
  of.heard = now;
  effects_.emplace_back(begin_file{hash});
  ask_more(hash, of);
}

void package_state::ask_more(const std::string& hash, fetch& of) {
  while (of.asked < of.size &&
         of.asked < of.written + settings_.pieces_ahead * settings_.piece_bytes) {
    effects_.emplace_back(ask_piece{of.sources.front(), hash, of.asked});
    of.asked += settings_.piece_bytes;
  }
}

bool package_state::received(time now, process_id from, const std::string& hash,
                             std::uint64_t offset, std::uint64_t bytes, const std::string& failed) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end() || at->second.finishing) return false;
  fetch& of = at->second;
  if (of.sources.front() != from || offset != of.received) return false;
  if (!failed.empty()) {
    next_source(now, hash, failed);
    return false;
  }
  if (bytes != std::min(settings_.piece_bytes, of.size - of.received)) {
    next_source(now, hash, "it sent a piece of the wrong size");
    return false;
  }
  of.received += bytes;
  of.heard = now;
  return true;
}

void package_state::written(time now, const std::string& hash, std::uint64_t bytes,
                            const std::string& failed) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end() || at->second.finishing) return;
  fetch& of = at->second;
  // The disk is the same, whoever sends.
  if (!failed.empty()) return give_up(hash, failed);
  of.written += bytes;
  of.heard = now;
  if (of.written == of.size) {
    of.finishing = true;
    effects_.emplace_back(finish_file{hash});
    return;
  }
  ask_more(hash, of);
}

void package_state::finished(time now, const std::string& hash, std::uint64_t bytes,
                             const std::string& failed) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end() || !at->second.finishing) return;
  if (!failed.empty()) return next_source(now, hash, failed);
  kept& added = kept_[hash];
  added.bytes = bytes;
  added.used = ++uses_;
  added.tickets = std::move(at->second.tickets);
  fetches_.erase(at);
  bytes_ += bytes;
  for (const std::uint64_t ticket : added.tickets) {
    effects_.emplace_back(package_answer{ticket, hash, {}});
  }
  make_room();
}

void package_state::next_source(time now, const std::string& hash, const std::string& why) {
  fetch& of = fetches_.at(hash);
  if (!of.why.empty()) of.why += "; ";
  of.why += why;
  of.sources.pop_front();
  if (of.sources.empty()) {
    const std::string all = of.why;
    return give_up(hash, all);
  }
  begin(now, hash, of);
}

void package_state::give_up(const std::string& hash, const std::string& why) {
  const auto at = fetches_.find(hash);
  for (const std::uint64_t ticket : at->second.tickets) {
    effects_.emplace_back(package_answer{ticket, hash, why});
  }
  fetches_.erase(at);
  effects_.emplace_back(remove_file{hash});
}

void package_state::process_gone(time now, process_id gone) {
  std::vector<std::string> stuck;
  for (auto& [hash, of] : fetches_) {
    if (of.finishing || of.sources.front() != gone) {
      // What has been asked already needs its source no more when all has come.
      if (of.sources.size() > 1 && of.sources.front() != gone) std::erase(of.sources, gone);
      continue;
    }
    if (of.received < of.size) stuck.push_back(hash);
  }
  for (const std::string& hash : stuck) next_source(now, hash, "the process that has it has ended");
}

void package_state::tick(time now) {
  std::vector<std::string> stuck;
  for (const auto& [hash, of] : fetches_) {
    if (!of.finishing && of.received == of.written && now - of.heard >= settings_.patience) {
      stuck.push_back(hash);
    }
  }
  for (const std::string& hash : stuck) {
    next_source(now, hash, "the process that has it does not answer");
  }
}

void package_state::make_room() {
  while (bytes_ > settings_.most_bytes) {
    auto oldest = kept_.end();
    for (auto at = kept_.begin(); at != kept_.end(); ++at) {
      if (!at->second.tickets.empty()) continue;
      if (oldest == kept_.end() || at->second.used < oldest->second.used) oldest = at;
    }
    if (oldest == kept_.end()) return;  // All are in use: the bound holds again when they are not.
    bytes_ -= oldest->second.bytes;
    effects_.emplace_back(remove_file{oldest->first});
    kept_.erase(oldest);
  }
}

}  // namespace troupe::net
