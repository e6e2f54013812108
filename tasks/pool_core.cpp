#include <troupe/detail/pool_core.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include <troupe/async.hpp>
#include <troupe/error.hpp>
#include <troupe/task.hpp>

#include "actors/nobodys_child.hpp"
#include "actors/pool_failures.hpp"
#include "actors/pool_state.hpp"
#include "core/runtime.hpp"

namespace troupe::detail {

namespace {

using actors::fail_object;
using actors::failure_of;
using actors::longest_batch_wait;
using actors::nobodys_child;
using actors::pool_state;
using clock = std::chrono::steady_clock;

object_ptr new_grant() { return object_ptr::adopt(new value_object<void>); }

/// Carries out what pool_state decides. Effects are taken under the lock and carried out without.
class pool final : public pool_core, public std::enable_shared_from_this<pool> {
 public:
  pool(const pool_settings& settings, actor_factory factory)
      : name_(settings.name),
        max_pending_(settings.max_pending),
        factory_(std::move(factory)),
        state_({.max_in_flight = settings.max_in_flight,
                .max_pending = settings.max_pending,
                .max_attempts = settings.max_attempts,
                .max_replacements = settings.max_replacements}) {
    lanes_.push_back({nullptr, {}});
    state_.add_lane({});
  }
  ~pool() override {
    const failure_ptr why =
        failure_of<task_cancelled_error>("the " + name_ + " ended before this call was made");
    for (auto& [id, item] : items_) fail_object(*item.object, why);
  }

  // -- single calls -------------------------------------------------------------------------------

  std::uint64_t enter() override { return add(0, new_grant()); }

  object_ptr granted(std::uint64_t item) override {
    const std::lock_guard guard(mutex_);
    return items_.at(item).object;
  }
  actor_core_ptr member_of(std::uint64_t item) override {
    const std::lock_guard guard(mutex_);
    return items_.at(item).member;
  }

  void interrupted(std::uint64_t item, interruption how, failure_ptr why,
                   bool resend) noexcept override {
    {
      std::unique_lock lock(mutex_);
      entry& call = items_.at(item);
      call.object = new_grant();
      state_.interrupted(std::exchange(call.batch, 0), how == interruption::died, resend,
                         clock::now());
      note_effects(why);
    }
    act();
  }

  void leave(std::uint64_t item) noexcept override {
    {
      std::unique_lock lock(mutex_);
      const auto found = items_.find(item);
      if (found == items_.end()) return;
      if (found->second.batch != 0) {
        state_.finished(found->second.batch, clock::now());
      } else {
        state_.withdraw(item);
      }
      items_.erase(found);
      note_effects(nullptr);
    }
    act();
  }

  // -- batches ------------------------------------------------------------------------------------

  void enter_batch(send_function send, const batch_options& how, object_ptr item) override {
    add(lane_of(send, how), std::move(item));
  }

  void batch_finished(std::uint64_t batch,
                      const std::vector<std::uint64_t>& ids) noexcept override {
    {
      std::unique_lock lock(mutex_);
      const clock::time_point now = clock::now();
      for (const std::uint64_t id : ids) {
        const auto found = items_.find(id);
        if (found == items_.end()) continue;
        latencies_.add(static_cast<std::uint64_t>((now - found->second.since).count()));
        items_.erase(found);
      }
      state_.finished(batch, now);
      note_effects(nullptr);
    }
    act();
  }

  void batch_interrupted(std::uint64_t batch, interruption how, failure_ptr why,
                         bool resend) noexcept override {
    {
      std::unique_lock lock(mutex_);
      state_.interrupted(batch, how == interruption::died, resend, clock::now());
      note_effects(why);
    }
    act();
  }

  // -- members ------------------------------------------------------------------------------------

  bool has_room() const override {
    const std::lock_guard guard(mutex_);
    return !state_.would_refuse();
  }
  bool has_free() const override {
    const std::lock_guard guard(mutex_);
    return state_.has_free();
  }

