/// One call of a function or method on its way: arguments, dependencies, cancellation, result.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string_view>

#include <troupe/detail/batch_place.hpp>
#include <troupe/detail/object_state.hpp>
#include <troupe/options.hpp>

namespace troupe::detail {

class stored_options;
class input_archive;
class output_archive;

/// What is known of a callable at compile time; one constant per function in the program.
struct function_info {
  std::string_view name;
  /// False when an argument cannot be copied, so that a second attempt has nothing to run with.
  bool repeatable = true;
  bool coroutine = false;
  /// Whether any argument is an object that may have to be waited for.
  bool refers = true;
};

/// Something that blocks a thread and can be woken before its time. Called under the lock of the
/// invocation that is blocked, so it must not block or take locks.
class interruptible {
 public:
  virtual void interrupt() noexcept = 0;

 protected:
  ~interruptible() = default;
};

class invocation;
class remote_stream;

/// Waits for one argument that is not there yet.
struct dependency final : continuation {
  invocation* owner = nullptr;
};

/// A call that was submitted: an ephemeral actor with one message. It is the object that it makes.
///
/// Ownership: born with one ref (for the caller) and one pin (for the runtime, until it has run or
/// was dropped). Thread-safe where not said otherwise; `run` and what it uses is confined to the
/// thread that executes it.
class TROUPE_API invocation : public object_state {
 public:
  /// `unwound`: an actor's method left by `this_actor::exit` or `fail`; its actor sees to the call.
  enum class outcome : std::uint8_t { finished, suspended, unwound };
  enum class run_state : std::uint8_t { waiting, queued, running, suspended, done };

  // -- what it is ---------------------------------------------------------------------------------

  std::string_view name() const noexcept;
  std::string_view describe() const noexcept override { return name(); }
  std::uint64_t id() const noexcept { return id_; }
  const function_info& info() const noexcept { return *info_; }
  /// Null when all options have their defaults.
  const stored_options* stored() const noexcept { return options_.get(); }
  const std::shared_ptr<const stored_options>& shared_options() const noexcept { return options_; }
  invocation* parent() const noexcept { return parent_; }

  // -- executing ----------------------------------------------------------------------------------

  /// Runs the call, or goes on with it after a suspension. Completes the object when it has
  /// finished; the caller retires it then. After `suspended`, which also means that it will be
  /// tried again, the call may run elsewhere already: the caller must not touch it.
  outcome execute(void* instance, failure_ptr* thrown = nullptr) noexcept;
  /// Takes the right to run. False when it runs, was cancelled or is done.
  bool begin() noexcept;
  run_state state() const noexcept { return run_state_.load(std::memory_order_acquire); }
  void set_state(run_state state) noexcept { run_state_.store(state, std::memory_order_release); }
  /// The arguments are kept for another attempt.
  bool keeps_arguments() const noexcept { return keep_arguments_; }
  int attempt() const noexcept { return attempt_; }
  /// The next `execute` begins from the start.
  void start_over() noexcept {
    ++attempt_;
    begun_ = false;
  }
  /// User code has run, and may have left a suspended frame.
  bool begun() const noexcept { return begun_; }

  /// Ends a call that does not run (any more): drops arguments, leaves its parent, drops the pin.
  void retire() noexcept;
  /// Completes with a failure unless it is complete. The call may still be queued or running.
  void abandon(failure_ptr why) noexcept;
  /// Destroys a suspended coroutine's frame. Only by the thread that has the right to run it.
  virtual void drop_frame() noexcept {}

  // -- dependencies -------------------------------------------------------------------------------

