#include "gpu/lending_state.hpp"

#include <algorithm>

namespace troupe::gpu {

loan_id lending_state::lend(time now, memory_id what) {
  const loan_id made = next_++;
  loans_.emplace(made, entry{what, std::nullopt, now + patience});
  ++counts_[what];
  return made;
}

bool lending_state::claim(borrower_id who, loan_id loan) {
  const auto found = loans_.find(loan);
  if (found == loans_.end() || found->second.of) return false;
  found->second.of = who;
  return true;
}

std::optional<memory_id> lending_state::find(borrower_id who, loan_id loan) const {
  const auto found = loans_.find(loan);
  if (found == loans_.end() || found->second.of != who) return std::nullopt;
  return found->second.what;
}

std::optional<loan_id> lending_state::lend_again(time now, borrower_id who, loan_id loan) {
  const std::optional<memory_id> what = find(who, loan);
  return what ? std::optional(lend(now, *what)) : std::nullopt;
}

void lending_state::give_back(borrower_id who, loan_id loan) {
  const auto found = loans_.find(loan);
  if (found != loans_.end() && found->second.of == who) end(found);
}

void lending_state::gone(borrower_id who) {
  for (auto at = loans_.begin(); at != loans_.end();) {
    const auto here = at++;
    if (here->second.of == who) end(here);
  }
}

void lending_state::expire(time now) {
  for (auto at = loans_.begin(); at != loans_.end();) {
    const auto here = at++;
    if (!here->second.of && here->second.until <= now) end(here);
  }
}

std::optional<lending_state::time> lending_state::next_expiry() const {
  std::optional<time> next;
  for (const auto& [id, one] : loans_) {
    if (!one.of) next = next ? std::min(*next, one.until) : one.until;
  }
  return next;
}

void lending_state::end(std::map<loan_id, entry>::iterator which) {
  const memory_id what = which->second.what;
  loans_.erase(which);
  const auto count = counts_.find(what);
  if (--count->second != 0) return;
  counts_.erase(count);
  free_.push_back(what);
}

}  // namespace troupe::gpu