  void push(actor_core_ptr member) override {
    std::uint64_t id = 0;
    {
      std::unique_lock lock(mutex_);
      for (const auto& [known, one] : members_) {
        if (one.actor == member) {
          throw std::invalid_argument("push: actor '" + name_of(member) + "' is in the " + name_ +
                                      " already");
        }
      }
      id = state_.add_member();
      members_.emplace(id, member_entry{member, {}});
    }
    welcome(id, member);
  }

  actor_core_ptr pop_idle() override {
    monitor ended;
    const std::lock_guard guard(mutex_);
    const auto id = state_.take_idle();
    if (!id) return {};
    const auto found = members_.find(*id);
    actor_core_ptr actor = std::move(found->second.actor);
    ended = std::move(found->second.watch);
    members_.erase(found);
    ended.cancel();
    return actor;
  }

  pool_stats stats() const override {
    const std::lock_guard guard(mutex_);
    return {.members = state_.members(),
            .waiting = state_.waiting(),
            .running = state_.running(),
            .replaced = state_.replaced(),
            .batch_sizes = batch_sizes_,
            .latencies = latencies_};
  }

 private:
  struct entry {
    object_ptr object;  ///< the grant of a single call, the result of a batched input
    bool single = false;
    clock::time_point since{};
    std::uint64_t batch = 0;  ///< of a single call that has a member
    actor_core_ptr member;
  };
  struct member_entry {
    actor_core_ptr actor;
    monitor watch;
  };
  struct lane {
    send_function send;
    batch_options how;
  };
  struct due_effect {
    pool_state::effect what;
    failure_ptr cause;
  };

  pool_state::lane_id lane_of(send_function send, const batch_options& how) {
    const std::lock_guard guard(mutex_);
    for (std::size_t i = 1; i < lanes_.size(); ++i) {
      if (lanes_[i].send == send && lanes_[i].how == how)
        return static_cast<pool_state::lane_id>(i);
    }
    lanes_.push_back({send, how});
    return state_.add_lane({how.max_batch_size, how.max_wait});
  }

  std::uint64_t add(pool_state::lane_id into, object_ptr object) {
    std::uint64_t item = 0;
    {
      std::unique_lock lock(mutex_);
      if (const auto refusal = state_.would_refuse()) refuse(*refusal);
      const clock::time_point now = clock::now();
      item = state_.submit(into, now);
      items_.emplace(item, entry{std::move(object), into == 0, now, 0, {}});
      note_effects(nullptr);
    }
    act();
    return item;
  }

  [[noreturn]] void refuse(pool_state::refusal why) const {
    if (why == pool_state::refusal::no_members) throw actor_died_error(no_members());
    throw pending_calls_limit_error("the " + name_ + " has " + std::to_string(max_pending_) +
                                    " calls waiting, its bound (max_pending): take results before "
                                    "you submit more, or raise the bound");
  }
  std::string no_members() const {
    return "the " + name_ + " has no members left and gets no further ones: " + last_end_;
  }

  // Under the lock. Effects of all threads go through one queue, and whoever finds it unattended
  // carries them out: a chain of effects needs no stack.
  void note_effects(const failure_ptr& cause) {
    for (auto& effect : state_.take_effects()) due_.push_back({std::move(effect), cause});
  }

  void act() noexcept {
    const std::shared_ptr<pool> self = weak_from_this().lock();
    std::shared_ptr<pool> kept;
    std::unique_lock lock(mutex_);
    if (acting_) return;
    acting_ = true;
    const nobodys_child independent;
    while (!due_.empty()) {
      std::vector<due_effect> now = std::exchange(due_, {});
      for (due_effect& one : now) {
        std::visit([&](auto& what) { carry_out(what, one.cause, lock); }, one.what);
      }
    }
    acting_ = false;
    // Inputs that wait for a member keep their pool.
    kept = std::exchange(keep_, state_.waiting() > 0 && state_.members() > 0 ? self : nullptr);
  }

