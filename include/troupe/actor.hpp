/// Actors: instances of a user's class with a mailbox; handles, names, life and death.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <troupe/batching.hpp>
#include <troupe/detail/actor_api.hpp>
#include <troupe/detail/batch_call.hpp>
#include <troupe/detail/invoke.hpp>
#include <troupe/detail/stored_options.hpp>
#include <troupe/options.hpp>
#include <troupe/task.hpp>

namespace troupe {

/// Names an actor of this process for ever: it is never given to another one.
struct actor_id {
  std::uint64_t value = 0;
  auto operator<=>(const actor_id&) const = default;
};

/// Why an actor ended.
enum class exit_reason : std::uint8_t {
  out_of_scope,       ///< its last handle went, and its calls were done
  exited,             ///< it called `this_actor::exit()`
  killed,             ///< `kill(handle)`
  constructor_threw,  ///< its constructor threw
  failed,             ///< `this_actor::fail()`, with no restart left
  linked,             ///< an actor that it was linked to died abnormally
  shutdown,           ///< the runtime ended
};

/// Whether others should worry: false for the ends that an actor chose or that nobody missed.
constexpr bool is_abnormal(exit_reason reason) noexcept {
  return reason != exit_reason::out_of_scope && reason != exit_reason::exited &&
         reason != exit_reason::shutdown;
}

struct exit_info {
  actor_id id;
  std::string name;  ///< its registered name, or that of its class
  exit_reason reason{};
  std::string message;  ///< one sentence: what happened
};

template <class T>
class actor_handle;

namespace detail {

TROUPE_API std::vector<batch_stats> batch_stats_of_current_actor();

/// Asks an actor of class `T` for what it knows of its batches.
template <class T>
struct batch_stats_target {
  using result = std::vector<batch_stats>;
  using sig = signature<result, T>;
  using params = typename sig::params;
  static constexpr std::string_view name = "batch_stats";
  template <class Base, class Slots>
  using reader = call_reader<Base, batch_stats_target>;

  template <class Slots>
  static result call(void*, Slots&, invocation&, bool) {
    return batch_stats_of_current_actor();
  }
};

/// A call under construction, with options: `handle.with({...}).remote<&C::m>(...)`.
template <class T>
class bound_call {
 public:
  bound_call(const actor_core_ptr& actor, options_ptr options)
      : actor_(actor), options_(std::move(options)) {}

  template <auto M, class... A>
  auto remote(A&&... args) const {
    return submit_method<M, T>(actor_, options_, std::forward<A>(args)...);
  }
  template <auto M, class... A>
  auto remote_each(A&&... args) const {
    return split(submit_method<M, T>(actor_, options_, std::forward<A>(args)...));
  }

 private:
  actor_core_ptr actor_;
  options_ptr options_;
};

}  // namespace detail

/// A handle to an actor whose class is `T`. A value: copy it, pass it to tasks and actors, keep it
/// in containers. When the last handle goes, the actor ends after the calls that were already sent,
/// unless its lifetime is detached. Thread-safe as a `shared_ptr`: copies are independent.
template <class T>
class actor_handle {
 public:
  using actor_type = T;

  /// An empty handle. Calling through it is a `std::invalid_argument`.
  actor_handle() noexcept = default;

  /// Calls a method: `handle.remote<&counter::increment>(5)`. Returns a ref to its result at once.
  /// Calls of one caller run in the order in which they were made, one at a time. `M` may be const,
  /// noexcept, inherited, or an overload chosen by a cast.
  ///
  /// A dead actor's calls fail with `actor_died_error` in the ref, not here.
  /// @throws pending_calls_limit_error when `max_pending_calls` are waiting.
  template <auto M, class... A>
  auto remote(A&&... args) const {
    return detail::submit_method<M, T>(core_, nullptr, std::forward<A>(args)...);
  }
  /// As `remote`, for a method that returns a `std::tuple`: a ref for each element.
  template <auto M, class... A>
  auto remote_each(A&&... args) const {
    return detail::split(detail::submit_method<M, T>(core_, nullptr, std::forward<A>(args)...));
  }
  /// Options for the next call: name, timeout, concurrency_group, max_task_retries, ...
  detail::bound_call<T> with(const options& call_options) const {
    detail::check_options_of_call(call_options);
    return {core_, detail::stored_options::make(call_options)};
  }

