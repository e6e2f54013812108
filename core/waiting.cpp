#include <troupe/detail/waiting.hpp>

#include <algorithm>
#include <mutex>
#include <string>
#include <thread>

#include <troupe/error.hpp>
#include <troupe/task.hpp>

#include "core/blocking.hpp"
#include "core/failure.hpp"
#include "core/stage/stage.hpp"

namespace troupe::detail {

namespace {

using core::blocking_wait;

/// Wakes one wait when one object is ready.
struct single_waiter final : continuation {
  explicit single_waiter(blocking_wait& wait) : blocked(wait) {
    fire = [](continuation& self, object_state&) noexcept {
      static_cast<single_waiter&>(self).blocked.wake();
    };
  }
  blocking_wait& blocked;
};

/// Wakes one wait when all objects are ready or one has failed.
struct group_wait {
  explicit group_wait(blocking_wait& wait, std::size_t count) : blocked(wait), left(count) {}

  void object_ready(object_state& object) noexcept {
    bool wake = false;
    if (object.has_failed()) {
      object_state* none = nullptr;
      wake = failed.compare_exchange_strong(none, &object, std::memory_order_acq_rel);
    }
    if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) wake = true;
    if (wake) blocked.wake();
    fired.fetch_add(1, std::memory_order_release);  // the group may be gone after this
  }

  blocking_wait& blocked;
  std::atomic<std::size_t> left;
  std::atomic<std::size_t> fired{0};
  std::atomic<object_state*> failed{nullptr};
};

struct group_node final : continuation {
  group_wait* group = nullptr;
};

[[noreturn]] void throw_timeout(const object_state* object) {
  throw get_timeout_error(object != nullptr
                              ? "get: '" + std::string(object->describe()) +
                                    "' was not ready in time; it goes on"
                              : std::string("get: not all objects were ready in time"));
}

}  // namespace

deadline deadline_after(std::optional<std::chrono::nanoseconds> timeout) {
  if (!timeout) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  if (*timeout >= std::chrono::steady_clock::time_point::max() - now) return std::nullopt;
  return now + *timeout;
}

void throw_empty_ref(const char* what) {
  throw std::invalid_argument(std::string(what) +
                              ": the ref is empty (default-constructed or moved from)");
}

void throw_failure(const object_state& object) {
  object.note_asked();
  core::note_thrown(object.why());
  std::rethrow_exception(object.why()->thrown);
}

void throw_move_only_is_shared(std::string_view type) {
  throw std::invalid_argument("an object of the move-only type " + std::string(type) +
                              " is an argument while other refs to it exist; move the last ref in");
}

void wait_until_ready(object_state& object, const deadline& until) {
  if (object.ready()) return;
  if (!until && core::stage::on_stage_thread()) {
    object.assist();
    if (object.ready()) return;
  }
  blocking_wait blocked;
  single_waiter node(blocked);
  if (!object.when_ready(node)) return;
  const auto outcome = blocked.wait(until);
  if (outcome == blocking_wait::outcome::woken) return;
  if (!object.forget(node)) blocked.wait_for_wake();
  blocked.check(outcome);
  if (!object.ready()) throw_timeout(&object);
}

object_state* wait_until_all_ready(std::span<object_state* const> objects, const deadline& until) {
  for (object_state* object : objects) {
    if (object->has_failed()) return object;
  }
  if (!until && core::stage::on_stage_thread()) {
    for (object_state* object : objects) {
      if (!object->ready()) object->assist();
      if (object->has_failed()) return object;
    }
  }
  blocking_wait blocked;
  group_wait group(blocked, objects.size());
  const auto nodes = std::make_unique<group_node[]>(objects.size());
  std::size_t registered = 0;
  for (object_state* object : objects) {
    group_node& node = nodes[registered];
    node.group = &group;
    node.fire = [](continuation& self, object_state& ready) noexcept {
      static_cast<group_node&>(self).group->object_ready(ready);
    };
    if (object->when_ready(node)) {
      ++registered;
    } else {
      if (object->has_failed()) {
        object_state* none = nullptr;
        group.failed.compare_exchange_strong(none, object, std::memory_order_acq_rel);
      }
      if (group.left.fetch_sub(1, std::memory_order_acq_rel) == 1) blocked.wake();
    }
  }
  auto outcome = blocking_wait::outcome::woken;
  if (group.failed.load(std::memory_order_acquire) == nullptr) outcome = blocked.wait(until);
  // Leave nothing behind that refers to this stack frame.
  std::size_t taken_back = 0;
  if (outcome != blocking_wait::outcome::woken || group.left.load(std::memory_order_acquire) != 0) {
    for (std::size_t i = 0; i < registered; ++i) {
      if (nodes[i].object->forget(nodes[i])) ++taken_back;
    }
  }
  while (group.fired.load(std::memory_order_acquire) + taken_back != registered) {
    std::this_thread::yield();
  }
  if (object_state* failed = group.failed.load(std::memory_order_acquire)) return failed;
  blocked.check(outcome);
  if (outcome == blocking_wait::outcome::timed_out && group.left.load() != 0)
    throw_timeout(nullptr);
  return nullptr;
}

// -- wait_set -------------------------------------------------------------------------------------

struct wait_set::shared_block {
  std::mutex mutex;
  std::vector<std::uint32_t> fresh;  // ready and not collected; guarded by mutex
  std::size_t wanted = 0;            // the waiter wants so many; guarded by mutex
  core::blocking_wait* waiter = nullptr;
  std::unique_ptr<node[]> nodes;
  std::shared_ptr<shared_block> self;  // while any node is registered
  std::size_t registered = 0;          // guarded by mutex
};

