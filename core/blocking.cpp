#include "core/blocking.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>
#include <string>
#include <vector>

#include <troupe/error.hpp>

#include "core/idle_work.hpp"
#include "core/stage/stage.hpp"

namespace troupe::core {

namespace {

struct parker_pool {
  std::mutex mutex;
  std::vector<parker*> free;
};

parker_pool& parkers() {
  static auto* const pool = new parker_pool;  // outlives every thread
  return *pool;
}

}  // namespace

pooled_parker::pooled_parker() {
  parker_pool& pool = parkers();
  const std::lock_guard guard(pool.mutex);
  if (pool.free.empty()) {
    own_ = new parker;
  } else {
    own_ = pool.free.back();
    pool.free.pop_back();
  }
}

pooled_parker::~pooled_parker() {
  parker_pool& pool = parkers();
  const std::lock_guard guard(pool.mutex);
  pool.free.push_back(own_);
}

int parker::poll_descriptor() noexcept {
  static const int own = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return own;
}

void parker::tell_poller() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(poll_descriptor(), &one, sizeof one));
}

parker& this_thread_parker() noexcept {
  thread_local pooled_parker own;
  return *own;
}

// -- off_stage ------------------------------------------------------------------------------------

off_stage::off_stage() {
  if (!stage::on_stage_thread()) return;
  left_ = stage::leave();
  refused_ = !left_;
  if (!left_) return;
  resources_ = current_execution != nullptr ? current_execution->resources : nullptr;
  if (resources_ != nullptr) resources_->suspend();
}

off_stage::~off_stage() {
  if (!left_) return;
  if (resources_ != nullptr) resources_->resume();
  stage::rejoin();
}

// -- blocking_wait --------------------------------------------------------------------------------

void throw_cancelled_wait(const detail::invocation& call) {
  throw task_cancelled_error("'" + std::string(call.name()) +
                             "' was cancelled while it waited in troupe");
}

void throw_too_many_blocked() {
  throw pending_calls_limit_error(
      "one more thread would block in a wait of troupe than max-threads allows; raise it, or wait "
      "in "
      "coroutines (co_await), which need no thread");
}

blocking_wait::blocking_wait()
    : parker_(this_thread_parker()),
      call_(current_execution != nullptr ? current_execution->call : nullptr) {
  if (call_ != nullptr && !call_->block_on(this)) throw_cancelled_wait(*call_);
}

blocking_wait::~blocking_wait() {
  if (call_ != nullptr) call_->block_on(nullptr);
}

blocking_wait::outcome blocking_wait::wait(const detail::deadline& until) noexcept {
  if (done_.load(std::memory_order_acquire)) return outcome::woken;
  const off_stage away;
  if (!away) return outcome::refused;
  for (;;) {
    if (done_.load(std::memory_order_acquire)) return outcome::woken;
    if (call_ != nullptr && call_->stop_requested()) return outcome::interrupted;
    if (until && std::chrono::steady_clock::now() >= *until) return outcome::timed_out;
    if (stage::on_stage_thread()) {
      // Its stack is deep in a task, and idle threads of the stage read.
      parker_.park_until(until);
    } else {
      idle_work::wait(parker_, until);
    }
  }
}

void blocking_wait::check(outcome how) const {
  if (how == outcome::interrupted) throw_cancelled_wait(*call_);
  if (how == outcome::refused) throw_too_many_blocked();
}

void blocking_wait::wait_for_wake() noexcept {
  while (!done_.load(std::memory_order_acquire)) parker_.park();
}

}  // namespace troupe::core