  /// Ready when the constructor has run; fails with its exception's cause when it threw.
  object_ref<void> ready() const { return object_ref<void>(detail::when_constructed(core_)); }
  actor_id id() const { return actor_id{detail::id_of(core_)}; }
  /// Its registered name, or that of its class.
  std::string name() const { return detail::name_of(core_); }
  /// False once it has ended for good.
  bool alive() const { return detail::is_alive(core_); }
  /// How the actor's batches went, by method. Asked for by a call, in order with the others.
  object_ref<std::vector<batch_stats>> batches() const {
    return detail::submit_target<detail::batch_stats_target<T>>(core_, nullptr);
  }
  /// Calls that wait or run now.
  std::size_t pending_calls() const { return detail::pending_calls(core_); }

  explicit operator bool() const noexcept { return static_cast<bool>(core_); }
  friend bool operator==(const actor_handle&, const actor_handle&) noexcept = default;

  const detail::actor_core_ptr& core() const noexcept { return core_; }
  explicit actor_handle(detail::actor_core_ptr core) noexcept : core_(std::move(core)) {}
  /// How a handle crosses a process: it refers to the same actor there.
  template <class Archive>
  void save(Archive& archive) const {
    detail::save_handle(archive, core_);
  }
  template <class Archive>
  void load(Archive& archive) {
    core_ = detail::load_handle(archive, detail::class_info_of<T>);
  }

 private:
  detail::actor_core_ptr core_;
};

template <class T>
inline constexpr bool detail::archivable_v<actor_handle<T>> = true;

/// Starts an actor: `remote<counter>(10)`. Its constructor runs in the actor, with these arguments
/// (an `object_ref<U>` may stand where a `U` is expected); what it throws reaches every call as
/// `actor_died_error`. Returns at once.
template <class Class, class... A>
requires std::is_class_v<Class> actor_handle<Class> remote(A&&... args) {
  return actor_handle<Class>(detail::start_actor<Class>(nullptr, std::forward<A>(args)...));
}

/// Options bound to what is called next; see `with`. A value.
class bound_options {
 public:
  explicit bound_options(detail::options_ptr stored) : stored_(std::move(stored)) {}

  template <auto F, class... A>
  auto remote(A&&... args) const {
    detail::check_options_of_task(stored_->get());
    return detail::submit_task<F>(stored_, std::forward<A>(args)...);
  }
  template <auto F, class... A>
  auto remote_each(A&&... args) const {
    return detail::split(remote<F>(std::forward<A>(args)...));
  }
  template <class Class, class... A>
  requires std::is_class_v<Class> actor_handle<Class> remote(A&&... args)
  const {
    detail::check_options_of_actor(stored_->get());
    return actor_handle<Class>(detail::start_actor<Class>(stored_, std::forward<A>(args)...));
  }

 private:
  detail::options_ptr stored_;
};

/// Options for tasks and actors: `with({.num_cpus = 2, .max_retries = 3}).remote<solve>(x)`. Keep
/// the result to use it many times: what it says is resolved once.
/// @throws std::invalid_argument that names an option whose value is out of its range.
inline bound_options with(const options& given) {
  return bound_options(detail::stored_options::make(given));
}

/// Names methods that other programs of a cluster call on actors of this one, though this one
/// itself does not: `const troupe::exports<&chef::cook, &chef::taste> chef_methods;` at namespace
/// scope. A method that a program calls anywhere needs no such word in that program.
template <auto... M>
class exports {
 public:
  exports() noexcept
      : keys_{detail::registration<detail::call_reader<
            detail::actor_call, detail::method_target<M, detail::class_of<M>>>>::key...} {}

