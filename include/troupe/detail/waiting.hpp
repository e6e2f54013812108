/// Blocking on objects: what `get`, `wait` and streams stand on.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <troupe/detail/object_state.hpp>

namespace troupe::detail {

using deadline = std::optional<std::chrono::steady_clock::time_point>;

/// The deadline of a timeout from now; a timeout past the clock's range is none.
TROUPE_API deadline deadline_after(std::optional<std::chrono::nanoseconds> timeout);

/// Blocks until `object` is ready. Throws `get_timeout_error` at the deadline and
/// `task_cancelled_error` when the task that waits is cancelled. A task that waits gives its CPU
/// back meanwhile.
TROUPE_API void wait_until_ready(object_state& object, const deadline& until);

/// Blocks until all are ready or one has failed; returns that one, or null. Throws as above.
TROUPE_API object_state* wait_until_all_ready(std::span<object_state* const> objects,
                                              const deadline& until);

/// Throws what made the object fail. Requires `has_failed()`.
[[noreturn]] TROUPE_API void throw_failure(const object_state& object);

/// Throws `std::invalid_argument`: an empty ref was used in `what`.
[[noreturn]] TROUPE_API void throw_empty_ref(const char* what);

/// Objects of which the next ready ones are wanted again and again. Registers once with each, so
/// that draining n objects costs O(n log n) however often it is asked. Thread-compatible.
class TROUPE_API wait_set {
 public:
  wait_set() = default;
  /// Throws `std::invalid_argument` when a ref is empty or stands twice.
  explicit wait_set(std::vector<object_ptr> objects);
  wait_set(wait_set&& other) noexcept;
  wait_set& operator=(wait_set&& other) noexcept;
  ~wait_set();

  /// Waits until `count` are ready or the deadline passes; removes and returns at most `count`, in
  /// input order, by their positions in the input.
  std::vector<std::uint32_t> take(std::size_t count, const deadline& until);
  /// Objects that were not taken yet.
  std::size_t size() const noexcept { return left_; }
  /// All slots in input order; taken ones are null.
  const std::vector<object_ptr>& slots() const noexcept { return objects_; }

 private:
  struct shared_block;
  struct node;
  void subscribe();
  void collect();
  void unsubscribe() noexcept;

  std::vector<object_ptr> objects_;
  std::vector<std::uint32_t> ready_;  // min-heap of indices
  std::shared_ptr<shared_block> block_;
  std::size_t left_ = 0;
};

}  // namespace troupe::detail