  /// Registers with the arguments that are not ready. True when all were: the call can be queued
  /// by the caller; else `dispatch` is called when the last one is.
  bool connect() noexcept {
    connect_arguments();
    return release_arguments();
  }
  /// `connect` in two steps: between them the call can be put where `dispatch` will look for it.
  virtual void connect_arguments() noexcept {}
  bool release_arguments() noexcept {
    std::uint8_t seen = connecting;
    if (!link_.compare_exchange_strong(seen, connected)) cut_arguments();
    return pending_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  /// Whether all arguments that `connect_arguments` saw were ready.
  bool arguments_ready() const noexcept { return pending_.load(std::memory_order_acquire) == 1; }
  /// Waits for no further arguments: for a call that will not run. `dispatch` is called if it did
  /// wait, to end it. While they are being connected, `release_arguments` does it instead.
  void disconnect() noexcept {
    if (link_.exchange(cut) == connected) cut_arguments();
  }
  /// Lets the producers of arguments that are not there hurry, see `object_state::assist`.
  void assist_producers() noexcept;

  /// Puts the call where it waits to run: called once when all arguments are ready, or for another
  /// attempt. Any thread; must not block.
  virtual void dispatch() noexcept = 0;
  /// Lets a call that was put aside go on. By whoever was to end its wait, who may come too late:
  /// then it does nothing.
  virtual void go_on() noexcept { dispatch(); }

  // -- crossing a process; see detail/remote_call.hpp ---------------------------------------------

  /// What other processes know its function by; 0 when it can run in this process only.
  virtual std::uint64_t remote_key() const noexcept { return 0; }
  /// Calls `f` with each object that is an argument.
  virtual void look_at_arguments(void (*)(void* context, const object_state&), void*) {}
  /// Writes the arguments, which are all there. Throws `archive_error`.
  virtual void archive_arguments(output_archive&) const {}
  /// Writes the value. Requires `has_value()`. Throws `archive_error`.
  virtual void archive_result(output_archive&) {}
  /// Completes the call with a value that another process wrote; fails it when that is damaged.
  virtual void complete_from(input_archive&) noexcept {}
  /// Of a generator: its results.
  virtual remote_stream* results() noexcept { return nullptr; }

  // -- suspension ---------------------------------------------------------------------------------

  /// Lets a suspended call go on. Any thread.
  void wake() noexcept;
  /// Forgets wake-ups that came for a wait that is over. By the running coroutine, which looks at
  /// `stop_requested` afterwards: a stop request whose wake-up was forgotten shows there.
  void forget_wake() noexcept { wake_.exchange(awake, std::memory_order_acq_rel); }
  void set_resume_point(void* coroutine) noexcept { resume_point_ = coroutine; }
  void* take_resume_point() noexcept { return std::exchange(resume_point_, nullptr); }
  bool has_resume_point() const noexcept { return resume_point_ != nullptr; }

  // -- cancellation -------------------------------------------------------------------------------

  bool stop_requested() const noexcept { return stop_.load(std::memory_order_acquire); }
  /// The token that a `std::stop_token` parameter gets.
  std::stop_token token();
  /// Asks running code to stop, and its children when `recursive`.
  void request_stop(bool recursive) noexcept;
  bool cancel(bool force, bool recursive) override;
  /// As `cancel`, with another failure. False when the call is complete already.
  bool end_with(failure_ptr why, bool force, bool recursive);
  /// Registers what blocks the executing thread, or null. False when a stop was requested already.
  bool block_on(interruptible* blocker) noexcept;
  /// Takes a stop request back, for another attempt.
  void forget_stop() noexcept;
  /// Its `timeout` has passed.
  void expire() noexcept;

 protected:
  explicit invocation(const function_info& info) noexcept;
  ~invocation() override;

  /// Runs user code. May throw what user code throws; then the result does not exist.
  virtual outcome run(void* instance) = 0;
  virtual void drop_arguments() noexcept = 0;
  /// Takes back what `connect_arguments` registered; how much of it had not fired.
  virtual std::uint32_t disconnect_arguments() noexcept { return 0; }
  virtual void assist_arguments() noexcept {}
  static bool stop_waiting(dependency& node, object_state& argument) noexcept;
  void wait_for(dependency& node, object_state& argument) noexcept;
  /// Decides after an exception: another attempt, or the failure. True when it will run again.
  virtual bool retry(const failure_ptr& why) noexcept = 0;
  /// Called when the call will not run (again), before the pin is dropped.
  virtual void ended() noexcept {}
  /// A cancel arrived for a call that has begun or waits to; see `cancel`.
  virtual void stopped(bool /*force*/) noexcept {}
  /// The call is about to wait for a wake-up, where the runtime can find it. `dispatch` takes it
  /// up.
  virtual void put_aside() noexcept = 0;
  /// The wake-up was there already.
  virtual void take_up() noexcept = 0;

  void set_options(std::shared_ptr<const stored_options> options) noexcept;
  void set_keep_arguments(bool keep) noexcept { keep_arguments_ = keep; }
  /// Makes it a child of the call that runs on this thread.
  void adopt_parent() noexcept;
  /// For a few instructions at most.
  void lock() noexcept;
  void unlock() noexcept { lock_.store(false, std::memory_order_release); }

 private:
  static constexpr std::uint8_t awake = 0;
  static constexpr std::uint8_t parked = 1;
  static constexpr std::uint8_t woken = 2;

  static constexpr std::uint8_t connecting = 0;
  static constexpr std::uint8_t connected = 1;
  static constexpr std::uint8_t cut = 2;

  static void dependency_ready(continuation& self, object_state& object) noexcept;
  bool hold_arguments() noexcept;
  void cut_arguments() noexcept;
  void abandon_with(const object_state& argument) noexcept;
  void leave_parent() noexcept;

  std::atomic<std::uint32_t> pending_{1};
  std::atomic<run_state> run_state_{run_state::waiting};
  std::atomic<bool> stop_{false};
  std::atomic<bool> lock_{false};
  bool keep_arguments_ = false;
  bool begun_ = false;
  std::atomic<std::uint8_t> wake_{awake};
  std::atomic<std::uint8_t> link_{connecting};
  int attempt_ = 0;
  std::uint64_t id_;
  const function_info* info_;
  std::shared_ptr<const stored_options> options_;
  invocation* parent_ = nullptr;
  invocation* first_child_ = nullptr;
  invocation* next_sibling_ = nullptr;
  invocation* previous_sibling_ = nullptr;
  interruptible* blocker_ = nullptr;
  void* resume_point_ = nullptr;  ///< innermost coroutine that suspended
  std::unique_ptr<std::stop_source> stop_source_;
};

/// The call that runs on this thread, or null on a thread of the user's.
TROUPE_API invocation* current_invocation() noexcept;

/// A function call: an ephemeral actor. Implemented in tasks/.
class TROUPE_API task : public invocation {
 public:
  void dispatch() noexcept override;
  void assist() noexcept override;
  /// Queues the task, or lets it wait for its arguments. Throws when its options are invalid or
  /// ask for what the runtime can never give. Takes over the pin.
  void submit(std::shared_ptr<const stored_options> options);
  /// The resources it asks for, resolved at submission.
  void* shape() const noexcept { return shape_; }

