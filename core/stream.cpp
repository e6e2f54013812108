#include <deque>
#include <mutex>

#include <troupe/error.hpp>
#include <troupe/generator.hpp>
#include <troupe/log.hpp>

#include "core/runtime.hpp"

namespace troupe::detail {

namespace {

constexpr std::size_t bound_without_runtime = 16;

class stream final : public stream_state {
 public:
  explicit stream(std::size_t bound) : bound_(bound) {}

  offer push(object_ptr item, invocation& producer) override {
    object_ptr waiting;
    auto result = offer::more;
    {
      const std::lock_guard guard(mutex_);
      // Closed by a cancel while the producer runs: its failure stays the last item.
      if (abandoned_ || closed_) return offer::abandoned;
      items_.push_back(std::move(item));
      ++produced_;
      waiting = std::exchange(signal_, {});
      if (items_.size() >= bound_) {
        producer.forget_wake();
        result = producer.stop_requested() ? offer::abandoned : offer::full;
        if (result == offer::full) paused_ = &producer;
      }
    }
    // Without the lock: who waits may come for the item at once.
    if (waiting) static_cast<value_object<void>*>(waiting.get())->set();
    return result;
  }

  void close(failure_ptr why) noexcept override {
    object_ptr waiting;
    {
      const std::lock_guard guard(mutex_);
      if (closed_) return;
      closed_ = true;
      paused_ = nullptr;
      // The failure of a stream is its last item, where the consumer finds it.
      if (why && !abandoned_) items_.push_back(failed_object<void>(std::move(why)));
      waiting = std::exchange(signal_, {});
    }
    if (waiting) static_cast<value_object<void>*>(waiting.get())->set();
  }

  std::size_t produced() const noexcept override {
    const std::lock_guard guard(mutex_);
    return produced_;
  }

  void set_bound(std::size_t bound) noexcept override {
    const std::lock_guard guard(mutex_);
    bound_ = bound;
  }

  object_ptr next(const deadline& until) override {
    for (;;) {
      const object_ptr there = signal();
      if (!there->ready()) wait_until_ready(*there, until);
      if (object_ptr item = try_next()) return item;
      const std::lock_guard guard(mutex_);
      if (items_.empty() && closed_) return {};
    }
  }

  object_ptr try_next() noexcept override {
    object_ptr item;
    consumption tell;
    std::size_t read = 0;
    {
      const std::lock_guard guard(mutex_);
      if (items_.empty()) return {};
      item = std::move(items_.front());
      items_.pop_front();
      read = ++consumed_;
      tell = on_consumed_;
      // Woken under the lock: the producer forgets its pause under the same one.
      if (paused_ != nullptr && items_.size() <= bound_ / 2)
        std::exchange(paused_, nullptr)->wake();
    }
    if (tell) tell(read, false);
    return item;
  }

  void begin_after(std::size_t given) noexcept override {
    const std::lock_guard guard(mutex_);
    produced_ = given;
  }

  void on_consumed(consumption f) override {
    const std::lock_guard guard(mutex_);
    on_consumed_ = std::move(f);
  }

  object_ptr signal() override {
    const std::lock_guard guard(mutex_);
    if (!items_.empty() || closed_) return value_object<void>::make();
    if (!signal_) signal_ = object_ptr::adopt(new value_object<void>);
    return signal_;
  }

  bool at_end() const noexcept override {
    const std::lock_guard guard(mutex_);
    return closed_ && items_.empty();
  }

  bool abandoned() const noexcept override {
    const std::lock_guard guard(mutex_);
    return abandoned_;
  }

  void abandon() noexcept override {
    std::deque<object_ptr> dropped;
    consumption tell;
    std::size_t read = 0;
    {
      const std::lock_guard guard(mutex_);
      abandoned_ = true;
      dropped.swap(items_);
      read = consumed_;
      tell = std::exchange(on_consumed_, nullptr);
      if (paused_ != nullptr) std::exchange(paused_, nullptr)->wake();
    }
    if (tell) tell(read, true);
    if (!dropped.empty() && dropped.back()->has_failed() && dropped.back()->why()->info) {
      const failure_info& info = *dropped.back()->why()->info;
      log::warn("the stream of '", info.frames.front(),
                "' was dropped with its failure unread: ", info.type, ": ", info.message);
    }
  }

 private:
  mutable std::mutex mutex_;
  std::deque<object_ptr> items_;  // guarded by mutex_, like all below
  object_ptr signal_;             // completed by the next item, or the end
  invocation* paused_ = nullptr;  // a producer that waits for room; it is pinned while suspended
  std::size_t bound_;
  std::size_t produced_ = 0;
  std::size_t consumed_ = 0;
  consumption on_consumed_;
  bool closed_ = false;
  bool abandoned_ = false;
};

}  // namespace

stream_ptr stream_state::make() {
  const core::runtime* const running = core::find_runtime();
  return std::make_shared<stream>(running != nullptr ? running->settings.generator_backpressure
                                                     : bound_without_runtime);
}

void throw_stream_abandoned() {
  throw task_cancelled_error("the generator's results are not wanted any more");
}

}  // namespace troupe::detail
