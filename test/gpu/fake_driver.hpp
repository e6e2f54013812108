/// A driver over the host's memory: what is enqueued on a stream waits until a test lets it run.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <troupe/gpu/error.hpp>

#include "gpu/driver.hpp"
#include "gpu/engine.hpp"

namespace troupe::test {

/// Streams run by `run_all`, or at once after `run_at_once`. Thread-safe.
class fake_driver final : public gpu::driver {
 public:
  explicit fake_driver(int devices = 1) : devices_(devices) {}

  /// Lets all streams run as far as their waits allow.
  void run_all() {
    const std::lock_guard guard(mutex_);
    run();
  }
  void run_at_once() {
    const std::lock_guard guard(mutex_);
    at_once_ = true;
    run();
  }
  /// Everything on a device fails from now on, as after an illegal address.
  void break_device(std::string why) {
    const std::lock_guard guard(mutex_);
    broken_ = std::move(why);
  }
  /// Appends to a stream, as a kernel's launch does.
  void enqueue(gpu::stream_handle on, std::function<void()> what) {
    const std::lock_guard guard(mutex_);
    stream_of(on).work.push_back({std::move(what), nullptr, 0});
    if (at_once_) run();
  }

  std::size_t allocated() const {
    return with_lock([this] { return sizes_.size(); });
  }
  std::size_t streams() const {
    return with_lock([this] { return streams_.size(); });
  }
  std::size_t waits() const {
    return with_lock([this] { return waits_; });
  }
  std::size_t records() const {
    return with_lock([this] { return records_; });
  }
  std::size_t capacity = std::size_t{1} << 30;

  // -- driver -------------------------------------------------------------------------------------

  int count_devices(std::string& why) noexcept override {
    if (devices_ == 0) why = "the fake driver has none";
    return devices_;
  }
  gpu::device_info describe(int device) override {
    gpu::device_info result;
    result.index = device;
    result.name = "a fake device";
    result.uuid = "GPU-" + std::to_string(device);
    result.memory_bytes = capacity;
    return result;
  }
  gpu::memory_use memory_of(int) override { return {capacity, capacity - used(), used(), used()}; }
  void make_current(int) override {}

  gpu::stream_handle make_stream() override {
    const std::lock_guard guard(mutex_);
    return reinterpret_cast<gpu::stream_handle>(
        streams_.emplace_back(std::make_unique<stream>()).get());
  }
  gpu::event_handle make_event() override {
    const std::lock_guard guard(mutex_);
    return reinterpret_cast<gpu::event_handle>(
        events_.emplace_back(std::make_unique<event>()).get());
  }
  void free_event(gpu::event_handle) noexcept override {}
  void record(gpu::event_handle what, gpu::stream_handle on) override {
    const std::lock_guard guard(mutex_);
    check();
    ++records_;
    event& one = *reinterpret_cast<event*>(what);
    const std::size_t number = ++one.recorded;
    stream_of(on).work.push_back({[&one, number] { one.reached = number; }, nullptr, 0});
    if (at_once_) run();
  }
  void wait(gpu::stream_handle on, gpu::event_handle what) override {
    const std::lock_guard guard(mutex_);
    check();
    ++waits_;
    event& one = *reinterpret_cast<event*>(what);
    stream_of(on).work.push_back({nullptr, &one, one.recorded});
    if (at_once_) run();
  }
  bool query(gpu::event_handle what) override {
    const std::lock_guard guard(mutex_);
    check();
    const event& one = *reinterpret_cast<event*>(what);
    return one.reached >= one.recorded;
  }
  void synchronize(gpu::event_handle what) override {
    run_all();
    if (!query(what)) throw std::logic_error("the fake driver would wait for ever");
  }

  void* allocate(int, std::size_t bytes, gpu::stream_handle) override {
    const std::lock_guard guard(mutex_);
    check();
    std::size_t sum = bytes;
    for (const auto& [memory, size] : sizes_) sum += size;
    if (sum > capacity) return nullptr;
    void* const memory = std::calloc(1, bytes);
    sizes_[memory] = bytes;
    return memory;
  }
  void free(void* memory, gpu::stream_handle on) override {
    enqueue(on, [this, memory] {
      if (const auto lent = imported_.find(memory); lent != imported_.end()) {
        if (--lent->second == 0) imported_.erase(lent);
        return;
      }
      sizes_.erase(memory);
      std::free(memory);
    });
  }
  void copy(void* to, const void* from, std::size_t bytes, gpu::stream_handle on) override {
    enqueue(on, [=] { std::memcpy(to, from, bytes); });
  }
  void* allocate_pinned(std::size_t bytes) override { return std::malloc(bytes); }
  void free_pinned(void* memory) noexcept override { std::free(memory); }
  bool is_pinned(const void*) noexcept override { return false; }

