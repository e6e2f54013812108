/// Batches: many callers' calls reach a method together. See docs/batching.md.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <variant>

#include <troupe/detail/archivable.hpp>
#include <troupe/detail/export.hpp>
#include <troupe/histogram.hpp>

namespace troupe {

/// What `batched<&model::classify>` is.
template <auto M>
struct batched_method {};

/// Stands for a method that takes many requests at once, where one request is given:
///
///     struct model {
///       std::vector<label> classify(std::span<const image> batch);
///     };
///     auto m = troupe::with({.max_batch_size = 32, .max_wait = 2ms}).remote<model>();
///     object_ref<label> one = m.remote<troupe::batched<&model::classify>>(image);
///
/// Calls that wait in the actor are handed to the method as one batch; each call gets the result
/// that stands in its place. In all else they are calls as others are.
template <auto M>
inline constexpr batched_method<M> batched{};

namespace detail {

class input_archive;
class output_archive;

TROUPE_API void save_exception(output_archive& archive, const std::exception_ptr& thrown);
TROUPE_API std::exception_ptr load_exception(input_archive& archive);

}  // namespace detail

/// A value or the exception in its place: a method that gives a `std::vector<outcome<T>>` for a
/// batch fails some of its calls and not the others. A value.
template <class T>
class outcome {
 public:
  using value_type = T;

  outcome() = default;
  outcome(T value) : is_(std::in_place_index<0>, std::move(value)) {}                   // NOLINT
  outcome(std::exception_ptr error) : is_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool failed() const noexcept { return is_.index() == 1; }
  /// Null when it has a value.
  std::exception_ptr error() const noexcept { return failed() ? std::get<1>(is_) : nullptr; }
  /// The value; throws the error when it has failed.
  const T& value() const& {
    if (failed()) std::rethrow_exception(std::get<1>(is_));
    return std::get<0>(is_);
  }
  T&& value() && {
    if (failed()) std::rethrow_exception(std::get<1>(is_));
    return std::get<0>(std::move(is_));
  }

  template <class Archive>
  void save(Archive& archive) const {
    archive(failed());
    if (failed()) {
      detail::save_exception(archive, std::get<1>(is_));
    } else {
      archive(std::get<0>(is_));
    }
  }
  template <class Archive>
  void load(Archive& archive) {
    bool has_failed = false;
    archive(has_failed);
    if (has_failed) {
      is_.template emplace<1>(detail::load_exception(archive));
    } else {
      archive(is_.template emplace<0>());
    }
  }

 private:
  std::variant<T, std::exception_ptr> is_;
};

/// Whether a call that has no value went well.
template <>
class outcome<void> {
 public:
  using value_type = void;

  outcome() = default;
  outcome(std::exception_ptr error) : error_(std::move(error)) {}  // NOLINT

  bool failed() const noexcept { return error_ != nullptr; }
  std::exception_ptr error() const noexcept { return error_; }
  void value() const {
    if (failed()) std::rethrow_exception(error_);
  }

  template <class Archive>
  void save(Archive& archive) const {
    archive(failed());
    if (failed()) detail::save_exception(archive, error_);
  }
  template <class Archive>
  void load(Archive& archive) {
    bool has_failed = false;
    archive(has_failed);
    error_ = has_failed ? detail::load_exception(archive) : nullptr;
  }

 private:
  std::exception_ptr error_;
};

template <class T>
inline constexpr bool detail::archivable_v<outcome<T>> = detail::archivable_v<T>;

/// How the batches of one method went, since the actor began.
struct batch_stats {
  std::string method;
  std::uint64_t calls = 0;    ///< that have run in batches
  std::uint64_t batches = 0;  ///< that have run
  histogram sizes{};          ///< calls in each batch
  histogram waits{};          ///< of each call until its batch began, in nanoseconds
  histogram latencies{};      ///< of each call from its arrival to its end, in nanoseconds

  bool operator==(const batch_stats&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(method, calls, batches, sizes, waits, latencies);
  }
};

}  // namespace troupe