 protected:
  explicit task(const function_info& info) noexcept : invocation(info) {}
  bool retry(const failure_ptr& why) noexcept override;
  void ended() noexcept override;
  void stopped(bool force) noexcept override;
  void put_aside() noexcept override;
  void take_up() noexcept override;

 private:
  friend class task_access;
  void* shape_ = nullptr;
  task* next_ = nullptr;  ///< in the queue of its shape, as `previous_`
  task* previous_ = nullptr;
  std::uint64_t deadline_timer_ = 0;
  std::atomic<std::uint64_t> retry_timer_{0};
};

class actor_core;
class local_actor;

/// Link of a multi-producer queue.
struct queue_node {
  std::atomic<queue_node*> next_in_queue{nullptr};
};

/// A call of an actor's method, or the making of its instance. Implemented in actors/.
class TROUPE_API actor_call : public invocation, public queue_node {
 public:
  void dispatch() noexcept override;
  void go_on() noexcept override;
  void assist() noexcept override;
  bool cancel(bool force, bool recursive) override;
  void stopped(bool force) noexcept override;
  actor_core* target() const noexcept { return target_; }
  /// Of a call that runs together with others of its method; null for all others.
  batch_place* place() const noexcept { return place_; }
  /// Of one that runs others; null for all others.
  virtual actor_batch* as_batch() noexcept { return nullptr; }

 protected:
  explicit actor_call(const function_info& info) noexcept : invocation(info) {}
  ~actor_call() override;
  void set_place(batch_place* place) noexcept { place_ = place; }
  /// Nobody finds its target from now on.
  void forget_target() noexcept {
    lock();
    ended_ = true;
    unlock();
  }
  bool retry(const failure_ptr& why) noexcept override;
  void ended() noexcept override;
  void put_aside() noexcept override;
  void take_up() noexcept override;

 private:
  friend class actor_batch;
  friend class local_actor;
  friend class actor_call_access;
  void start_deadline(std::chrono::nanoseconds timeout);
  /// A reference to the target for those who do not know whether the call has ended; null then.
  actor_core* hold_target() noexcept;
  actor_core* target_ = nullptr;  ///< valid until the call has ended
  batch_place* place_ = nullptr;
  actor_call* next_ = nullptr;  ///< among the actor's calls that were put aside, as `previous_`
  actor_call* previous_ = nullptr;
  std::uint64_t caller_ = 0;
  std::uint64_t deadline_timer_ = 0;
  std::atomic<std::uint64_t> retry_timer_{0};
  int life_ = 0;  ///< the actor's life in which it began
  std::uint8_t group_ = 0;
  std::atomic<bool> interrupted_{false};  ///< its actor failed while it ran, and it has retries
  bool ready_ = false;  ///< its arguments are there; guarded by the actor's lock, as the next ones
  bool held_ = false;   ///< waits in its caller's lane
  bool aside_ = false;  ///< was put aside
  bool creates_ = false;  ///< makes the instance
  bool ended_ = false;    ///< `target_` may be gone; guarded by the call's own lock
};

}  // namespace troupe::detail