struct wait_set::node final : continuation {
  shared_block* block = nullptr;
  std::uint32_t index = 0;
  bool waiting = false;  // guarded by the block's mutex
};

wait_set::wait_set(std::vector<object_ptr> objects)
    : objects_(std::move(objects)), left_(objects_.size()) {
  std::vector<const object_state*> sorted;
  sorted.reserve(objects_.size());
  for (const object_ptr& object : objects_) {
    if (!object) throw_empty_ref("wait");
    sorted.push_back(object.get());
  }
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw std::invalid_argument("wait: a ref stands twice in the list");
  }
}

wait_set::wait_set(wait_set&& other) noexcept
    : objects_(std::move(other.objects_)),
      ready_(std::move(other.ready_)),
      block_(std::move(other.block_)),
      left_(std::exchange(other.left_, 0)) {
  other.objects_.clear();
  other.ready_.clear();
}

wait_set& wait_set::operator=(wait_set&& other) noexcept {
  if (this != &other) {
    unsubscribe();
    objects_ = std::move(other.objects_);
    ready_ = std::move(other.ready_);
    block_ = std::move(other.block_);
    left_ = std::exchange(other.left_, 0);
    other.objects_.clear();
    other.ready_.clear();
  }
  return *this;
}

wait_set::~wait_set() { unsubscribe(); }

void wait_set::subscribe() {
  block_ = std::make_shared<shared_block>();
  block_->nodes = std::make_unique<node[]>(objects_.size());
  block_->fresh.reserve(objects_.size());
  block_->self = block_;
  block_->registered = 1;  // this function, until all nodes are in
  for (std::uint32_t i = 0; i < objects_.size(); ++i) {
    if (objects_[i]->ready()) {
      ready_.push_back(i);
      continue;
    }
    node& own = block_->nodes[i];
    own.block = block_.get();
    own.index = i;
    own.fire = [](continuation& self, object_state&) noexcept {
      auto& fired = static_cast<node&>(self);
      std::shared_ptr<shared_block> last;  // freed after the lock
      shared_block& block = *fired.block;
      const std::lock_guard guard(block.mutex);
      fired.waiting = false;
      block.fresh.push_back(fired.index);
      if (block.waiter != nullptr && block.fresh.size() >= block.wanted) {
        std::exchange(block.waiter, nullptr)->wake();
      }
      if (--block.registered == 0) last = std::move(block.self);
    };
    {
      const std::lock_guard guard(block_->mutex);
      own.waiting = true;
      ++block_->registered;
    }
    if (!objects_[i]->when_ready(own)) {
      const std::lock_guard guard(block_->mutex);
      own.waiting = false;
      --block_->registered;
      ready_.push_back(i);
    }
  }
  std::make_heap(ready_.begin(), ready_.end(), std::greater<>{});
  const std::lock_guard guard(block_->mutex);
  if (--block_->registered == 0) block_->self.reset();
}

void wait_set::unsubscribe() noexcept {
  if (!block_) return;
  for (std::size_t i = 0; i < objects_.size(); ++i) {
    if (!objects_[i]) continue;
    node& own = block_->nodes[i];
    if (own.block == nullptr || !objects_[i]->forget(own)) continue;
    const std::lock_guard guard(block_->mutex);
    if (std::exchange(own.waiting, false) && --block_->registered == 0) block_->self.reset();
  }
  block_.reset();
}

void wait_set::collect() {
  const std::lock_guard guard(block_->mutex);
  for (const std::uint32_t index : block_->fresh) {
    ready_.push_back(index);
    std::push_heap(ready_.begin(), ready_.end(), std::greater<>{});
  }
  block_->fresh.clear();
}

std::vector<std::uint32_t> wait_set::take(std::size_t count, const deadline& until) {
  count = std::min(count, left_);
  if (!block_) {
    if (!until && core::stage::on_stage_thread()) {
      // A wait inside a task helps with what has not begun, as `get` does.
      std::size_t ready = 0;
      for (const object_ptr& object : objects_) {
        if (ready >= count) break;
        if (!object->ready()) object->assist();
        if (object->ready()) ++ready;
      }
    }
    subscribe();
  }
  collect();
  if (ready_.size() < count) {
    core::blocking_wait blocked;
    bool waiting = false;
    {
      const std::lock_guard guard(block_->mutex);
      if (ready_.size() + block_->fresh.size() < count) {
        block_->wanted = count - ready_.size();
        block_->waiter = &blocked;
        waiting = true;
      }
    }
    auto outcome = core::blocking_wait::outcome::woken;
    if (waiting) {
      outcome = blocked.wait(until);
      const std::lock_guard guard(block_->mutex);
      block_->waiter = nullptr;
    }
    blocked.check(outcome);
    collect();
  }
  std::vector<std::uint32_t> taken;
  taken.reserve(std::min(count, ready_.size()));
  while (taken.size() < count && !ready_.empty()) {
    std::pop_heap(ready_.begin(), ready_.end(), std::greater<>{});
    const std::uint32_t index = ready_.back();
    ready_.pop_back();
    objects_[index] = {};
    taken.push_back(index);
  }
  left_ -= taken.size();
  return taken;
}

}  // namespace troupe::detail

namespace troupe {

detail::blocking_scope::blocking_scope() : away_(std::make_unique<core::off_stage>()) {
  if (!*away_) core::throw_too_many_blocked();
}
detail::blocking_scope::~blocking_scope() = default;

void sleep_until(std::chrono::steady_clock::time_point time) {
  core::blocking_wait blocked;
  blocked.check(blocked.wait(time));
}

void sleep_for(std::chrono::nanoseconds duration) {
  const detail::deadline until = detail::deadline_after(duration);
  sleep_until(until ? *until : std::chrono::steady_clock::time_point::max());
}

}  // namespace troupe
