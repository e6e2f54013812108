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

bool ledger::try_acquire(shape_id shape, gpu_share& gpus) {
  const std::lock_guard guard(mutex_);
  auto ids = gpu_ids_.take(gpus_of(shape));
  if (!ids) return false;
  if (!state_.try_acquire(shape)) {
    gpu_ids_.give_back(*ids);
    return false;
  }
  gpus = std::move(*ids);
  return true;
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
    if (withdrawn) {
      count(who, false);
    } else if (std::erase(lacking_gpus_, &who) != 0) {
      withdrawn = true;
      state_.release(who.waits_for_, granted);
    }
    settle(granted);
  }
  tell(granted);
  return withdrawn;
}

void ledger::release(shape_id shape, const gpu_share& gpus) {
  std::vector<ticket> granted;
  {
    const std::lock_guard guard(mutex_);
    gpu_ids_.give_back(gpus);
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

resource_amount ledger::gpus_of(shape_id shape) const {
  return has_gpus_ ? state_.demand(shape).get(gpu_name) : resource_amount();
}

/// Leaves those that got their GPUs. The others keep their resources and wait for the parts of a
/// GPU to come together; they go before those that are granted now.
void ledger::deal_gpus(std::vector<ticket>& granted) {
  if (!has_gpus_) return;
  const auto lacks = [this](claimant& who) {
    auto ids = gpu_ids_.take(gpus_of(who.waits_for_));
    if (ids) who.gpus_ = std::move(*ids);
    return !ids;
  };
  std::vector<ticket> served;
  std::erase_if(lacking_gpus_, [&](claimant* who) {
    if (lacks(*who)) return false;
    served.push_back(ticket_of(*who));
    return true;
  });
  for (const ticket id : granted) {
    auto& who = *reinterpret_cast<claimant*>(id);
    if (who.order_ == grant_order::normal && lacks(who)) {
      lacking_gpus_.push_back(&who);
    } else {
      served.push_back(id);
    }
  }
  granted = std::move(served);
}

void ledger::settle(std::vector<ticket>& granted) {
  for (const ticket id : granted) count(*reinterpret_cast<claimant*>(id), false);
  deal_gpus(granted);
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