  void carry_out(pool_state::send_batch& call, const failure_ptr&,
                 std::unique_lock<std::mutex>& lock) {
    const auto found = members_.find(call.member);
    // A member that was taken out or ended between decision and deed counts as dead under the call.
    const actor_core_ptr member = found != members_.end() ? found->second.actor : actor_core_ptr();
    if (call.lane == 0) {
      const auto waiting = items_.find(call.items.front());
      if (waiting == items_.end()) {  // it left between decision and deed
        state_.finished(call.batch, clock::now());
        return note_effects(nullptr);
      }
      if (!member) return give_back(call);
      waiting->second.batch = call.batch;
      waiting->second.member = member;
      const object_ptr grant = waiting->second.object;
      lock.unlock();
      static_cast<value_object<void>*>(grant.get())->set();
      lock.lock();
      return;
    }
    if (!member) return give_back(call);
    std::vector<object_ptr> objects;
    objects.reserve(call.items.size());
    for (const std::uint64_t id : call.items) {
      objects.push_back(items_.at(id).object);
    }
    batch_sizes_.add(objects.size());
    const send_function send = lanes_[call.lane].send;
    lock.unlock();
    try {
      send(pool_batch(shared_from_this(), call.batch, member, call.items, std::move(objects)));
    } catch (...) {
      // The batch was dropped on the way and has failed its items.
    }
    lock.lock();
  }

  void give_back(pool_state::send_batch& call) {
    state_.interrupted(call.batch, true, true, clock::now());
    note_effects(failure_of<actor_died_error>("members of the " + name_ +
                                              " ended before they got the call: " + last_end_));
  }

  void carry_out(pool_state::start_member& order, const failure_ptr&,
                 std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    actor_core_ptr actor;
    std::string why;
    try {
      actor = factory_();
    } catch (const std::exception& e) {
      why = e.what();
    } catch (...) {
      why = "it threw what is no std::exception";
    }
    lock.lock();
    if (!actor) {
      last_end_ = "a further one could not be started: " + why;
      state_.member_start_failed(order.member);
      return note_effects(nullptr);
    }
    members_.emplace(order.member, member_entry{actor, {}});
    lock.unlock();
    welcome(order.member, actor);
    lock.lock();
  }

  void carry_out(pool_state::fail_item& order, const failure_ptr& cause,
                 std::unique_lock<std::mutex>& lock) {
    const auto found = items_.find(order.item);
    if (found == items_.end()) return;
    object_ptr object = found->second.object;
    if (!found->second.single) items_.erase(found);  // a single call's place stays until it leaves
    const failure_ptr why = order.why == pool_state::failing::interrupted
                                ? cause
                                : failure_of<actor_died_error>(no_members());
    lock.unlock();
    fail_object(*object, why);
    object = {};
    lock.lock();
  }

  /// Ticks when it runs, and fails what waits when it never will: the runtime ends.
  struct alarm {
    std::shared_ptr<pool> owner;
    explicit alarm(std::shared_ptr<pool> pool) : owner(std::move(pool)) {}
    alarm(alarm&&) noexcept = default;
    alarm& operator=(alarm&&) = delete;
    ~alarm() {
      if (owner) owner->tick(clock::now() + longest_batch_wait);
    }
    void operator()() { std::exchange(owner, nullptr)->tick(clock::now()); }
  };

  void carry_out(pool_state::wake_at& order, const failure_ptr&,
                 std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    alarm wake(shared_from_this());
    try {
      after(std::max<clock::duration>(order.time - clock::now(), clock::duration::zero()))
          .then(std::move(wake));
    } catch (...) {
      // No timers: the runtime ends, and the alarm that is dropped lets nothing wait for it.
    }
    lock.lock();
  }

  void tick(clock::time_point now) noexcept {
    {
      std::unique_lock lock(mutex_);
      state_.tick(now);
      note_effects(nullptr);
    }
    act();
  }

  /// Tells that a member is there, and that it never will be when the runtime ends before.
  struct arrival {
    std::weak_ptr<pool> owner;
    std::uint64_t member;
    arrival(std::weak_ptr<pool> pool, std::uint64_t id) : owner(std::move(pool)), member(id) {}
    arrival(arrival&&) noexcept = default;
    arrival& operator=(arrival&&) = delete;
    ~arrival() {
      const core::runtime* const runtime = core::find_runtime();
      if (runtime != nullptr && !runtime->closing.load()) return;
      if (const auto self = owner.lock()) self->member_lost(member);
    }
    void operator()() {
      if (const auto self = std::exchange(owner, {}).lock()) self->member_started(member);
    }
  };

