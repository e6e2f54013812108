/// The devices of a process at work: streams, the order between them, memory, and who is told when
/// work is done.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/detail/gpu_memory.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/gpu/memory.hpp>
#include <troupe/gpu/stream.hpp>
#include <troupe/gpu/work.hpp>

#include "gpu/borrower.hpp"
#include "gpu/completion_state.hpp"
#include "gpu/driver.hpp"
#include "gpu/lender.hpp"
#include "gpu/order_state.hpp"
#include "gpu/share_state.hpp"

namespace troupe::gpu::detail {

/// A stream. Belongs to the engine, for good.
class lane {
 public:
  engine& of;
  const int device;
  const lane_id id;  ///< in the order, and among those that are watched
  const stream_handle stream;
  const event_handle tail;  ///< recorded for lanes that wait for this one
  const event_handle done;  ///< recorded for those who wait on the host
};

/// What a graph uses while it is made.
struct captured {
  std::vector<std::pair<memory_ptr, bool>> uses;  ///< with whether it is written
  int device = 0;
};

/// Memory of a device. Shared by its arrays; goes back, in the streams' order, with the last. That
/// of another process is opened when it is first used here: a process that passes it on only needs
/// no device.
class memory {
 public:
  memory(engine& in, void* at, std::size_t size, int on) noexcept
      : of(in), bytes(size), address_(at), device_(on) {}
  memory(engine& in, std::unique_ptr<const borrowed> from);
  ~memory();
  memory(const memory&) = delete;
  memory& operator=(const memory&) = delete;

  engine& of;
  const std::size_t bytes;
  use_marks marks;  ///< guarded by the engine's lock
  std::optional<share_holder> counted_for;
  troupe::detail::gpu_memory_counter* shown_in = nullptr;  ///< null: not allocated here

  /// These open it, and may throw then.
  void* address() {
    settle();
    return address_;
  }
  int device() {
    settle();
    return device_;
  }
  /// The loan, while it lies in the other process.
  const borrowed* loan() const noexcept {
    return copied_.load(std::memory_order_acquire) ? nullptr : loan_.get();
  }
  const bool was_lent = false;

 private:
  friend class engine;
  void settle();

  void* address_ = nullptr;
  int device_ = -1;
  std::once_flag settled_;
  std::unique_ptr<const borrowed> loan_;  ///< until the end, whoever looks at it meanwhile
  std::atomic<bool> copied_{false};       ///< it has content of its own
};

/// A piece of pinned memory that copies go through.
struct staging {
  void* memory = nullptr;
  event_handle done = nullptr;
  bool used = false;  ///< `done` was recorded
};

/// Thread-safe. One lock orders what is enqueued: the order between streams is decided in the same
/// order in which it reaches them. It is recursive, because what enqueues may allocate, and is not
/// held while anything waits for the device. A second one guards who is told of completions.
class engine {
 public:
  /// The process's own, over CUDA; made when it is first used and never destroyed, because arrays
  /// may outlive main.
  static engine& process();
  /// Tests put one over another driver in its place; null: the process's own again.
  static void replace_for_test(engine* other) noexcept;

  explicit engine(driver& over);
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  int count_devices() const noexcept { return count_; }
  const std::string& why_none() const noexcept { return why_none_; }
  driver& under() noexcept { return driver_; }
  /// What does not change of a device. The driver takes its time to tell it, once.
  const device_info& info_of(int device);

  /// Those of `troupe::gpu`.
  int current_device() const;
  /// What `on_device` does; gives what was chosen before. -1: the thread's own again.
  int choose_device(int device);
  void make_own_device_current() noexcept;
  void limit_by_share(bool on) noexcept { limited_.store(on); }

  /// The stream of the running actor or of this thread.
  lane& lane_here() { return lane_on(current_device()); }
  lane& lane_on(int device);

  memory_ptr allocate(std::size_t bytes) { return allocate_on(lane_here(), bytes); }
  memory_ptr allocate_on(lane& on, std::size_t bytes);
  /// Opens what another process has lent: by reference, or a copy.
  void open(memory& what);
  lender& lends() noexcept { return lender_; }
  /// Waits until what writes the memory now is done.
  void wait_for_writers(memory& what);
  void release(memory& gone) noexcept;
  void* use(lane& on, memory& what, bool write);
  void upload(memory& to, const void* from, std::size_t bytes);
  void download(memory& from, void* to, std::size_t bytes);
  void copy(lane& on, memory& to, memory& from);

  /// Enqueues the work; its failure fails it. Then tells it when the device has done it.
  void enqueue(work& what, lane& on) noexcept;
  /// Looks for a moment whether it is done: for a thread that has nothing else to do.
  void hurry(const work& what);

  /// What `enqueue` calls runs alone, as far as the device is concerned.
  template <class F>
  void in_order(lane& on, F&& f) {
    const std::lock_guard guard(order_mutex_);
    check_usable(on.device);
    driver_.make_current(on.device);
    const counted_scope counted{order_, on.id};
    std::forward<F>(f)();
  }
  /// Blocks until the event has happened; a task gives its CPU back.
  void wait_for(event_handle event);

 private:
  struct counted_scope {
    order_state& order;
    lane_id lane;
    ~counted_scope() { order.enqueued(lane); }
  };
  struct flight {
    lane* on;
    std::deque<object_ptr> work;  ///< the oldest first
  };
  struct outcome {
    object_ptr work;
    troupe::detail::failure_ptr failure;  ///< null: done
  };

  bool open_by_reference(memory& what);
  void check_usable(int device) const;
  void follow(lane& on, const std::vector<lane_id>& before);
  void break_device(int device, const device_error& why);
  std::optional<share_holder> count(int device, std::size_t bytes);
  troupe::detail::gpu_memory_counter& counter_of(int device);

  void watch_for(work& what, lane& on);
  void watch();
  void look(std::vector<outcome>& over);
  void take(std::size_t at, std::size_t count, const device_error* why, std::vector<outcome>& over);
  static void tell(std::vector<outcome>& over) noexcept;

  /// Blocks until the device has done what is enqueued.
  void wait_for_copy(lane& on, const std::function<void()>& enqueues);
  staging take_staging();
  void give_staging(staging used);

  driver& driver_;
  std::string why_none_;
  const int count_;
  std::once_flag described_;
  std::vector<device_info> infos_;  ///< by device, once described
  std::atomic<bool> limited_{false};

  mutable std::recursive_mutex order_mutex_;
  order_state order_;                                   // guarded by order_mutex_, as below
  std::deque<lane> lanes_;                              // by lane_id
  std::map<std::pair<int, std::size_t>, lane*> named_;  // by device and whose it is
  std::map<int, device_error> broken_;
  share_state shares_;
  std::map<int, troupe::detail::gpu_memory_counter*> counters_;
  std::vector<staging> spare_staging_;

  std::mutex flights_mutex_;
  std::condition_variable_any added_;
  completion_state completions_;  // guarded by flights_mutex_, as below
  std::vector<flight> flights_;   // by lane_id
  bool ending_ = false;
  std::thread watcher_;  // runs from the first work on

  lender lender_{*this};
};

/// Makes a device current on this thread, and at its end the thread's own again.
class device_scope {
 public:
  device_scope(engine& in, int device) : in_(in) { in_.under().make_current(device); }
  ~device_scope() { in_.make_own_device_current(); }
  device_scope(const device_scope&) = delete;
  device_scope& operator=(const device_scope&) = delete;

 private:
  engine& in_;
};

}  // namespace troupe::gpu::detail
