/// The runtime's side of a user's actor: mailbox, order of calls, life, death and restart.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/actor.hpp>

#include "actors/actor_core.hpp"
#include "actors/batch_queue.hpp"
#include "actors/batch_statistics.hpp"
#include "actors/mailbox.hpp"
#include "actors/running_call.hpp"
#include "core/actor_unwind.hpp"
#include "core/lazy.hpp"
#include "core/ledger.hpp"
#include "core/runtime.hpp"
#include "core/spin_lock.hpp"
#include "core/stage/job.hpp"

namespace troupe::actors {

class actor_engine;
class group_runner;
class resource_gate;
struct actor_extras;

/// Calls that share a limit of how many run at once.
struct call_group {
  mailbox fresh;              ///< calls that have not begun
  mailbox resumed;            ///< coroutines that go on
  core::spin_lock consumers;  ///< taken to pop, but by the one runner of a serial actor
  /// Of an actor with batched methods: what was taken out of `fresh`. Made by who pops.
  std::atomic<batch_queue*> batches{nullptr};
  int limit = 1;
  std::atomic<int> active{0};  ///< runners that are scheduled or run
  std::uint8_t index = 0;

  call_group() = default;
  ~call_group() { delete batches.load(); }
  call_group(const call_group&) = delete;
  call_group& operator=(const call_group&) = delete;
  /// A call that waits, batched or not.
  detail::actor_call* pop_any() noexcept;
};

}  // namespace troupe::actors

namespace troupe::detail {

/// One actor. Allocated with the room for its instance behind it.
///
/// It runs as a job of the stage: a serial actor is its own one runner; a group with a higher limit
/// has a runner for each call that runs at once. What changes the actor's life (a kill, an exit, a
/// failure, a restart) is written to `orders_`; every runner that sees an order leaves, and the
/// last one to leave carries it out alone.
///
/// Memory: `references_` counts the living actor, all handles as one, and each call. Thread-safe
/// where not said otherwise.
class local_actor final : public core::job, public actor_core {
 public:
  enum class phase : std::uint8_t { pending, alive, restarting, dead };
  static constexpr std::uint32_t order_kill = 1;    ///< end; see `ordered_exit`
  static constexpr std::uint32_t order_fail = 2;    ///< end or restart
  static constexpr std::uint32_t order_create = 4;  ///< make the instance

  static local_actor* make(actors::actor_engine& engine, const class_info& info,
                           actor_call* creation, options_ptr options);

  // -- memory and handles -------------------------------------------------------------------------
  void add_reference() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
  void release_reference() noexcept override;
  void add_handle() noexcept override { handles_.fetch_add(1, std::memory_order_relaxed); }
  void release_handle() noexcept override;
  /// A handle from nothing: for those who found the actor by name. False when it is dead.
  bool try_add_handle() noexcept;

  // -- calls --------------------------------------------------------------------------------------
  void submit(actor_call& call, options_ptr options) override;
  void dispatch(actor_call& call) noexcept override;
  void go_on(actor_call& call) noexcept override;
  void call_stopped(actor_call&) noexcept override {}
  void call_ended() noexcept override;
  void put_aside(actor_call& call) noexcept;
  bool take_up(actor_call& call) noexcept;
  /// The runner that put the call aside goes on with it at once.
  void take_back(actor_call& call) noexcept;
  /// The call that runs on this thread must not be found by `kill` any more.
  void stop_showing(actor_call& call) noexcept;
  /// Runs `call` again after a failure of its method: at once, before all others.
  void run_again(actor_call& call) noexcept;
  std::uint64_t caller_of(const actor_call& call) const noexcept { return call.caller_; }

  // -- batches ------------------------------------------------------------------------------------
  /// The call that runs these.
  actor_call* make_batch(const batch_kind& kind, std::vector<actor_call*> calls);
  /// Something of the group may go now.
  void wake_group(actors::call_group& group) noexcept;
  actors::batch_statistics& batching();

  // -- life ---------------------------------------------------------------------------------------
  void prepare_creation() noexcept;
  void start();
  /// Drops an actor that nobody has seen.
  void discard() noexcept;
  void order_end(exit_reason reason, std::string message, bool may_restart) noexcept override;
  const object_ptr& constructed() const noexcept override { return creation_object_; }
  void watch(std::shared_ptr<actors::exit_watch> watch) override;
  void link_with(actor_core& other, bool linked) override;
  bool is_dead() const noexcept override { return life() == phase::dead; }
  void keep_timer(std::weak_ptr<void> timer);

  // -- facts --------------------------------------------------------------------------------------
  std::uint64_t id() const noexcept override { return id_; }
  const class_info& info() const noexcept override { return *info_; }
  const options& given() const noexcept;
  std::string name() const override;
  std::string full_name() const override;
  phase life() const noexcept { return phase_.load(); }
  std::size_t pending() const noexcept override { return pending_.load(std::memory_order_acquire); }
  int restarts() const noexcept { return restarts_; }
  core::timers& timers() const noexcept override;
  actors::actor_engine& engine() const noexcept { return engine_; }
  std::string in_namespace() const;
  /// The ids of its GPUs; for its own code.
  std::vector<std::uint32_t> gpus() const;
  std::optional<std::uint32_t> first_gpu() const noexcept;

  // -- core::job ----------------------------------------------------------------------------------
  resume_result resume(caf::execution_unit*, std::size_t max_throughput) override;
  void intrusive_ptr_add_ref_impl() override { add_reference(); }
  void intrusive_ptr_release_impl() override { release_reference(); }

