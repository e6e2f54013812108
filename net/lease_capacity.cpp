#include "net/lease_capacity.hpp"

#include <algorithm>

namespace troupe::net {

void lease_capacity::set_shapes(core::shape_id whole, core::shape_id cpus) {
  const std::lock_guard guard(mutex_);
  whole_ = whole;
  cpus_ = cpus;
}

core::claimant* lease_capacity::next() {
  if (busy_ || state_ != state::here) return nullptr;
  auto& from = !resumes_.empty() ? resumes_ : normals_;
  if (from.empty()) return nullptr;
  // What is beside the CPUs stays with the task that blocks.
  if (&from == &normals_ && lent_ > 0 && whole_ != cpus_) return nullptr;
  core::claimant* const who = from.front();
  from.pop_front();
  if (&from == &resumes_) --lent_;
  busy_ = true;
  who->set_gpus(gpus_);
  return who;
}

void lease_capacity::want_cpus() {
  if (state_ != state::away) return;
  state_ = state::coming;
  tell_(wish::resume);
}

void lease_capacity::request(core::claimant& who, core::shape_id, core::grant_order order) {
  core::claimant* granted = nullptr;
  {
    const std::lock_guard guard(mutex_);
    (order == core::grant_order::resume ? resumes_ : normals_).push_back(&who);
    want_cpus();
    granted = next();
  }
  if (granted != nullptr) granted->granted();
}

bool lease_capacity::withdraw(core::claimant& who) {
  const std::lock_guard guard(mutex_);
  for (auto* const queue : {&resumes_, &normals_}) {
    const auto at = std::find(queue->begin(), queue->end(), &who);
    if (at == queue->end()) continue;
    queue->erase(at);
    return true;
  }
  return false;
}

void lease_capacity::release(core::shape_id, const core::gpu_share&) { cpus_free(false); }

void lease_capacity::lend(core::shape_id) { cpus_free(true); }

void lease_capacity::cpus_free(bool blocks) {
  core::claimant* granted = nullptr;
  {
    const std::lock_guard guard(mutex_);
    busy_ = false;
    if (blocks) ++lent_;
    granted = next();
    if (granted == nullptr && lent_ > 0 && state_ == state::here && !closed_) {
      state_ = state::away;
      tell_(wish::suspend);
    }
  }
  if (granted != nullptr) granted->granted();
}

bool lease_capacity::contended_beside(core::shape_id) const noexcept {
  const std::lock_guard guard(mutex_);
  return !resumes_.empty();
}

void lease_capacity::resumed() {
  core::claimant* granted = nullptr;
  {
    const std::lock_guard guard(mutex_);
    state_ = state::here;
    granted = next();
    if (granted == nullptr && lent_ > 0 && !busy_ && !closed_) {
      state_ = state::away;
      tell_(wish::suspend);
    }
  }
  if (granted != nullptr) granted->granted();
}

void lease_capacity::close() {
  core::claimant* granted = nullptr;
  {
    const std::lock_guard guard(mutex_);
    closed_ = true;
    state_ = state::here;
    granted = next();
  }
  if (granted != nullptr) granted->granted();
}

}  // namespace troupe::net
