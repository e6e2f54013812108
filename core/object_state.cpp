#include <troupe/detail/object_state.hpp>

#include <mutex>
#include <thread>

namespace troupe::detail {

namespace {

// A completion may complete further objects (a failure passes down a chain of tasks) and a release
// may release further objects (a value that holds refs). Both are worked off in a loop by the
// outermost call on the thread, so that a chain of a million links needs no stack.
struct firing_queue {
  continuation* head = nullptr;
  continuation* tail = nullptr;
  bool draining = false;
};
thread_local firing_queue firing;

struct dying_queue {
  object_state* head = nullptr;
  int depth = 0;
};
thread_local dying_queue dying;

constexpr int max_nested_destroy = 32;

/// Of those who read a value from the store at the same time one makes it. A lock for each object
/// would cost all objects for what few need.
std::mutex& loading_lock(const object_state* object) {
  static auto* const locks = new std::mutex[64];
  return locks[(reinterpret_cast<std::uintptr_t>(object) / 64) % 64];
}

void fire_all(continuation* list) noexcept {
  if (list == nullptr) return;
  continuation* last = list;
  while (last->next != nullptr) last = last->next;
  if (firing.tail != nullptr) {
    firing.tail->next = list;
  } else {
    firing.head = list;
  }
  firing.tail = last;
  if (firing.draining) return;
  firing.draining = true;
  while (firing.head != nullptr) {
    continuation* node = firing.head;
    firing.head = node->next;
    if (firing.head == nullptr) firing.tail = nullptr;
    object_state* object = node->object;
    node->fire(*node, *object);  // the node may be gone after this
    object->unpin();
  }
  firing.draining = false;
}

}  // namespace

failure_ptr make_failure(std::exception_ptr thrown) {
  return std::make_shared<const failure>(failure{std::move(thrown), nullptr});
}

object_state::~object_state() = default;

bool object_state::cancel(bool, bool) { return false; }

void object_state::lock() noexcept {
  while ((state_.fetch_or(is_locked, std::memory_order_acquire) & is_locked) != 0) {
    // The holder is a few instructions from done, or was preempted.
    while ((state_.load(std::memory_order_relaxed) & is_locked) != 0) std::this_thread::yield();
  }
}

void object_state::complete(void* value) noexcept {
  value_.store(value, std::memory_order_relaxed);
  publish(is_value);
}

void object_state::complete_stored(stored_ptr where) noexcept {
  stored_ = std::move(where);
  publish(is_value | in_store);
}

void object_state::keep_stored(stored_ptr where) noexcept {
  lock();
  if (!stored_) stored_.swap(where);
  unlock();
  state_.fetch_or(in_store, std::memory_order_release);
}

stored_ptr object_state::stored() const noexcept {
  if (!is_in_store()) return {};
  lock();
  stored_ptr where = stored_;
  unlock();
  return where;
}

void* object_state::read_stored(const mapped_value&) {
  throw object_lost_error("the object's value cannot be read from the store");
}

void* object_state::load(const std::optional<std::chrono::steady_clock::time_point>& until) {
  const mapping from = stored()->map(until);  // may wait: not under the lock
  const std::lock_guard guard(loading_lock(this));
  if (void* const here = value_.load(std::memory_order_acquire)) return here;
  void* const made = read_stored(*from);
  value_.store(made, std::memory_order_release);
  return made;
}

void object_state::fail(failure_ptr why) noexcept {
  failure_ = std::move(why);
  publish(is_failed);
}

void object_state::publish(std::uint32_t outcome) noexcept {
  // Nobody waits: one store-release publishes. `has_waiters` is only set under the lock.
  std::uint32_t seen = state_.load(std::memory_order_relaxed);
  while ((seen & (is_locked | has_waiters)) == 0) {
    if (state_.compare_exchange_weak(seen, seen | outcome, std::memory_order_acq_rel)) return;
  }
  lock();
  continuation* list = nullptr;  // in the order of registration
  for (continuation* node = std::exchange(waiters_, nullptr); node != nullptr;) {
    continuation* const next = node->next;
    node->previous = node;  // marks it as taken: `forget` must not unlink it
    node->next = list;
    list = node;
    pin();  // a node that fires may drop the last ref
    node = next;
  }
  state_.fetch_and(~has_waiters, std::memory_order_relaxed);
  state_.fetch_or(outcome, std::memory_order_release);
  unlock();
  fire_all(list);
}

bool object_state::when_ready(continuation& node) noexcept {
  if (ready()) return false;
  lock();
  if (ready()) {
    unlock();
    return false;
  }
  node.object = this;
  node.next = waiters_;
  node.previous = nullptr;
  if (waiters_ != nullptr) waiters_->previous = &node;
  waiters_ = &node;
  state_.fetch_or(has_waiters, std::memory_order_relaxed);
  unlock();
  return true;
}

bool object_state::forget(continuation& node) noexcept {
  lock();
  if (node.previous == &node) {
    unlock();
    return false;
  }
  if (node.previous != nullptr) {
    node.previous->next = node.next;
  } else {
    waiters_ = node.next;
  }
  if (node.next != nullptr) node.next->previous = node.previous;
  if (waiters_ == nullptr) state_.fetch_and(~has_waiters, std::memory_order_relaxed);
  unlock();
  return true;
}

void object_state::destroy() noexcept {
  if (dying.depth >= max_nested_destroy) {
    // Nobody waits on an object without refs and pins: the field links the queue instead.
    waiters_ = reinterpret_cast<continuation*>(dying.head);
    dying.head = this;
    return;
  }
  const bool outermost = dying.depth == 0;
  ++dying.depth;
  delete this;
  while (outermost && dying.head != nullptr) {
    object_state* object = dying.head;
    dying.head = reinterpret_cast<object_state*>(object->waiters_);
    delete object;
  }
  --dying.depth;
}

}  // namespace troupe::detail
