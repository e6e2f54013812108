#include "net/store_state.hpp"

#include <algorithm>

#include <troupe/detail/assert.hpp>

namespace troupe::net {

namespace {

std::string bytes_text(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  std::uint64_t tenths = bytes * 10;
  while (tenths >= 10240 && unit + 1 < std::size(units)) {
    tenths /= 1024;
    ++unit;
  }
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
  return text + " " + units[unit];
}

constexpr const char* freed_text =
    "the value is not in the store of the node that it was made on: it was freed, or the node was "
    "started anew";

}  // namespace

store_state::store_state(store_settings settings)
    : settings_(std::move(settings)),
      memory_(settings_.capacity),
      file_(settings_.spill_capacity) {}

store_state::entry* store_state::find(stored_id id) {
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : &at->second;
}

bool store_state::in_memory(stored_id id) const {
  const auto at = entries_.find(id);
  return at != entries_.end() &&
         (at->second.at == place::memory || at->second.at == place::spilling);
}

bool store_state::is_being_written(stored_id id) const {
  const auto at = entries_.find(id);
  return at != entries_.end() && at->second.at == place::writing && !at->second.dropped;
}

std::uint64_t store_state::size_of(stored_id id) const {
  const auto at = entries_.find(id);
  if (at == entries_.end() || at->second.dropped) return 0;
  const place where = at->second.at;
  return where == place::writing || where == place::fetching ? 0 : at->second.size;
}

void store_state::forget_holding(process_id client, stored_id id) {
  const auto at = holdings_.find(client);
  if (at == holdings_.end()) return;
  at->second.erase(id);
  if (at->second.empty()) holdings_.erase(at);
}

// -- what may go ----------------------------------------------------------------------------------

void store_state::leave_idle(entry& of) {
  if (of.idle_since == 0) return;
  if (evictable_.erase(of.idle_since) == 0) spillable_.erase(of.idle_since);
  of.idle_since = 0;
}

/// After a change of its pins or place: whether it may go from memory, or must go altogether.
void store_state::settle(entry& of) {
  leave_idle(of);
  if (!of.pins.empty() || !of.waiting.empty()) return;
  if (of.dropped && (of.at == place::memory || of.at == place::file)) return erase(of);
  if (of.at != place::memory) return;
  of.idle_since = ++last_idle_;
  auto& list = !of.primary || of.file_offset ? evictable_ : spillable_;
  list.emplace(of.idle_since, of.id);
}

void store_state::erase(entry& of) {
  TROUPE_ASSERT(of.at != place::spilling && of.at != place::restoring,
                "a value is erased while its block is being copied");
  leave_idle(of);
  if (of.claim_by) --unclaimed_;
  if (of.offset) memory_.free(*of.offset);
  if (of.file_offset) {
    file_.free(*of.file_offset);
    effects_.emplace_back(discard_file_block{*of.file_offset, of.size});
  }
  if (of.primary) effects_.emplace_back(value_freed{of.id});
  for (const auto& [client, count] : of.pins) forget_holding(client, of.id);
  if (of.at == place::writing) forget_holding(of.maker, of.id);
  std::erase_if(urgent_, [&](const want& w) { return w.id == of.id; });
  entries_.erase(stored_id(of.id));
}

void store_state::evict(entry& of) {
  leave_idle(of);
  ++counted_.evictions;
  if (!of.primary) {
    effects_.emplace_back(copy_evicted{of.id});
    return erase(of);
  }
  memory_.free(*of.offset);
  of.offset.reset();
  of.at = place::file;
}

bool store_state::start_spill(entry& of) {
  const auto where = file_.allocate(of.size);
  if (!where) {
    spill_trouble_ = "the spill file is full";
    return false;
  }
  leave_idle(of);
  of.at = place::spilling;
  of.file_offset = where;
  ++io_;
  spilling_bytes_ += of.size;
  effects_.emplace_back(spill_block{of.id, *of.offset, of.size, *where});
  return true;
}

// -- memory ---------------------------------------------------------------------------------------

std::optional<std::uint64_t> store_state::make_room(time now, std::uint64_t size) {
  for (;;) {
    if (const auto offset = memory_.allocate(size)) return offset;
    if (!evictable_.empty()) {
      evict(*find(evictable_.begin()->second));
      continue;
    }
    const bool may_spill =
        settings_.spill_capacity > 0 && !(no_spill_before_ && now < *no_spill_before_);
    while (may_spill && io_ < settings_.parallel_io && spilling_bytes_ < size &&
           !spillable_.empty()) {
      if (!start_spill(*find(spillable_.begin()->second))) break;
    }
    return std::nullopt;
  }
}

void store_state::serve(time now) {
  while (!urgent_.empty()) {
    entry& of = *find(urgent_.front().id);
    if (of.at == place::restoring && io_ >= settings_.parallel_io) return;
    const auto offset = make_room(now, of.size);
    if (!offset) return;
    urgent_.pop_front();
    of.offset = offset;
    if (of.at == place::restoring) {
      ++io_;
      effects_.emplace_back(restore_block{of.id, *offset, of.size, *of.file_offset});
    } else {
      effects_.emplace_back(receive_into{of.id, *offset, of.size});
    }
  }
  while (!creates_.empty()) {
    const auto offset = make_room(now, creates_.front().size);
    if (!offset) return;
    const want first = std::move(creates_.front());
    creates_.pop_front();
    waiters_.erase(first.ticket);
    grant_create(first, *offset);
  }
}

void store_state::grant_create(const want& of, std::uint64_t offset) {
  const stored_id id{settings_.self, ++last_number_};
  entry& made = entries_[id];
  made.id = id;
  made.size = of.size;
  made.offset = offset;
  made.maker = of.client;
  made.label = of.label;
  made.claimed = of.label.owner == of.client;
  holdings_[of.client].insert(id);
  effects_.emplace_back(answer_created{of.ticket, id, offset});
}

void store_state::want_memory(time now, entry& of) {
  want needed;
  needed.id = of.id;
  needed.size = of.size;
  needed.deadline = now + settings_.patience;
  urgent_.push_back(std::move(needed));
}

std::string store_state::describe_full() const {
  std::uint64_t read = 0;
  std::uint64_t written = 0;
  std::size_t readers = 0;
  for (const auto& [id, of] : entries_) {
    if (of.at == place::writing || of.at == place::fetching) written += of.offset ? of.size : 0;
    if (!of.pins.empty() && of.offset) {
      read += of.size;
      ++readers;
    }
  }
  std::string text = bytes_text(memory_.used()) + " of " + bytes_text(memory_.capacity()) +
                     " are in use: " + bytes_text(read) + " are being read (" +
                     std::to_string(readers) + " values), " + bytes_text(written) +
                     " are being written";
  if (settings_.spill_capacity == 0) {
    text += ", and nothing is spilled to disk";
  } else if (!spill_trouble_.empty()) {
    text += ", and spilling to " + settings_.spill_place + " failed: " + spill_trouble_;
  }
  return text +
         "; `troupe memory` lists what is held; let go of views and refs, or start the node "
         "with a larger --object-store-memory";
}

// -- requests -------------------------------------------------------------------------------------

void store_state::create(time now, process_id client, store_ticket ticket, std::uint64_t size,
                         store_label label, std::chrono::milliseconds patience) {
  if (size > memory_.capacity()) {
    effects_.emplace_back(answer_refused{
        ticket, store_refusal::too_large,
        "a value of " + bytes_text(size) +
            " is larger than the whole store of its node, which has " +
            bytes_text(memory_.capacity()) +
            ": start the node with a larger --object-store-memory, or split the value"});
    return;
  }
  want wanted;
  wanted.ticket = ticket;
  wanted.client = client;
  wanted.size = size;
  wanted.label = std::move(label);
  wanted.deadline = now + patience;
  creates_.push_back(std::move(wanted));
  waiters_.emplace(ticket, waiter{client, {}});
}

void store_state::seal(time now, process_id client, stored_id id) {
  entry* const of = find(id);
  if (of == nullptr || of->at != place::writing || of->maker != client) return;
  of->at = place::memory;
  forget_holding(client, id);
  effects_.emplace_back(value_sealed{id});
  if (!of->claimed) {
    of->claim_by = now + settings_.claim_within;
    ++unclaimed_;
  }
  answer_waiting(*of);
  const process_id owner = of->label.owner;
  settle(*of);  // one that was dropped meanwhile is gone now
  if (dead_.contains(owner)) drop(id);
}

void store_state::abort(process_id client, stored_id id) {
  entry* const of = find(id);
  if (of == nullptr || of->at != place::writing || of->maker != client) return;
  refuse_waiting(*of, store_refusal::lost, "its maker gave it up while writing it");
  erase(*of);
}

void store_state::pin(time now, process_id client, store_ticket ticket, stored_id id) {
  entry* of = find(id);
  if (of == nullptr || of->dropped) {
    if (of != nullptr || id.owner == settings_.self) {
      effects_.emplace_back(answer_refused{ticket, store_refusal::lost, freed_text});
      return;
    }
    of = &entries_[id];
    of->id = id;
    of->at = place::fetching;
    of->primary = false;
    of->claimed = true;
    ++counted_.pulls;
    effects_.emplace_back(begin_pull{id});
  }
  if (of->at == place::memory || of->at == place::spilling) {
    leave_idle(*of);
    grant_pin(*of, ticket, client);
    return;
  }
  of->waiting.push_back(ticket);
  waiters_.emplace(ticket, waiter{client, id});
  if (of->at == place::file) begin_restore(now, *of);
}

void store_state::grant_pin(entry& of, store_ticket ticket, process_id client) {
  ++of.pins[client];
  holdings_[client].insert(of.id);
  effects_.emplace_back(answer_pinned{ticket, of.id, *of.offset, of.size});
}

void store_state::answer_waiting(entry& of) {
  for (const store_ticket ticket : std::exchange(of.waiting, {})) {
    const auto at = waiters_.find(ticket);
    if (at == waiters_.end()) continue;
    grant_pin(of, ticket, at->second.client);
    waiters_.erase(at);
  }
}

void store_state::refuse_waiting(entry& of, store_refusal why, const std::string& text) {
  for (const store_ticket ticket : std::exchange(of.waiting, {})) {
    if (waiters_.erase(ticket) != 0) effects_.emplace_back(answer_refused{ticket, why, text});
  }
}

void store_state::unpin(process_id client, stored_id id) {
  entry* const of = find(id);
  if (of == nullptr) return;
  const auto at = of->pins.find(client);
  if (at == of->pins.end()) return;
  if (--at->second > 0) return;
  of->pins.erase(at);
  forget_holding(client, id);
  settle(*of);
}

void store_state::cancel(store_ticket ticket) {
  const auto at = waiters_.find(ticket);
  if (at == waiters_.end()) return;
  const waiter who = at->second;
  waiters_.erase(at);
  effects_.emplace_back(answer_refused{ticket, store_refusal::cancelled, "cancelled"});
  if (!who.id) {
    std::erase_if(creates_, [&](const want& w) { return w.ticket == ticket; });
    return;
  }
  if (entry* const of = find(who.id)) stop_waiting(*of, ticket);
}

void store_state::stop_waiting(entry& of, store_ticket ticket) {
  std::erase(of.waiting, ticket);
  if (!of.waiting.empty()) return;
  if (of.at == place::fetching) {
    effects_.emplace_back(stop_pull{of.id});
    return erase(of);
  }
  if (of.at == place::restoring && !of.offset) {  // its turn has not come
    std::erase_if(urgent_, [&](const want& w) { return w.id == of.id; });
    of.at = place::file;
    settle(of);
  }
}

// -- owners ---------------------------------------------------------------------------------------

void store_state::claim(stored_id id) {
  entry* const of = find(id);
  if (of == nullptr) return;
  of->claimed = true;
  if (of->claim_by) --unclaimed_;
  of->claim_by.reset();
}

void store_state::drop(stored_id id) {
  entry* const of = find(id);
  if (of == nullptr || of->dropped) return;
  of->dropped = true;
  if (of->at == place::fetching) {
    refuse_waiting(*of, store_refusal::lost, freed_text);
    effects_.emplace_back(stop_pull{id});
    return erase(*of);
  }
  if (of->at == place::restoring && !of->offset) {
    refuse_waiting(*of, store_refusal::lost, freed_text);
    of->at = place::file;
    return settle(*of);
  }
  // One that is being written goes when it is sealed, or with its maker.
  settle(*of);
}

void store_state::owner_gone(process_id who) {
  dead_.insert(who);
  std::vector<stored_id> orphans;
  for (auto& [id, of] : entries_) {
    if (of.primary && of.label.owner == who) orphans.push_back(id);
  }
  for (const stored_id id : orphans) drop(id);
}

void store_state::process_gone(process_id who) {
  std::vector<store_ticket> tickets;
  for (const auto& [ticket, waiting] : waiters_) {
    if (waiting.client == who) tickets.push_back(ticket);
  }
  for (const store_ticket ticket : tickets) cancel(ticket);
  if (const auto held = holdings_.find(who); held != holdings_.end()) {
    const auto ids = std::move(held->second);
    holdings_.erase(held);
    for (const stored_id id : ids) {
      entry* const of = find(id);
      if (of == nullptr) continue;
      of->pins.erase(who);
      if (of->at == place::writing && of->maker == who) {
        refuse_waiting(*of, store_refusal::lost, "the process that wrote it has died");
        erase(*of);
      } else {
        settle(*of);
      }
    }
  }
  owner_gone(who);
}

// -- input and output -----------------------------------------------------------------------------

void store_state::spilled(time now, stored_id id, const std::string& failure) {
  entry* const of = find(id);
  TROUPE_ASSERT(of != nullptr && of->at == place::spilling, "a value was spilled unasked");
  --io_;
  spilling_bytes_ -= of->size;
  of->at = place::memory;
  if (!failure.empty()) {
    file_.free(*of->file_offset);
    effects_.emplace_back(discard_file_block{*of->file_offset, of->size});
    of->file_offset.reset();
    spill_trouble_ = failure;
    no_spill_before_ = now + settings_.spill_retry;
  } else {
    ++counted_.spills;
    spill_trouble_.clear();
    no_spill_before_.reset();
  }
  settle(*of);
}

void store_state::begin_restore(time now, entry& of) {
  of.at = place::restoring;
  want_memory(now, of);
}

void store_state::restored(stored_id id, const std::string& failure) {
  entry* const of = find(id);
  TROUPE_ASSERT(of != nullptr && of->at == place::restoring && of->offset,
                "a value was restored unasked");
  --io_;
  if (failure.empty()) {
    ++counted_.restores;
    of->at = place::memory;
    answer_waiting(*of);
  } else {
    memory_.free(*of->offset);
    of->offset.reset();
    of->at = place::file;
    refuse_waiting(*of, store_refusal::lost,
                   "it cannot be read back from " + settings_.spill_place + ": " + failure);
  }
  settle(*of);
}

void store_state::pull_located(time now, stored_id id, std::uint64_t size) {
  entry* const of = find(id);
  if (of == nullptr || of->at != place::fetching || of->offset || of->size != 0) return;
  if (size > memory_.capacity()) {
    effects_.emplace_back(stop_pull{id});
    return pull_failed(id,
                       "it has " + bytes_text(size) + " and this node's store only " +
                           bytes_text(memory_.capacity()) +
                           ": start the node with a larger --object-store-memory",
                       store_refusal::too_large);
  }
  of->size = size;
  want_memory(now, *of);
}

void store_state::pulled(stored_id id) {
  entry* const of = find(id);
  if (of == nullptr || of->at != place::fetching) return;
  of->at = place::memory;
  answer_waiting(*of);
  settle(*of);
}

void store_state::pull_failed(stored_id id, const std::string& why, store_refusal refusal) {
  entry* const of = find(id);
  if (of == nullptr || of->at != place::fetching) return;
  refuse_waiting(*of, refusal, why);
  erase(*of);
}

void store_state::tick(time now) {
  while (!urgent_.empty() && urgent_.front().deadline <= now) {
    entry& of = *find(urgent_.front().id);
    urgent_.pop_front();
    const std::string text = "there is no memory to read it: " + describe_full();
    refuse_waiting(of, store_refusal::full, text);
    if (of.at == place::fetching) {
      effects_.emplace_back(stop_pull{of.id});
      erase(of);
    } else {
      of.at = place::file;
      settle(of);
    }
  }
  for (auto at = creates_.begin(); at != creates_.end();) {
    if (at->deadline > now) {
      ++at;
      continue;
    }
    waiters_.erase(at->ticket);
    effects_.emplace_back(answer_refused{
        at->ticket, store_refusal::full,
        "no memory for a value of " + bytes_text(at->size) + ": " + describe_full()});
    at = creates_.erase(at);
  }
  std::vector<stored_id> unclaimed;
  for (const auto& [id, of] : entries_) {
    if (of.claim_by && *of.claim_by <= now) unclaimed.push_back(id);
  }
  for (const stored_id id : unclaimed) {
    claim(id);  // by nobody: it goes when nobody reads it
    drop(id);
  }
}

// -- asked ----------------------------------------------------------------------------------------

std::vector<store_state::item> store_state::items() const {
  std::vector<item> result;
  result.reserve(entries_.size());
  for (const auto& [id, of] : entries_) {
    item& one = result.emplace_back();
    one.id = id;
    one.size = of.size;
    one.label = of.label;
    one.copy = !of.primary;
    one.in_memory = of.at == place::memory || of.at == place::spilling;
    one.in_file = of.at == place::file || (of.at == place::memory && of.file_offset);
    one.writing = of.at == place::writing;
    one.waiting = of.at == place::restoring || of.at == place::fetching;
    for (const auto& [client, count] : of.pins) one.readers.push_back(client);
    std::sort(one.readers.begin(), one.readers.end());
  }
  std::sort(result.begin(), result.end(), [](const item& a, const item& b) {
    return a.size != b.size ? a.size > b.size : a.id < b.id;
  });
  return result;
}

store_state::use store_state::usage() const {
  use result = counted_;
  result.capacity = memory_.capacity();
  result.used = memory_.used();
  result.spilled = file_.used();
  result.values = entries_.size();
  result.waiting = urgent_.size() + creates_.size();
  for (const auto& [id, of] : entries_) {
    if (!of.pins.empty() && of.offset) result.pinned += block_allocator::rounded(of.size);
  }
  return result;
}

}  // namespace troupe::net
