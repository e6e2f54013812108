#include "core/ledger.hpp"

namespace troupe::core {

namespace {

ticket ticket_of(claimant& who) { return reinterpret_cast<ticket>(&who); }

}  // namespace

shape_id ledger::intern(const resource_set& demand) {
  const std::lock_guard guard(mutex_);
  return state_.intern(demand);
}

resource_set ledger::demand(shape_id shape) const {
  const std::lock_guard guard(mutex_);
  return state_.demand(shape);
}

std::optional<std::string> ledger::never_fits(const resource_set& demand) const {
  const std::lock_guard guard(mutex_);
  return state_.never_fits(demand);
}

bool ledger::try_acquire(shape_id shape) {
  const std::lock_guard guard(mutex_);
  return state_.try_acquire(shape);
}

void ledger::request(claimant& who, shape_id shape, grant_order order) {
  std::vector<ticket> granted;
  {
    const std::lock_guard guard(mutex_);
    who.waits_for_ = shape;
    who.order_ = order;
    count(who, true);
    state_.request(ticket_of(who), shape, order, granted);
    settle(granted);
  }
  tell(granted);
}

bool ledger::withdraw(claimant& who) {
  std::vector<ticket> granted;
  bool withdrawn = false;
  {
    const std::lock_guard guard(mutex_);
    withdrawn = state_.withdraw(ticket_of(who), granted);
    if (withdrawn) count(who, false);
    settle(granted);
  }
  tell(granted);
  return withdrawn;
}

void ledger::release(shape_id shape) {
  std::vector<ticket> granted;
  {
    const std::lock_guard guard(mutex_);
    state_.release(shape, granted);
    settle(granted);
  }
  tell(granted);
}

void ledger::count(const claimant& who, bool waits) {
  if (who.order_ == grant_order::resume) {
    waits ? ++waiting_resumes_ : --waiting_resumes_;
    return;
  }
  if (waiting_.size() <= who.waits_for_) waiting_.resize(who.waits_for_ + 1);
  std::size_t& of_shape = waiting_[who.waits_for_];
  if (waits) {
    if (of_shape++ == 0) ++waiting_shapes_;
  } else {
    if (--of_shape == 0) --waiting_shapes_;
  }
}

void ledger::settle(const std::vector<ticket>& granted) {
  for (const ticket id : granted) count(*reinterpret_cast<claimant*>(id), false);
  std::uint32_t who = nobody;
  if (waiting_resumes_ > 0 || waiting_shapes_ > 1) {
    who = several;
  } else if (waiting_shapes_ == 1) {
    who = 0;
    while (waiting_[who] == 0) ++who;
  }
  contender_.store(who, std::memory_order_relaxed);
}

resource_set ledger::total() const {
  const std::lock_guard guard(mutex_);
  return state_.total();
}

resource_set ledger::available() const {
  const std::lock_guard guard(mutex_);
  return state_.available();
}

void ledger::tell(const std::vector<ticket>& granted) noexcept {
  for (const ticket id : granted) reinterpret_cast<claimant*>(id)->granted();
}

}  // namespace troupe::core
