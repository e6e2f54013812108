/// Objects in the order in which they become ready, while further ones are added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include <troupe/detail/object_state.hpp>
#include <troupe/detail/waiting.hpp>

namespace troupe::detail {

/// Registers once with each object: n of them cost O(n) however often it is asked.
/// Thread-compatible.
class TROUPE_API pool_completions {
 public:
  pool_completions();
  pool_completions(pool_completions&&) noexcept;
  pool_completions& operator=(pool_completions&&) noexcept;
  ~pool_completions();

  /// Adds an object under a number of the caller's.
  void add(std::uint64_t number, object_ptr object);
  /// Waits for the next one; removes it and gives its number. Requires that it is not empty. Throws
  /// `get_timeout_error` at the deadline.
  std::uint64_t next(const deadline& until);
  std::size_t size() const noexcept { return nodes_.size(); }

 private:
  struct node;
  struct shared_state;
  void clear() noexcept;

  std::shared_ptr<shared_state> shared_;
  std::unordered_map<std::uint64_t, std::unique_ptr<node>> nodes_;
};

}  // namespace troupe::detail