  void begin_capture(gpu::stream_handle on) override {
    const std::lock_guard guard(mutex_);
    stream& one = stream_of(on);
    one.set_aside = std::exchange(one.work, {});
    capturing_ = &one;
  }
  gpu::graph_handle end_capture(gpu::stream_handle on) override {
    const std::lock_guard guard(mutex_);
    stream& one = stream_of(on);
    auto made = std::make_unique<std::deque<item>>(std::exchange(one.work, {}));
    one.work = std::exchange(one.set_aside, {});
    capturing_ = nullptr;
    return reinterpret_cast<gpu::graph_handle>(graphs_.emplace_back(std::move(made)).get());
  }
  void launch_graph(gpu::graph_handle graph, gpu::stream_handle on) override {
    for (const item& one : *reinterpret_cast<std::deque<item>*>(graph)) enqueue(on, one.act);
  }
  void free_graph(gpu::graph_handle) noexcept override { ++freed_graphs; }
  int freed_graphs = 0;

  /// Another process's memory is this process's here: what the loan names is its address.
  bool shares = false;
  bool imports_fail = false;
  bool can_share(int) override { return shares; }
  int export_pool(int) override { return ::dup(STDIN_FILENO); }
  gpu::pointer_export export_pointer(void* memory) override {
    gpu::pointer_export result{};
    std::memcpy(result.data(), &memory, sizeof(memory));
    return result;
  }
  gpu::pool_handle import_pool(int) override {
    ++opened_pools;
    return reinterpret_cast<gpu::pool_handle>(this);
  }
  void free_pool(gpu::pool_handle) noexcept override { --opened_pools; }
  void* import_pointer(gpu::pool_handle, const gpu::pointer_export& from) override {
    if (imports_fail) throw gpu::device_error("importing memory failed", 1, false);
    const std::lock_guard guard(mutex_);
    void* memory = nullptr;
    std::memcpy(&memory, from.data(), sizeof(memory));
    ++imported_[memory];
    return memory;
  }
  int opened_pools = 0;

 private:
  struct event {
    std::size_t recorded = 0;
    std::size_t reached = 0;
  };
  struct item {
    std::function<void()> act;
    event* wait_for;
    std::size_t until;
  };
  struct stream {
    std::deque<item> work;
    std::deque<item> set_aside;
  };

  template <class F>
  std::size_t with_lock(F&& f) const {
    const std::lock_guard guard(mutex_);
    return f();
  }
  std::size_t used() const {
    std::size_t sum = 0;
    for (const auto& [memory, size] : sizes_) sum += size;
    return sum;
  }
  static stream& stream_of(gpu::stream_handle handle) { return *reinterpret_cast<stream*>(handle); }
  void check() const {
    if (broken_) throw gpu::device_error(*broken_, 700, true);
  }
  void run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (const auto& one : streams_) {
        if (one.get() == capturing_) continue;
        while (!one->work.empty()) {
          item& first = one->work.front();
          if (first.wait_for != nullptr && first.wait_for->reached < first.until) break;
          const std::function<void()> act = std::move(first.act);
          one->work.pop_front();
          if (act) act();
          moved = true;
        }
      }
    }
  }

  const int devices_;
  mutable std::recursive_mutex mutex_;
  bool at_once_ = false;
  std::optional<std::string> broken_;
  std::vector<std::unique_ptr<stream>> streams_;
  std::vector<std::unique_ptr<event>> events_;
  std::vector<std::unique_ptr<std::deque<item>>> graphs_;
  stream* capturing_ = nullptr;
  std::map<void*, std::size_t> sizes_;
  std::map<void*, int> imported_;
  std::size_t waits_ = 0;
  std::size_t records_ = 0;
};

/// The process's devices are fake ones while it lives.
class fake_devices {
 public:
  explicit fake_devices(int count = 1) : driver(count), engine(driver) {
    gpu::detail::engine::replace_for_test(&engine);
  }
  ~fake_devices() {
    driver.run_at_once();
    gpu::detail::engine::replace_for_test(nullptr);
  }
  fake_devices(const fake_devices&) = delete;
  fake_devices& operator=(const fake_devices&) = delete;

  fake_driver driver;
  gpu::detail::engine engine;
};

}  // namespace troupe::test