 private:
  friend class actors::actor_engine;
  friend class actors::group_runner;
  friend class actors::resource_gate;

  static constexpr std::uint32_t no_more_handles = 0x8000'0000;

  local_actor(actors::actor_engine& engine, const class_info& info, options_ptr options);
  ~local_actor() override;
  void* instance() noexcept;
  actors::actor_extras& extras();

  // runners
  void activate(actors::call_group& group) noexcept;
  void activate_all() noexcept;
  bool has_work(const actors::call_group& group) const noexcept;
  /// Whether the group is popped by the actor itself as its one runner.
  bool has_one_consumer(const actors::call_group& group) const noexcept {
    return &group == &main_ && group.limit == 1;
  }
  bool has_call_again(const actors::call_group& group) const noexcept;
  actor_call* pop(actors::call_group& group) noexcept;
  actor_call* pop_fresh(actors::call_group& group) noexcept;
  resume_result run_group(actors::call_group& group, actors::running_call& running,
                          std::size_t max_throughput) noexcept;
  void run_call(actor_call& call, actors::running_call& running) noexcept;
  void leave(actors::call_group& group) noexcept;
  actors::call_group& group_of(const actor_call& call) noexcept;
  bool is_ordered() const noexcept;

  // orders
  void give_order(std::uint32_t order) noexcept;
  void carry_out() noexcept;
  std::uint32_t create() noexcept;
  void fail_now() noexcept;
  void end_now() noexcept;
  bool may_restart() const noexcept;
  bool may_retry(const actor_call& call) const noexcept;
  void end_suspended(const std::string& why, bool restarts) noexcept;
  void end_interrupted(actor_call& call, const std::string& why, bool restarts) noexcept;
  void end_with(actor_call& call, const failure_ptr& why) noexcept;
  void fail_queued(const failure_ptr& why) noexcept;
  void retire_creation() noexcept;
  void unwound(actor_call& call) noexcept;
  failure_ptr death_failure() const;
  void check_scope() noexcept;
  void open_gate() noexcept;

  // lanes: calls of a caller behind one that waits for its arguments
  void hold(actor_call& call) noexcept;
  void flush_lane(std::uint64_t caller) noexcept;
  void enqueue(actor_call& call) noexcept;

  actors::actor_engine& engine_;
  const class_info* info_;
  options_ptr options_;
  std::uint64_t id_;
  std::atomic<std::uint32_t> references_{2};  ///< the living actor, and its handles
  std::atomic<std::uint32_t> handles_{1};
  std::atomic<std::uint32_t> pending_{0};  ///< calls that were accepted and have not ended
  std::atomic<std::uint32_t> orders_{0};
  std::atomic<std::int32_t> runners_{0};  ///< in a turn, or scheduled
  std::atomic<phase> phase_{phase::pending};
  std::atomic<bool> constructed_{false};  ///< the instance exists
  std::atomic<bool> carrying_out_{false};
  std::atomic<bool> ending_{false};        ///< ordered to end for good, when its code has left
  std::atomic<std::uint8_t> gate_{1};      ///< conditions of the creation that are not met
  std::atomic<bool> lanes_in_use_{false};  ///< exact for the caller whose lane it is
  std::atomic<bool> has_again_{false};
  mutable core::spin_lock lock_;
  int restarts_ = 0;
  std::atomic<int> suspended_{0};  ///< coroutine calls put aside
  int max_suspended_ = 0;
  actors::call_group main_;
  actors::running_call running_;
  actor_call* creation_ = nullptr;  ///< pinned until it is retired
  std::atomic<bool> creation_retired_{false};
  object_ptr creation_object_;
  actor_call* aside_ = nullptr;  ///< guarded by lock_
  core::lazy<actors::actor_extras> extras_;
  local_actor* next_ = nullptr;  ///< in the engine's list, as previous_
  local_actor* previous_ = nullptr;
};

}  // namespace troupe::detail

namespace troupe::actors {

/// The resources that an actor holds for life: asked for before its instance is made.
class resource_gate final : public core::claimant {
 public:
  resource_gate(detail::local_actor& actor, core::capacity& from, core::shape_id shape)
      : actor_(actor), from_(from), shape_(shape) {}
  void ask();
  void give_back() noexcept;
  void granted() noexcept override;

 private:
  detail::local_actor& actor_;
  core::capacity& from_;
  core::shape_id shape_;
  std::atomic<bool> has_{false};
};

/// What most actors never need.
struct actor_extras {
  struct lane {
    std::uint64_t caller = 0;
    std::deque<detail::actor_call*> calls;
  };
  std::vector<lane> lanes;  // guarded by the actor's lock, as all below
  std::vector<std::shared_ptr<exit_watch>> watches;
  std::vector<detail::actor_core*> links;  // each a reference
  std::vector<std::weak_ptr<void>> timers;
  std::vector<std::unique_ptr<call_group>> groups;
  std::deque<detail::actor_call*> again;  // to be run before all others
  exit_reason ordered_reason = exit_reason::killed;
  std::string ordered_message;
  bool ordered_restart = false;
  bool ordered = false;
  std::optional<exit_info> end;  // once dead
  std::unique_ptr<resource_gate> resources;
  std::vector<std::uint32_t>
      gpus;  // of the lease under which a node placed it; set before it starts
  running_call* running = nullptr;  // those of group runners, linked
  core::lazy<batch_statistics> batching;
};

}  // namespace troupe::actors
