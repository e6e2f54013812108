/// Stands for an actor of the cluster in a process that holds handles to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/actor_core.hpp"
#include "net/actor_handle_state.hpp"
#include "net/object_sharing.hpp"
#include "net/process.hpp"

namespace troupe::net {

class actor_directory;

/// Sends calls to the process that hosts the actor, in their order for each caller; keeps them
/// while it is not known where that is. Thread-safe.
///
/// Memory: a reference for all handles together, and one for all calls that have not ended. Without
/// either it leaves the directory and tells the owner.
class remote_actor final : public detail::actor_core {
 public:
  remote_actor(process& here, actor_directory& directory, global_id id,
               const detail::class_info& info, std::string name);

  void add_reference() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
  void release_reference() noexcept override;
  void add_handle() noexcept override { handles_.fetch_add(1, std::memory_order_relaxed); }
  void release_handle() noexcept override;
  /// A handle from nothing. False when the last one has gone.
  bool try_add_handle() noexcept;

  void submit(detail::actor_call& call, detail::options_ptr options) override;
  void dispatch(detail::actor_call& call) noexcept override;
  void go_on(detail::actor_call&) noexcept override {}
  void call_stopped(detail::actor_call& call) noexcept override;
  void call_ended() noexcept override;
  std::size_t pending() const noexcept override { return pending_.load(); }

  void order_end(exit_reason reason, std::string message, bool may_restart) noexcept override;
  const detail::object_ptr& constructed() const noexcept override { return constructed_; }
  void watch(std::shared_ptr<actors::exit_watch> watch) override;
  void link_with(detail::actor_core& other, bool linked) override;
  bool is_dead() const noexcept override;

  std::uint64_t id() const noexcept override { return public_id(id_); }
  std::string name() const override;
  std::string full_name() const override;
  const detail::class_info& info() const noexcept override { return info_; }
  core::timers& timers() const noexcept override { return *here_.runtime().the_timers; }

  global_id where() const noexcept { return id_; }
  /// An actor's id as `actor_handle::id` gives it.
  static std::uint64_t public_id(global_id id) noexcept;

  // By the directory, on the endpoint's thread.
  void moved(const actor_at& to);
  void owner_gone(const std::string& cause);
  void owner_renewed();
  bool answered(std::uint64_t call, process_id from, const call_done& what, const message& carrier);
  void item(std::uint64_t call, process_id from, const stream_item& what, const message& carrier);
  /// All calls end: this process leaves the cluster.
  void abandon(const std::string& why) noexcept;
  /// The call that makes the instance: `when_ready` is called when its arguments are there. Set
  /// before they are connected.
  void expect(detail::actor_call& creation, std::function<void()> when_ready);

 private:
  friend class actor_directory;
  ~remote_actor() = default;

  /// A call on its way; by the order of its submission.
  struct entry {
    detail::actor_call* call = nullptr;
    std::uint64_t caller = 0;
    bool ready = false;
  };
  struct sent_entry {
    entry what;
    std::uint64_t place = 0;
  };

  void wait_for_room();
  void flush() noexcept;
  bool send(const entry& one);
  std::uint64_t caller_now() const noexcept;
  bool may_retry(const detail::actor_call& call) const;
  void wait_again(const sent_entry& one);
  void consumed(std::uint64_t call, std::size_t read, bool abandoned);
  void over(exit_reason reason, const std::string& text);

  process& here_;
  actor_directory& directory_;
  const global_id id_;
  const detail::class_info& info_;
  const std::string name_;
  detail::object_ptr constructed_;
  std::atomic<std::uint32_t> references_{1};
  std::atomic<std::uint32_t> handles_{1};
  std::atomic<std::uint32_t> pending_{0};

  mutable std::mutex mutex_;
  actor_handle_state state_;  // guarded by mutex_, as below
  std::int32_t max_task_retries_ = 0;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, entry> waiting_;                   // by the order of submission
  std::unordered_map<std::uint64_t, std::uint64_t> places_;  // by call: where it waits
  std::unordered_map<std::uint64_t, sent_entry> sent_;       // by call
  std::vector<std::shared_ptr<actors::exit_watch>> watches_;
  std::vector<detail::actor_core*> links_;  // each a reference
  exit_info end_;
  detail::actor_call* creation_ = nullptr;
  std::function<void()> creation_ready_;
};

/// All actors of the cluster that this process holds handles to. Thread-safe.
class actor_directory {
 public:
  actor_directory(process& here, object_sharing& sharing) : here_(here), sharing_(sharing) {}

  /// A handle to the actor. `counted`: the owner was told of it already.
  detail::actor_core_ptr handle(global_id actor, const detail::class_info& info, std::string name,
                                bool counted);
  void on(process_id from, const actor_at& what);
  void on(process_id from, const call_done& what, const message& carrier);
  void on_item(process_id from, const stream_item& what, const message& carrier);
  void process_gone(process_id gone, const std::string& cause);
  /// The owner, the head, has begun another life: it does not know who holds handles here.
  void owner_renewed(process_id owner);
  void abandon_all(const std::string& why) noexcept;
  /// Ends an actor that this process owns, before further calls of it are sent. Set once.
  std::function<void(std::uint64_t, exit_reason, const std::string&, bool)> kill_owned;

 private:
  friend class remote_actor;
  struct known {
    remote_actor* actor = nullptr;
    std::int32_t count = 0;
  };
  void gone(remote_actor& actor) noexcept;
  void sent(std::uint64_t call, remote_actor& by);
  void forget(std::uint64_t call);
  remote_actor* find(global_id id);

  process& here_;
  object_sharing& sharing_;
  std::mutex mutex_;
  std::unordered_map<global_id, known> actors_;                 // guarded by mutex_, as below
  std::unordered_map<std::uint64_t, remote_actor*> in_flight_;  // by call; each a reference
};

}  // namespace troupe::net

namespace troupe::detail {

/// Opens a call's private fields to those who send it elsewhere.
class actor_call_access {
 public:
  static void aim(actor_call& call, actor_core& target, options_ptr options) {
    call.target_ = &target;
    call.set_options(std::move(options));
    call.adopt_parent();
  }
  static void mark_creation(actor_call& creation) {
    creation.creates_ = true;
    creation.set_keep_arguments(true);
  }
  static void aim_creation(actor_call& creation, actor_core& target) { creation.target_ = &target; }
  static void set_caller(actor_call& call, std::uint64_t caller) { call.caller_ = caller; }
  static void start_deadline(actor_call& call, std::chrono::nanoseconds timeout) {
    call.start_deadline(timeout);
  }
};

}  // namespace troupe::detail
