/// A pool that is an actor itself: named, shared by many callers, found from everywhere.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/detail/pool_batching.hpp>
#include <troupe/detail/pool_call.hpp>
#include <troupe/pool_options.hpp>

namespace troupe {

namespace detail {

/// The actor behind a `shared_pool<T>`. Its calls are coroutines that wait for a member and for its
/// result.
template <class T>
class pool_actor {
 public:
  template <class... Kept>
  pool_actor(const pool_settings& settings, std::size_t size, const member_plan<T, Kept...>& plan)
      : pool_(pool_core::make(settings, size, plan)) {}
  pool_actor(const pool_settings& settings, const std::vector<actor_handle<T>>& members)
      : pool_(pool_core::make(settings, cores_of(members))) {}

  template <auto M, class Kept>
  auto call(Kept kept) {
    return pool_call<M, T, Kept>(pool_place(pool_), std::move(kept));
  }
  template <auto M>
  auto batch(typename batch_method<M, T>::input input, const batch_options& how) {
    return pooled_input<M, T>(pool_link{pool_}, std::move(input), how);
  }
  void push(const actor_handle<T>& member) { pool_->push(member.core()); }
  std::optional<actor_handle<T>> pop_idle() {
    actor_core_ptr member = pool_->pop_idle();
    if (!member) return std::nullopt;
    return actor_handle<T>(std::move(member));
  }
  pool_stats stats() const { return pool_->stats(); }

 private:
  pool_ptr pool_;
};

/// Options of the actor of a pool: as many of its calls are suspended as the pool lets wait and
/// run.
inline options pool_actor_options(const pool_options& from, std::size_t in_flight) {
  constexpr std::size_t most = 16'000'000;
  const std::size_t calls = std::min(most, from.max_pending + std::min(most, in_flight) + 64);
  return {.name = from.name,
          .in_namespace = from.in_namespace,
          .lifetime = from.lifetime,
          .get_if_exists = from.get_if_exists,
          .max_concurrency = static_cast<int>(calls),
          .groups = {{pool_call_group, 1}}};
}

}  // namespace detail

/// Sends inputs one by one; members get them in batches. A value, as the pool's handle.
template <auto M, class T>
class shared_batcher {
  using method = detail::batch_method<M, T>;

 public:
  shared_batcher(actor_handle<detail::pool_actor<T>> pool, const batch_options& how)
      : pool_(std::move(pool)), how_(how) {}

  /// A ref to the result of this one input.
  template <class In>
  object_ref<typename method::output> remote(In&& input) const {
    using actor = detail::pool_actor<T>;
    return detail::submit_method<&actor::template batch<M>, actor>(
        pool_.core(), detail::pool_call_options<M>(), std::forward<In>(input), how_);
  }

 private:
  actor_handle<detail::pool_actor<T>> pool_;
  batch_options how_;
};

/// A handle to a pool of actors of class `T` that is an actor of its own. A value, thread-safe as
/// an `actor_handle`: copy it, pass it to tasks and actors. When the last handle goes the pool ends
/// after the calls already sent, and its members with it, unless its lifetime is detached.
///
/// Each call goes to the member that has the fewest; the pool's calls run in no particular order.
/// When a member dies it is replaced, and the calls that it had are sent to others, so a call may
/// run more than once; `pool_options` has the bounds. What a method throws is its result.
template <class T>
class shared_pool {
 public:
  /// An empty handle. Calling through it is a `std::invalid_argument`.
  shared_pool() noexcept = default;

  /// Starts a pool whose members are made with `args`.
  /// @throws std::invalid_argument for a bad option; actor_name_error when the name is taken.
  template <class... A>
  explicit shared_pool(const pool_options& options, A&&... args) {
    const std::size_t size = detail::size_of(options);
    const detail::pool_settings settings =
        detail::settings_of(options, "shared_pool", detail::class_name<T>());
    start(options, size * settings.max_in_flight, settings, size,
          detail::plan_member<T>(options.actor, std::forward<A>(args)...));
  }
  /// Starts a pool of these actors. Dead ones are not replaced.
  template <detail::vector_of_handles<T> Members>
  explicit shared_pool(const Members& members, const pool_options& options = {}) {
    const detail::pool_settings settings =
        detail::settings_of(options, "shared_pool", detail::class_name<T>());
    start(options, members.size() * settings.max_in_flight, settings, members);
  }
  explicit shared_pool(std::initializer_list<actor_handle<T>> members,
                       const pool_options& options = {})
      : shared_pool(std::vector<actor_handle<T>>(members), options) {}
  explicit shared_pool(actor_handle<detail::pool_actor<T>> actor) : actor_(std::move(actor)) {}

