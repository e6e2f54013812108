/// Spreads calls over several actors of one class and collects their results.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/detail/pool_batching.hpp>
#include <troupe/detail/pool_call.hpp>
#include <troupe/detail/pool_completions.hpp>
#include <troupe/detail/pool_results.hpp>
#include <troupe/pool_options.hpp>
#include <troupe/shared_pool.hpp>

namespace troupe {

/// Sends inputs one by one; members get them in batches. A value that keeps the pool alive.
template <auto M, class T>
class pool_batcher {
  using method = detail::batch_method<M, T>;

 public:
  pool_batcher(detail::pool_ptr pool, const batch_options& how)
      : pool_(std::move(pool)), how_(how) {}

  /// A ref to the result of this one input. Throws as `actor_pool::remote`.
  template <class In>
  object_ref<typename method::output> remote(In&& input) const {
    if constexpr (detail::referred<std::remove_cvref_t<In>>::is_ref) {
      return detail::submit_task<&detail::pooled_input<M, T>>(
          detail::pool_task_options<M>(), detail::pool_link{pool_}, std::forward<In>(input), how_);
    } else {
      static_assert(std::is_convertible_v<In, typename method::input>,
                    "troupe: the input does not convert to an element of the method's vector");
      return detail::submit_input<M, T>(pool_, how_, std::forward<In>(input));
    }
  }
  /// All inputs of a range; their results in order.
  template <class Range>
  auto map(Range&& inputs) const {
    return detail::in_order(supplier(std::forward<Range>(inputs)));
  }
  template <class Range>
  auto map_unordered(Range&& inputs) const {
    return detail::as_they_come(supplier(std::forward<Range>(inputs)));
  }

 private:
  template <class Range>
  auto supplier(Range&& inputs) const {
    return detail::supply(
        std::forward<Range>(inputs), [pool = pool_] { return pool->has_room(); },
        [self = *this]<class V>(V&& value) { return self.remote(std::forward<V>(value)); });
  }

  detail::pool_ptr pool_;
  batch_options how_;
};

/// A pool of actors of class `T`, of the thread that made it. For one that many use, or that has a
/// name, see `shared_pool`.
///
/// There are two ways to use it. `remote` gives the ref of its call, and so do `map` and `batched`
/// their results. `submit` gives it, too, and the pool remembers it for `get_next` and
/// `get_next_unordered`, until the result was taken.
///
/// Each call goes to the member that has the fewest. One that finds all members busy waits in the
/// pool; it is sent as soon as one is free. When a member that the pool started dies it is
/// replaced; the calls that it had are sent to others, so a call may run more than once;
/// `pool_options` has the bounds. What a method throws is its result.
///
/// Move-only, used by one thread at a time. Calls that were made go on when the pool is dropped.
template <class T>
class actor_pool {
 public:
  /// A pool of these actors. Dead ones are not replaced.
  template <detail::vector_of_handles<T> Members>
  explicit actor_pool(const Members& members, const pool_options& options = {})
      : pool_(detail::pool_core::make(
            detail::settings_of(options, "actor_pool", detail::class_name<T>()),
            detail::cores_of(members))) {}
  explicit actor_pool(std::initializer_list<actor_handle<T>> members,
                      const pool_options& options = {})
      : actor_pool(std::vector<actor_handle<T>>(members), options) {}
  /// Starts members that are made with `args`.
  template <class... A>
  explicit actor_pool(const pool_options& options, A&&... args)
      : pool_(detail::pool_core::make(
            detail::settings_of(options, "actor_pool", detail::class_name<T>()),
            detail::size_of(options),
            detail::actor_factory_of<T>(options.actor, std::forward<A>(args)...))) {}
  /// Starts `size` members that are made with `args`.
  template <class... A>
  explicit actor_pool(std::size_t size, A&&... args)
      : actor_pool(sized(size), std::forward<A>(args)...) {}

  // The move constructor is a template, and what is deleted takes no const: g++ 12 takes
  // `{.size = 4}` for the arguments of a pool to be moved from, and finds the call ambiguous.
  actor_pool(actor_pool&) = delete;
  template <std::same_as<actor_pool> Other>
  actor_pool(Other&& other) noexcept
      : pool_(std::move(other.pool_)),
        submitted_(std::move(other.submitted_)),
        last_(other.last_),
        completions_(std::move(other.completions_)),
        unordered_(other.unordered_) {}
  actor_pool& operator=(actor_pool&&) noexcept = default;

  // -- calls --------------------------------------------------------------------------------------

  /// Calls a method of one of the members, as `actor_handle::remote`.
  /// @throws pending_calls_limit_error when `max_pending` calls wait; actor_died_error when all
  ///   members are dead and none will be replaced.
  template <auto M, class... A>
  auto remote(A&&... args) const {
    return detail::submit_to_pool<M, T>(pool_, std::forward<A>(args)...);
  }
  /// The same; the pool remembers the result for `get_next`.
  template <auto M, class... A>
  auto submit(A&&... args) {
    auto ref = remote<M>(std::forward<A>(args)...);
    remember(ref);
    return ref;
  }
  /// Lets `f(actor_handle<T>&, value)` make the call; it returns its ref. `f` runs as a task when a
  /// member is free, and again when that member dies.
  template <class F, class V>
  auto submit(F f, V value) {
    auto ref = detail::submit_to_pool_by<T>(pool_, std::move(f), std::move(value));
    remember(ref);
    return ref;
  }

