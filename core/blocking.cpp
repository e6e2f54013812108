#include "core/blocking.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <troupe/error.hpp>

#include "core/runtime.hpp"
#include "core/stage/stage.hpp"

namespace troupe::core {

namespace {

struct parker_pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<parker>> free;
};

parker_pool& parkers() {
  static auto* const pool = new parker_pool;  // outlives every thread
  return *pool;
}

struct parker_of_thread {
  std::unique_ptr<parker> own;

  parker_of_thread() {
    parker_pool& pool = parkers();
    const std::lock_guard guard(pool.mutex);
    if (pool.free.empty()) {
      own = std::make_unique<parker>();
    } else {
      own = std::move(pool.free.back());
      pool.free.pop_back();
    }
  }
  ~parker_of_thread() {
    parker_pool& pool = parkers();
    const std::lock_guard guard(pool.mutex);
    pool.free.push_back(std::move(own));
  }
};

stage* current_stage() noexcept {
  if (!stage::on_stage_thread()) return nullptr;
  runtime* const running = find_runtime();
  return running != nullptr ? running->the_stage.get() : nullptr;
}

}  // namespace

parker& this_thread_parker() noexcept {
  thread_local parker_of_thread holder;
  return *holder.own;
}

// -- off_stage ------------------------------------------------------------------------------------

off_stage::off_stage() : stage_(current_stage()) {
  if (stage_ == nullptr) return;
  stage_->leave();
  resources_ = current_execution != nullptr ? current_execution->resources : nullptr;
  if (resources_ != nullptr) resources_->suspend();
}

off_stage::~off_stage() {
  if (stage_ == nullptr) return;
  if (resources_ != nullptr) resources_->resume();
  stage_->rejoin();
}

// -- blocking_wait --------------------------------------------------------------------------------

void throw_cancelled_wait(const detail::invocation& call) {
  throw task_cancelled_error("'" + std::string(call.name()) +
                             "' was cancelled while it waited in troupe");
}

blocking_wait::blocking_wait()
    : parker_(this_thread_parker()),
      call_(current_execution != nullptr ? current_execution->call : nullptr) {
  if (call_ != nullptr && !call_->block_on(this)) throw_cancelled_wait(*call_);
}

blocking_wait::~blocking_wait() {
  if (call_ != nullptr) call_->block_on(nullptr);
}

blocking_wait::outcome blocking_wait::wait(const detail::deadline& until) {
  if (done_.load(std::memory_order_acquire)) return outcome::woken;
  const off_stage away;
  for (;;) {
    if (done_.load(std::memory_order_acquire)) return outcome::woken;
    if (call_ != nullptr && call_->stop_requested()) return outcome::interrupted;
    if (!until) {
      parker_.park();
    } else if (!parker_.park_until(*until)) {
      return done_.load(std::memory_order_acquire) ? outcome::woken : outcome::timed_out;
    }
  }
}

void blocking_wait::wait_for_wake() noexcept {
  while (!done_.load(std::memory_order_acquire)) parker_.park();
}

}  // namespace troupe::core
