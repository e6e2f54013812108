/// Wraps a value that never leaves its process, such as a file, a lock or a callback.
#pragma once

#include <troupe/detail/archivable.hpp>
#include <troupe/detail/export.hpp>

#include <type_traits>
#include <utility>

namespace troupe {

namespace detail {

/// Throws the archive_error that says that an `in_process<type>` met a process border.
[[noreturn]] TROUPE_API void refuse_in_process(name_view type, bool saving);

}  // namespace detail

/// A `T` that troupe passes by value within a process and refuses to carry out of it: archiving it
/// is an `archive_error` at run time, where an unwrapped `T` would be a compile-time error.
///
/// It converts to and from `T`, so a function may go on taking `T` or `T&`. Thread-compatible, as
/// `T` is; it throws what `T` throws.
template <class T>
class in_process {
  static_assert(std::is_object_v<T> && std::is_same_v<T, std::remove_cv_t<T>>,
                "in_process<T> holds a value: T is neither const nor a reference");

 public:
  using value_type = T;

  in_process() requires std::is_default_constructible_v<T>
  = default;

  template <class U = T>
  requires(!std::is_same_v<std::remove_cvref_t<U>, in_process> &&
           !std::is_same_v<std::remove_cvref_t<U>, std::in_place_t> &&
           std::is_constructible_v<T, U>) explicit(!std::is_convertible_v<U, T>)
      in_process(U&& value)
      : value_(std::forward<U>(value)) {}

  /// Makes the value in place, for a T that cannot be moved.
  template <class... Args>
  requires std::is_constructible_v<T, Args...>
  explicit in_process(std::in_place_t, Args&&... args) : value_(std::forward<Args>(args)...) {}

  T& get() & noexcept { return value_; }
  const T& get() const& noexcept { return value_; }
  T&& get() && noexcept { return std::move(value_); }

  operator T&() & noexcept { return value_; }
  operator const T&() const& noexcept { return value_; }
  operator T&&() && noexcept { return std::move(value_); }

  T& operator*() & noexcept { return value_; }
  const T& operator*() const& noexcept { return value_; }
  T&& operator*() && noexcept { return std::move(value_); }
  T* operator->() noexcept { return &value_; }
  const T* operator->() const noexcept { return &value_; }

  template <class Archive>
  void save(Archive&) const {
    detail::refuse_in_process(detail::type_name<T>(), true);
  }
  template <class Archive>
  void load(Archive&) {
    detail::refuse_in_process(detail::type_name<T>(), false);
  }

 private:
  T value_;
};

template <class T>
in_process(T) -> in_process<T>;

template <class T>
inline constexpr bool detail::archivable_v<in_process<T>> = true;
/// A call that takes one as an argument runs in the process that makes it.
template <class T>
inline constexpr bool detail::stays_in_process_v<in_process<T>> = true;

}  // namespace troupe