  /// Calls a method with each input; a range over the results, in the order of the inputs.
  template <auto M, class Range>
  auto map(Range&& inputs) const {
    return detail::in_order(supplier<M>(std::forward<Range>(inputs)));
  }
  template <class F, class Range>
  auto map(F f, Range&& inputs) const {
    return detail::in_order(supplier_by(std::move(f), std::forward<Range>(inputs)));
  }
  /// The same, whichever result is there first.
  template <auto M, class Range>
  auto map_unordered(Range&& inputs) const {
    return detail::as_they_come(supplier<M>(std::forward<Range>(inputs)));
  }
  template <class F, class Range>
  auto map_unordered(F f, Range&& inputs) const {
    return detail::as_they_come(supplier_by(std::move(f), std::forward<Range>(inputs)));
  }

  /// Calls that take one input each and reach `M` in batches: `M` takes a `std::vector<In>` and
  /// returns a `std::vector<Out>` with a result for each input, in their order. What it throws is
  /// the result of every input of that batch.
  template <auto M>
  pool_batcher<M, T> batched(const batch_options& how = {}) const {
    detail::check_batch_options(how);
    return {pool_, how};
  }

  // -- results of `submit` ------------------------------------------------------------------------

  /// Whether a result of `submit` was not taken yet.
  bool has_next() const noexcept { return !submitted_.empty(); }
  /// The next result in the order of submission; waits for it. `R` is the method's result.
  ///
  /// @throws what the call threw, and then the result counts as taken; get_timeout_error, and then
  /// it
  ///   is still the next one; std::out_of_range when `has_next()` is false; std::logic_error when
  ///   `get_next_unordered` has taken results before and some are left: there is no order to
  ///   follow; std::invalid_argument when the result is no `R`.
  template <class R>
  R get_next(std::optional<std::chrono::nanoseconds> timeout = {}) {
    require_next("get_next");
    if (unordered_) {
      throw std::logic_error(
          "actor_pool::get_next after get_next_unordered: take the results that are left by "
          "get_next_unordered");
    }
    const auto first = submitted_.begin();
    object_ref<R> ref = typed<R>(first->second, "get_next");
    detail::wait_for_ref(ref, detail::deadline_after(timeout));
    submitted_.erase(first);
    return get(std::move(ref));
  }
  /// Whichever result is there first; else as `get_next`.
  template <class R>
  R get_next_unordered(std::optional<std::chrono::nanoseconds> timeout = {}) {
    require_next("get_next_unordered");
    if (!unordered_) {
      for (const auto& [number, ref] : submitted_) completions_.add(number, ref.pointer());
      unordered_ = true;
    }
    const std::uint64_t number = completions_.next(detail::deadline_after(timeout));
    const auto found = submitted_.find(number);
    if (!found->second.template is<R>()) completions_.add(number, found->second.pointer());
    object_ref<R> ref = typed<R>(found->second, "get_next_unordered");
    submitted_.erase(found);
    unordered_ = has_next();
    return get(std::move(ref));
  }

  // -- members ------------------------------------------------------------------------------------

  /// Whether a call that comes now would be sent at once.
  bool has_free() const { return pool_->has_free(); }
  /// Adds an actor. Throws `std::invalid_argument` when it is a member already.
  void push(const actor_handle<T>& member) { pool_->push(member.core()); }
  /// Takes out a member that has no calls, if there is one and nothing waits.
  std::optional<actor_handle<T>> pop_idle() {
    detail::actor_core_ptr member = pool_->pop_idle();
    if (!member) return std::nullopt;
    return actor_handle<T>(std::move(member));
  }
  pool_stats stats() const { return pool_->stats(); }

 private:
  static pool_options sized(std::size_t size) {
    if (size == 0) throw std::invalid_argument("actor_pool: a pool has at least one member");
    return {.size = size};
  }
  void remember(const any_ref& ref) {
    submitted_.emplace(++last_, ref);
    if (unordered_) completions_.add(last_, ref.pointer());
  }
  void require_next(const char* what) const {
    if (has_next()) return;
    throw std::out_of_range("actor_pool::" + std::string(what) +
                            ": no result is left to get; ask has_next() before");
  }
  template <class R>
  static object_ref<R> typed(const any_ref& ref, const char* what) {
    if (ref.is<R>()) return ref.as<R>();
    throw std::invalid_argument("actor_pool::" + std::string(what) + "<" +
                                std::string(detail::class_name<R>()) +
                                ">: the call that is next gives another type");
  }
  template <auto M, class Range>
  auto supplier(Range&& inputs) const {
    return detail::supply(
        std::forward<Range>(inputs), [pool = pool_] { return pool->has_room(); },
        [pool = pool_]<class V>(V&& value) {
          return detail::submit_to_pool<M, T>(pool, std::forward<V>(value));
        });
  }
  template <class F, class Range>
  auto supplier_by(F f, Range&& inputs) const {
    return detail::supply(
        std::forward<Range>(inputs), [pool = pool_] { return pool->has_room(); },
        [pool = pool_, f = std::move(f)]<class V>(V&& value) {
          return detail::submit_to_pool_by<T>(pool, f, std::decay_t<V>(std::forward<V>(value)));
        });
  }

  detail::pool_ptr pool_;
  std::map<std::uint64_t, any_ref> submitted_;  ///< by the order of submission
  std::uint64_t last_ = 0;
  detail::pool_completions completions_;
  bool unordered_ = false;
};

}  // namespace troupe
