/// The results of a pool's `map`, in the order of the inputs or of their completion.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>

#include <troupe/detail/pool_completions.hpp>
#include <troupe/object_ref.hpp>

namespace troupe {

/// What `map` gives for each input; methods without a result give a `std::monostate`.
template <class R>
using pool_value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

namespace detail {

/// Submits the next input; nothing when there is none, or no room for it and not `must`.
template <class R>
using pool_supplier = std::function<std::optional<object_ref<R>>(bool must)>;

/// The value of a result that is ready or will be, once.
template <class R>
class pool_current {
 public:
  void reset(object_ref<R> ref) {
    value_.reset();
    ref_ = std::move(ref);
  }
  void reset() { reset({}); }
  pool_value<R>& value() {
    if (!value_) {
      wait_for_ref(ref_, {});
      if (ref_.failed()) throw_failure(ref_.state());
      if constexpr (std::is_void_v<R>) {
        value_.emplace();
      } else {
        value_.emplace(get(std::move(ref_)));
      }
    }
    return *value_;
  }

 private:
  object_ref<R> ref_;
  std::optional<pool_value<R>> value_;
};

}  // namespace detail

/// A range over results. Inputs are submitted ahead, as far as the pool's `max_pending` goes.
/// Reading an element waits for it, and throws what its call threw; the iterator can go on after
/// that. Single pass, move-only, used by one thread at a time. An input that was given as an lvalue
/// must outlive it.
template <class R>
class ordered_results {
 public:
  explicit ordered_results(detail::pool_supplier<R> next) : next_(std::move(next)) { fill(); }

  struct sentinel {};
  class iterator {
   public:
    using value_type = pool_value<R>;
    using difference_type = std::ptrdiff_t;
    explicit iterator(ordered_results* results) : results_(results) {}
    pool_value<R>& operator*() const { return results_->current_.value(); }
    iterator& operator++() {
      results_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, sentinel) { return at.results_->at_end(); }

   private:
    ordered_results* results_;
  };
  iterator begin() {
    if (!begun_) advance();
    begun_ = true;
    return iterator(this);
  }
  sentinel end() { return {}; }
  /// Whether there is no element to read, once `begin` was called.
  bool at_end() const noexcept { return done_; }

 private:
  void fill() {
    while (auto ref = next_(false)) pending_.push_back(std::move(*ref));
  }
  void advance() {
    current_.reset();
    if (pending_.empty()) {
      if (auto ref = next_(true)) pending_.push_back(std::move(*ref));
    }
    if (pending_.empty()) {
      done_ = true;
      return;
    }
    current_.reset(std::move(pending_.front()));
    pending_.pop_front();
    fill();
  }

  detail::pool_supplier<R> next_;
  std::deque<object_ref<R>> pending_;
  detail::pool_current<R> current_;
  bool begun_ = false;
  bool done_ = false;
};

/// The same, whichever result is there first. Advancing waits, reading does not.
template <class R>
class unordered_results {
 public:
  explicit unordered_results(detail::pool_supplier<R> next) : next_(std::move(next)) { fill(); }

  struct sentinel {};
  class iterator {
   public:
    using value_type = pool_value<R>;
    using difference_type = std::ptrdiff_t;
    explicit iterator(unordered_results* results) : results_(results) {}
    pool_value<R>& operator*() const { return results_->current_.value(); }
    iterator& operator++() {
      results_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, sentinel) { return at.results_->at_end(); }

   private:
    unordered_results* results_;
  };
  iterator begin() {
    if (!begun_) advance();
    begun_ = true;
    return iterator(this);
  }
  sentinel end() { return {}; }
  /// Whether there is no element to read, once `begin` was called.
  bool at_end() const noexcept { return done_; }

 private:
  void add(object_ref<R> ref) {
    completions_.add(++last_, ref.pointer());
    pending_.emplace(last_, std::move(ref));
  }
  void fill() {
    while (auto ref = next_(false)) add(std::move(*ref));
  }
  void advance() {
    current_.reset();
    if (pending_.empty()) {
      if (auto ref = next_(true)) add(std::move(*ref));
    }
    if (pending_.empty()) {
      done_ = true;
      return;
    }
    const auto ready = pending_.find(completions_.next({}));
    current_.reset(std::move(ready->second));
    pending_.erase(ready);
    fill();
  }

  detail::pool_supplier<R> next_;
  std::unordered_map<std::uint64_t, object_ref<R>> pending_;
  detail::pool_completions completions_;
  std::uint64_t last_ = 0;
  detail::pool_current<R> current_;
  bool begun_ = false;
  bool done_ = false;
};

namespace detail {

/// The inputs of a `map`: those of a container that was moved in, or of one that stays the
/// caller's.
template <class Range>
class pool_inputs {
 public:
  explicit pool_inputs(Range&& range)
      : range_(hold(std::forward<Range>(range))), at_(std::begin(get())), end_(std::end(get())) {}
  pool_inputs(const pool_inputs&) = delete;
  pool_inputs& operator=(const pool_inputs&) = delete;

  bool empty() const { return at_ == end_; }
  /// Calls `f` with the next input.
  template <class F>
  auto take(F&& f) {
    if constexpr (std::is_lvalue_reference_v<Range>) {
      auto result = f(*at_);
      ++at_;
      return result;
    } else {
      auto result = f(std::move(*at_));
      ++at_;
      return result;
    }
  }

 private:
  using plain = std::remove_reference_t<Range>;
  using held = std::conditional_t<std::is_lvalue_reference_v<Range>, plain*, plain>;
  static held hold(Range&& range) {
    if constexpr (std::is_lvalue_reference_v<Range>) {
      return &range;
    } else {
      return std::move(range);
    }
  }
  plain& get() {
    if constexpr (std::is_lvalue_reference_v<Range>) {
      return *range_;
    } else {
      return range_;
    }
  }

  held range_;
  decltype(std::begin(std::declval<plain&>())) at_;
  decltype(std::end(std::declval<plain&>())) end_;
};

/// Submits the inputs of `range` one by one by `submit(input)` while `has_room()`.
template <class Range, class HasRoom, class Submit>
auto supply(Range&& range, HasRoom has_room, Submit submit) {
  using inputs = pool_inputs<Range>;
  auto source = std::make_shared<inputs>(std::forward<Range>(range));
  using ref = decltype(source->take(submit));
  return pool_supplier<typename ref::value_type>(
      [source, has_room = std::move(has_room),
       submit = std::move(submit)](bool must) mutable -> std::optional<ref> {
        if (source->empty() || (!must && !has_room())) return std::nullopt;
        return source->take(submit);
      });
}

template <class R>
ordered_results<R> in_order(pool_supplier<R> next) {
  return ordered_results<R>(std::move(next));
}
template <class R>
unordered_results<R> as_they_come(pool_supplier<R> next) {
  return unordered_results<R>(std::move(next));
}

}  // namespace detail
}  // namespace troupe