  /// Calls a method of one of the members. As `actor_handle::remote`; a call that finds the pool at
  /// its bound fails with `pending_calls_limit_error` in the ref, or here.
  template <auto M, class... A>
  auto remote(A&&... args) const {
    return call<M>(detail::pool_call_options<M>(), std::forward<A>(args)...);
  }

  /// Calls with options: `pool.with({.timeout = 1s}).template remote<&T::m>(...)`.
  class bound {
   public:
    bound(const shared_pool& pool, detail::options_ptr options)
        : pool_(pool), options_(std::move(options)) {}
    template <auto M, class... A>
    auto remote(A&&... args) const {
      return pool_.call<M>(options_, std::forward<A>(args)...);
    }

   private:
    shared_pool pool_;
    detail::options_ptr options_;
  };
  bound with(const options& call_options) const {
    detail::check_options_of_call(call_options);
    options in_group = call_options;
    if (in_group.concurrency_group.empty()) in_group.concurrency_group = detail::pool_call_group;
    return bound(*this, detail::stored_options::make(in_group));
  }

  /// Calls that take one input each and reach `M` in batches: `M` takes a `std::vector<In>` and
  /// returns a `std::vector<Out>` with a result for each input, in their order. What it throws is
  /// the result of every input of that batch.
  template <auto M>
  shared_batcher<M, T> batched(const batch_options& how = {}) const {
    detail::check_batch_options(how);
    return {actor_, how};
  }

  /// Adds an actor. The ref fails with `std::invalid_argument` when it is a member already.
  object_ref<void> push(const actor_handle<T>& member) const {
    return control<&detail::pool_actor<T>::push>(member);
  }
  /// Takes out a member that has no calls, if there is one and nothing waits.
  object_ref<std::optional<actor_handle<T>>> pop_idle() const {
    return control<&detail::pool_actor<T>::pop_idle>();
  }
  object_ref<pool_stats> stats() const { return control<&detail::pool_actor<T>::stats>(); }

  /// The pool as an actor: for `on_exit`, `link`, `kill`.
  const actor_handle<detail::pool_actor<T>>& actor() const noexcept { return actor_; }
  explicit operator bool() const noexcept { return static_cast<bool>(actor_); }
  /// A pool goes to other processes as a handle does.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor_);
  }
  friend bool operator==(const shared_pool&, const shared_pool&) noexcept = default;

 private:
  template <class... A>
  void start(const pool_options& options, std::size_t in_flight, A&&... args) {
    actor_ = troupe::with(detail::pool_actor_options(options, in_flight))
                 .template remote<detail::pool_actor<T>>(std::forward<A>(args)...);
  }
  template <auto M, class... A>
  auto control(A&&... args) const {
    return detail::submit_method<M, detail::pool_actor<T>>(
        actor_.core(), detail::pool_call_options<M>(), std::forward<A>(args)...);
  }
  template <auto M, class... A>
  auto call(const detail::options_ptr& options, A&&... args) const {
    using actor = detail::pool_actor<T>;
    auto kept = detail::keep_arguments<M, T>(std::forward<A>(args)...);
    return detail::submit_method<&actor::template call<M, decltype(kept)>, actor>(
        actor_.core(), options, std::move(kept));
  }

  actor_handle<detail::pool_actor<T>> actor_;
};

/// The pool that was started with this name. `in_namespace` is the session's when empty.
/// @throws actor_name_error when there is none, or its members are of another class.
template <class T>
shared_pool<T> get_pool(std::string_view name, std::string_view in_namespace = {}) {
  return shared_pool<T>(get_actor<detail::pool_actor<T>>(name, in_namespace));
}

/// Ends a pool now: calls that it has fail with `actor_died_error`.
template <class T>
void kill(const shared_pool<T>& pool) {
  kill(pool.actor());
}

}  // namespace troupe
