// How the call that runs a batch treats the calls in it, and what is told of batches.
#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include <troupe/actor.hpp>
#include <troupe/detail/batch_call.hpp>

#include "actors/local_actor.hpp"
#include "core/execution.hpp"
#include "core/failure.hpp"

namespace troupe::detail {

namespace {

using clock = std::chrono::steady_clock;

local_actor& host_of(const actor_batch& batch) noexcept {
  return static_cast<local_actor&>(*batch.target());
}

}  // namespace

std::vector<actor_call*> actor_batch::release_calls() noexcept {
  lock();
  std::vector<actor_call*> calls = std::exchange(calls_, {});
  unlock();
  std::erase(calls, nullptr);
  return calls;
}

void actor_batch::abandon_calls(const failure_ptr& why) noexcept {
  for (actor_call* const call : calls_) {
    if (call != nullptr) call->abandon(why);
  }
}

void actor_batch::note_begin(const actor_call& call) {
  if (arrivals_.empty()) {
    arrivals_.reserve(calls_.size());
    began_ = clock::now();
  }
  arrivals_.push_back(call.place()->since);
}

void actor_batch::end_one(std::size_t at, const failure_ptr& why) noexcept {
  actor_call* const call = calls_[at];
  if (call->claimed()) return;
  const auto put = [&](actor_call* there) {
    lock();
    calls_[at] = there;
    unlock();
  };
  put(nullptr);  // before it is tried again: it may end at once then
  if (call->retry(why)) return;
  put(call);
  if (call->claim()) call->fail(why);
}

void actor_batch::fail_one(std::size_t at, const std::exception_ptr& thrown) noexcept {
  end_one(at, failure_in_batch(thrown, name()));
}

/// The method threw: so has each call.
bool actor_batch::retry(const failure_ptr& why) noexcept {
  note_asked();  // by its calls
  for (std::size_t at = 0; at < calls_.size(); ++at) {
    if (calls_[at] != nullptr) end_one(at, why);
  }
  return false;
}

void actor_batch::ended() noexcept {
  const std::vector<actor_call*> calls = release_calls();
  if (!arrivals_.empty()) {
    host_of(*this).batching().add(kind_, arrivals_, began_, clock::now());
  }
  forget_target();
  for (actor_call* const call : calls) call->retire();
}

void actor_batch::throw_wrong_size(std::size_t got, std::size_t expected) const {
  throw_wrong_batch_size(info().name, got, expected);
}

failure_ptr failure_in_batch(const std::exception_ptr& thrown, std::string_view method) {
  try {
    std::rethrow_exception(thrown);
  } catch (...) {
    return core::capture_failure(method);
  }
}

void throw_wrong_batch_size(std::string_view method, std::size_t got, std::size_t expected) {
  throw std::runtime_error(std::string(method) + " gave " + std::to_string(got) +
                           " results for a batch of " + std::to_string(expected) +
                           " inputs; it must give one for each, in their order");
}

std::vector<batch_stats> batch_stats_of_current_actor() {
  return core::current_execution->actor->batching().all();
}

}  // namespace troupe::detail
