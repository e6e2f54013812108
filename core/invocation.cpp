#include <troupe/detail/invocation.hpp>

#include <string>
#include <thread>
#include <vector>

#include <troupe/async.hpp>
#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>
#include <troupe/log.hpp>
#include <troupe/task.hpp>

#include "core/actor_unwind.hpp"
#include "core/blocking.hpp"
#include "core/execution.hpp"
#include "core/failure.hpp"

namespace troupe::detail {

namespace {

// Ids are dealt to threads in blocks, so that submitting threads share no counter.
std::uint64_t next_id() noexcept {
  constexpr std::uint64_t block = 1024;
  static std::atomic<std::uint64_t> next_block{1};
  thread_local std::uint64_t next = 0;
  thread_local std::uint64_t end = 0;
  if (next == end) {
    next = next_block.fetch_add(block, std::memory_order_relaxed);
    end = next + block;
  }
  return next++;
}

}  // namespace

invocation* current_invocation() noexcept {
  return core::current_execution != nullptr ? core::current_execution->call : nullptr;
}

invocation::invocation(const function_info& info) noexcept
    : object_state(1), id_(next_id()), info_(&info) {}

invocation::~invocation() {
  // No failure is lost: one that nobody asked for is told.
  if (has_failed() && !was_asked() && why()->info &&
      !is_exception<task_cancelled_error>(why()->thrown)) {
    log::warn("'", name(), "' failed and nobody asked for its result: ", why()->info->type, ": ",
              why()->info->message, " [in ", why()->info->frames.front(), "]");
  }
}

std::string_view invocation::name() const noexcept {
  if (options_ && !options_->get().name.empty()) return options_->get().name;
  return info_->name;
}

void invocation::set_options(std::shared_ptr<const stored_options> options) noexcept {
  options_ = std::move(options);
}

void invocation::lock() noexcept {
  while (lock_.exchange(true, std::memory_order_acquire)) {
    while (lock_.load(std::memory_order_relaxed)) std::this_thread::yield();
  }
}

// -- executing ------------------------------------------------------------------------------------

bool invocation::begin() noexcept {
  run_state seen = run_state_.load(std::memory_order_relaxed);
  while (seen == run_state::queued) {
    if (run_state_.compare_exchange_weak(seen, run_state::running, std::memory_order_acq_rel)) {
      return true;
    }
  }
  return false;
}

invocation::outcome invocation::execute(void* instance, failure_ptr* thrown) noexcept {
  begun_ = true;
  for (;;) {
    if (info_->coroutine) forget_wake();
    try {
      const outcome result = run(instance);
      core::note_thrown(nullptr);
      if (result == outcome::suspended) {
        run_state_.store(run_state::suspended, std::memory_order_release);
        put_aside();
        std::uint8_t expected = awake;
        if (wake_.compare_exchange_strong(expected, parked, std::memory_order_acq_rel)) {
          return outcome::suspended;  // from here on a wake-up may run it elsewhere
        }
        take_up();
        run_state_.store(run_state::running, std::memory_order_release);
        continue;
      }
    } catch (const core::actor_unwind& unwind) {
      drop_frame();
      core::current_unwind = unwind;
      return outcome::unwound;
    } catch (...) {
      const failure_ptr why = core::capture_failure(name());
      if (thrown != nullptr) *thrown = why;
      resume_point_ = nullptr;
      drop_frame();
      if (!claimed() && retry(why)) return outcome::suspended;
      drop_arguments();
      if (claim()) fail(why);
    }
    return outcome::finished;
  }
}

void invocation::retire() noexcept {
  drop_frame();
  drop_arguments();
  leave_parent();
  set_state(run_state::done);
  ended();
  unpin();
}

void invocation::abandon(failure_ptr why) noexcept {
  if (claim()) fail(std::move(why));
}

/// An argument has failed: so does the call, and tells of it from now on.
void invocation::abandon_with(const object_state& argument) noexcept {
  argument.note_asked();
  abandon(argument.why());
}

// -- dependencies ---------------------------------------------------------------------------------

void invocation::wait_for(dependency& node, object_state& argument) noexcept {
  if (!argument.ready()) {
    node.owner = this;
    node.fire = &dependency_ready;
    pending_.fetch_add(1, std::memory_order_relaxed);
    if (argument.when_ready(node)) return;
    node.owner = nullptr;
    pending_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (argument.has_failed()) abandon_with(argument);
}

void invocation::dependency_ready(continuation& self, object_state& object) noexcept {
  invocation& owner = *static_cast<dependency&>(self).owner;
  if (object.has_failed()) owner.abandon_with(object);
  if (owner.pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) owner.dispatch();
}

bool invocation::stop_waiting(dependency& node, object_state& argument) noexcept {
  return node.owner != nullptr && argument.forget(node);
}

/// One more thing to wait for, so that the arguments stay while they are looked at. False when all
/// are there, and the call may run already.
bool invocation::hold_arguments() noexcept {
  std::uint32_t seen = pending_.load(std::memory_order_acquire);
  do {
    if (seen == 0) return false;
  } while (!pending_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel));
  return true;
}

void invocation::assist_producers() noexcept {
  if (!hold_arguments()) return;
  assist_arguments();
  if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) dispatch();
}

void invocation::cut_arguments() noexcept {
  if (!hold_arguments()) return;
  const std::uint32_t settled = 1 + disconnect_arguments();
  if (pending_.fetch_sub(settled, std::memory_order_acq_rel) == settled) dispatch();
}

// -- suspension -----------------------------------------------------------------------------------

void invocation::wake() noexcept {
  if (wake_.exchange(woken, std::memory_order_acq_rel) == parked) go_on();
}

// -- parents and children -------------------------------------------------------------------------