 private:
  std::uint64_t keys_[sizeof...(M)];
};

/// The actor that was started with this name. `in_namespace` is the session's when empty.
/// @throws actor_name_error when there is none, or it is of another class.
template <class T>
actor_handle<T> get_actor(std::string_view name, std::string_view in_namespace = {}) {
  return actor_handle<T>(detail::find_actor(name, in_namespace, detail::class_info_of<T>));
}

struct actor_summary {
  actor_id id;
  std::string class_name;
  std::string name;  ///< empty when it has none
  std::string in_namespace;
  std::string state;  ///< "pending", "alive", "restarting"
  std::size_t pending_calls = 0;
  int restarts = 0;
};

/// Every living actor of the process, in the order of their ids.
TROUPE_API std::vector<actor_summary> list_actors();

struct kill_options {
  /// Use up no restart: the actor ends for good. False: it counts as a failure and may restart.
  bool no_restart = true;
};

/// Ends an actor now: what is queued fails with `actor_died_error`; a method that runs gets a stop
/// request and its caller the error at once.
template <class T>
void kill(const actor_handle<T>& actor, const kill_options& how = {}) {
  detail::kill_actor(actor.core(), how.no_restart);
}

/// Ends a watch before it fires. Dropping the monitor does not.
class TROUPE_API monitor {
 public:
  monitor() = default;
  explicit monitor(std::shared_ptr<void> watch) : watch_(std::move(watch)) {}
  void cancel() noexcept;

 private:
  std::shared_ptr<void> watch_;
};

namespace detail {

TROUPE_API std::shared_ptr<void> watch_actor(const actor_core_ptr& actor,
                                             std::function<void(const exit_info&)> f);
TROUPE_API void link_actors(const actor_core_ptr& a, const actor_core_ptr& b, bool linked);

}  // namespace detail

/// Calls `f(exit_info)` once when the actor has ended for good; at once when it already has. Inside
/// an actor `f` runs as a message of that actor, elsewhere as a task. `f` must not block for long.
template <class T>
monitor on_exit(const actor_handle<T>& actor, std::function<void(const exit_info&)> f) {
  return monitor(detail::watch_actor(actor.core(), std::move(f)));
}

/// Ties two actors: when one ends abnormally, so does the other. Erlang's links.
template <class A, class B>
void link(const actor_handle<A>& a, const actor_handle<B>& b) {
  detail::link_actors(a.core(), b.core(), true);
}
template <class A, class B>
void unlink(const actor_handle<A>& a, const actor_handle<B>& b) {
  detail::link_actors(a.core(), b.core(), false);
}

/// A call that an actor makes to itself later. Dropping it does not cancel it; it ends with the
/// actor.
class TROUPE_API timer {
 public:
  timer() = default;
  explicit timer(std::shared_ptr<void> state) : state_(std::move(state)) {}
  /// No further calls. One that is queued already still runs.
  void cancel() noexcept;

 private:
  std::shared_ptr<void> state_;
};

/// About the actor whose method runs on this thread. All throw `std::logic_error` outside of one.
namespace this_actor {

/// Whether this thread runs an actor's method or constructor. Never throws.
TROUPE_API bool running() noexcept;
TROUPE_API actor_id id();
TROUPE_API std::string name();
/// A handle to the actor itself. An actor that keeps one never goes out of scope.
template <class T>
actor_handle<T> handle() {
  return actor_handle<T>(detail::current_actor(detail::class_info_of<T>));
}
/// How often it was restarted: 0 in its first life.
TROUPE_API int restarts();
/// Ends the actor after this method: its caller and all queued calls get `actor_died_error`.
[[noreturn]] TROUPE_API void exit();
/// Ends the actor as a crash would: it restarts if it may. For tests and broken invariants.
[[noreturn]] TROUPE_API void fail(std::string_view why = "this_actor::fail()");

/// Calls a method of this actor after `delay`. Its timers do not keep an actor alive. For an
/// inherited method name the actor's class, too: `send_later<&base::tick, derived>(1s)`.
template <auto M, class Class = detail::class_of<M>, class... A>
timer send_later(std::chrono::nanoseconds delay, A... args) {
  return timer(
      detail::start_timer<M, Class>(delay, std::chrono::nanoseconds(0), std::move(args)...));
}
/// Calls it every `period`, first after one. A call that is still queued is not doubled.
template <auto M, class Class = detail::class_of<M>, class... A>
timer send_every(std::chrono::nanoseconds period, A... args) {
  return timer(detail::start_timer<M, Class>(period, period, std::move(args)...));
}

}  // namespace this_actor

}  // namespace troupe

template <class T>
struct std::hash<troupe::actor_handle<T>> {
  std::size_t operator()(const troupe::actor_handle<T>& handle) const noexcept {
    return std::hash<const void*>{}(handle.core().get());
  }
};
template <>
struct std::hash<troupe::actor_id> {
  std::size_t operator()(troupe::actor_id id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
