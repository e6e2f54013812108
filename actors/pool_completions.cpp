#include <troupe/detail/pool_completions.hpp>

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include <troupe/detail/assert.hpp>

namespace troupe::detail {

struct pool_completions::node : continuation {
  object_ptr watched;
  shared_state* shared = nullptr;
  std::uint64_t number = 0;
  node* next_ready = nullptr;
  std::atomic<bool> fired{false};  // the completing thread is through with the node
};

struct pool_completions::shared_state {
  std::mutex mutex;
  node* first = nullptr;  // guarded by mutex, as all below
  node* last = nullptr;
  object_ptr signal;  // the consumer waits for it

  void list(node& one) {
    object_ptr wake;
    {
      const std::lock_guard guard(mutex);
      (last != nullptr ? last->next_ready : first) = &one;
      last = &one;
      wake = std::move(signal);
    }
    if (wake) static_cast<value_object<void>*>(wake.get())->set();
  }
};

pool_completions::pool_completions() : shared_(std::make_shared<shared_state>()) {}
pool_completions::pool_completions(pool_completions&&) noexcept = default;
pool_completions& pool_completions::operator=(pool_completions&& other) noexcept {
  if (this != &other) {
    clear();
    shared_ = std::move(other.shared_);
    nodes_ = std::move(other.nodes_);
  }
  return *this;
}
pool_completions::~pool_completions() { clear(); }

void pool_completions::add(std::uint64_t number, object_ptr object) {
  auto made = std::make_unique<node>();
  node& one = *made;
  one.watched = std::move(object);
  one.shared = shared_.get();
  one.number = number;
  one.fire = [](continuation& self, object_state&) noexcept {
    auto& ready = static_cast<node&>(self);
    ready.shared->list(ready);
    ready.fired.store(true, std::memory_order_release);
  };
  const bool added = nodes_.emplace(number, std::move(made)).second;
  TROUPE_ASSERT(added, "a pool's results have numbers of their own");
  if (!one.watched->when_ready(one)) {
    shared_->list(one);
    one.fired.store(true, std::memory_order_relaxed);
  }
}

std::uint64_t pool_completions::next(const deadline& until) {
  TROUPE_ASSERT(!nodes_.empty(), "nothing can become ready");
  for (;;) {
    object_ptr signal;
    {
      const std::lock_guard guard(shared_->mutex);
      if (node* const ready = shared_->first) {
        shared_->first = ready->next_ready;
        if (shared_->first == nullptr) shared_->last = nullptr;
        const std::uint64_t number = ready->number;
        while (!ready->fired.load(std::memory_order_acquire)) std::this_thread::yield();
        nodes_.erase(number);
        return number;
      }
      signal = shared_->signal = object_ptr::adopt(new value_object<void>);
    }
    wait_until_ready(*signal, until);
  }
}

void pool_completions::clear() noexcept {
  for (const auto& [number, one] : nodes_) {
    if (one->fired.load(std::memory_order_acquire) || one->watched->forget(*one)) continue;
    while (!one->fired.load(std::memory_order_acquire)) std::this_thread::yield();
  }
  nodes_.clear();
}

}  // namespace troupe::detail