  /// Hears of the start and of the end of a member. It gets calls once its constructor has run: one
  /// that still loads its model, or waits for resources that never come, holds up nobody.
  void welcome(std::uint64_t id, const actor_core_ptr& actor) {
    const nobodys_child independent;
    monitor ended;
    try {
      ended = monitor(watch_actor(actor, [weak = weak_from_this(), id](const exit_info& end) {
        if (const auto self = weak.lock()) self->member_ended(id, end);
      }));
      const object_ref<void> constructed(when_constructed(actor));
      if (constructed.ready()) {
        if (!constructed.failed()) member_started(id);
      } else {
        // Its failure is told by the end of the actor.
        constructed.then(arrival(weak_from_this(), id)).state().note_asked();
      }
    } catch (...) {
      return;  // the runtime ends
    }
    const std::lock_guard guard(mutex_);
    const auto found = members_.find(id);
    if (found != members_.end()) {
      found->second.watch = std::move(ended);
    } else {
      ended.cancel();
    }
  }

  void member_started(std::uint64_t id) noexcept {
    {
      std::unique_lock lock(mutex_);
      state_.member_started(id, clock::now());
      note_effects(nullptr);
    }
    act();
  }

  void member_lost(std::uint64_t id) noexcept {
    {
      std::unique_lock lock(mutex_);
      last_end_ = "the runtime has ended";
      state_.member_ended(id, false, false);
      note_effects(nullptr);
    }
    act();
  }

  void member_ended(std::uint64_t id, const exit_info& end) noexcept {
    actor_core_ptr last_handle;
    {
      std::unique_lock lock(mutex_);
      const auto found = members_.find(id);
      if (found == members_.end()) return;
      last_end_ = end.message;
      last_handle = std::move(found->second.actor);
      members_.erase(found);
      state_.member_ended(id, end.reason == exit_reason::constructor_threw,
                          factory_ && end.reason != exit_reason::shutdown);
      note_effects(nullptr);
    }
    act();
  }

  const std::string name_;
  const std::size_t max_pending_;
  const actor_factory factory_;
  mutable std::mutex mutex_;
  pool_state state_;  // guarded by mutex_, as all below
  std::vector<lane> lanes_;
  std::unordered_map<std::uint64_t, entry> items_;
  histogram batch_sizes_;
  histogram latencies_;
  std::unordered_map<std::uint64_t, member_entry> members_;
  std::vector<due_effect> due_;
  bool acting_ = false;
  std::shared_ptr<pool> keep_;
  std::string last_end_ = "it was made without any";
};

void check(const pool_settings& settings) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument(settings.name + ": " + what);
  };
  if (settings.max_in_flight == 0) refuse("max_in_flight is 0; a member takes at least one call");
  if (settings.max_attempts < 1) {
    refuse("max_attempts is " + std::to_string(settings.max_attempts) + "; it must be at least 1");
  }
  if (settings.max_replacements < -1) {
    refuse("max_replacements is " + std::to_string(settings.max_replacements) +
           "; it must be -1 (no bound), 0, or more");
  }
}

}  // namespace

// -- pool_core ------------------------------------------------------------------------------------

pool_ptr pool_core::make(const pool_settings& settings, std::vector<actor_core_ptr> members) {
  check(settings);
  auto made = std::make_shared<pool>(settings, nullptr);
  for (actor_core_ptr& member : members) {
    if (!member) throw std::invalid_argument(settings.name + ": a handle of a member is empty");
    made->push(std::move(member));
  }
  return made;
}

pool_ptr pool_core::make(const pool_settings& settings, std::size_t size, actor_factory factory) {
  check(settings);
  if (size == 0) throw std::invalid_argument(settings.name + ": a pool has at least one member");
  auto made = std::make_shared<pool>(settings, factory);
  const nobodys_child independent;
  for (std::size_t i = 0; i < size; ++i) made->push(factory());
  return made;
}

}  // namespace troupe::detail