void invocation::adopt_parent() noexcept {
  invocation* const parent = current_invocation();
  if (parent == nullptr) return;
  parent->pin();
  parent_ = parent;
  parent->lock();
  next_sibling_ = parent->first_child_;
  if (next_sibling_ != nullptr) next_sibling_->previous_sibling_ = this;
  parent->first_child_ = this;
  const bool stopped_already = parent->stop_requested();
  parent->unlock();
  // A child that is started by a task which was cancelled is cancelled like its siblings.
  if (stopped_already && parent->has_failed()) cancel(false, true);
}

void invocation::leave_parent() noexcept {
  invocation* const parent = std::exchange(parent_, nullptr);
  if (parent == nullptr) return;
  parent->lock();
  if (next_sibling_ != nullptr) next_sibling_->previous_sibling_ = previous_sibling_;
  if (previous_sibling_ != nullptr) {
    previous_sibling_->next_sibling_ = next_sibling_;
  } else {
    parent->first_child_ = next_sibling_;
  }
  parent->unlock();
  parent->unpin();
}

// -- cancellation ---------------------------------------------------------------------------------

std::stop_token invocation::token() {
  lock();
  if (!stop_source_) stop_source_ = std::make_unique<std::stop_source>();
  std::stop_token token = stop_source_->get_token();
  const bool late = stop_requested();
  unlock();
  if (late) stop_source_->request_stop();
  return token;
}

bool invocation::block_on(interruptible* blocker) noexcept {
  lock();
  blocker_ = blocker;
  const bool stopped_already = stop_requested();
  if (stopped_already) blocker_ = nullptr;
  unlock();
  return !stopped_already;
}

void invocation::forget_stop() noexcept {
  lock();
  stop_.store(false, std::memory_order_release);
  const std::unique_ptr<std::stop_source> old = std::move(stop_source_);
  unlock();
}

void invocation::request_stop(bool recursive) noexcept {
  std::vector<invocation*> children;
  lock();
  stop_.store(true, std::memory_order_release);
  if (blocker_ != nullptr) blocker_->interrupt();
  std::stop_source source = stop_source_ ? *stop_source_ : std::stop_source(std::nostopstate);
  if (recursive) {
    for (invocation* child = first_child_; child != nullptr; child = child->next_sibling_) {
      child->pin();
      children.push_back(child);
    }
  }
  unlock();
  source.request_stop();  // runs the user's stop callbacks, so without the lock
  for (invocation* child : children) {
    child->cancel(false, true);
    child->unpin();
  }
  wake();
}

bool invocation::cancel(bool force, bool recursive) {
  if (claimed()) return false;
  return end_with(make_failure(std::make_exception_ptr(
                      task_cancelled_error("'" + std::string(name()) + "' was cancelled"))),
                  force, recursive);
}

void invocation::expire() noexcept {
  if (claimed()) return;
  end_with(make_failure(std::make_exception_ptr(task_timeout_error(
               "'" + std::string(name()) + "' did not end within its timeout of " +
               std::to_string(options_->get().timeout.count()) + " ms"))),
           false, true);
}

bool invocation::end_with(failure_ptr why, bool force, bool recursive) {
  if (!claim()) return false;
  pin();
  fail(std::move(why));
  request_stop(recursive);
  stopped(force);
  disconnect();
  unpin();
  return true;
}

// -- coroutines -----------------------------------------------------------------------------------

object_awaiter::~object_awaiter() { unlink(); }

void object_awaiter::on_ready(continuation& self, object_state&) noexcept {
  auto& fired = static_cast<waker&>(self);
  fired.call->wake();
  fired.fired.store(true, std::memory_order_release);  // the coroutine may be gone after this
}

bool object_awaiter::await_suspend(std::coroutine_handle<> self) {
  invocation* const call = current_invocation();
  if (call == nullptr || !call->info().coroutine) {
    throw std::logic_error(
        "co_await on an object_ref outside of a coroutine task: start the coroutine by "
        "troupe::remote, or use troupe::get");
  }
  waker_.call = call;
  waker_.fire = &on_ready;
  if (call->stop_requested()) return false;
  call->set_resume_point(self.address());
  waiting_ = true;
  if (object_->when_ready(waker_)) return true;
  waiting_ = false;
  call->take_resume_point();
  return false;
}

void object_awaiter::unlink() noexcept {
  if (!std::exchange(waiting_, false)) return;
  if (!object_->forget(waker_)) {
    while (!waker_.fired.load(std::memory_order_acquire)) std::this_thread::yield();
  }
}

void object_awaiter::settle() {
  unlink();
  if (waker_.call == nullptr) return;
  waker_.call->forget_wake();
  if (waker_.call->stop_requested()) core::throw_cancelled_wait(*waker_.call);
}

}  // namespace troupe::detail

namespace troupe::this_task {

namespace {

detail::invocation& require_task(const char* what) {
  detail::invocation* const call = detail::current_invocation();
  if (call == nullptr) {
    throw std::logic_error(std::string("this_task::") + what + ": no task runs on this thread");
  }
  return *call;
}

}  // namespace

bool running() noexcept { return detail::current_invocation() != nullptr; }
std::string name() { return std::string(require_task("name").name()); }
std::uint64_t id() { return require_task("id").id(); }
int attempt() { return require_task("attempt").attempt(); }

bool stop_requested() noexcept {
  const detail::invocation* const call = detail::current_invocation();
  return call != nullptr && call->stop_requested();
}

std::stop_token stop_token() {
  detail::invocation* const call = detail::current_invocation();
  return call != nullptr ? call->token() : std::stop_token();
}

void check_stop() {
  if (stop_requested()) {
    throw task_cancelled_error("'" + name() + "' was cancelled");
  }
}

}  // namespace troupe::this_task
