/// Options with strings of their own, kept as long as any call that was made with them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <troupe/detail/export.hpp>
#include <troupe/options.hpp>

namespace troupe::detail {

/// An owning, validated copy of `options`. Immutable apart from a cache of what the runtime made
/// of it. Thread-safe.
class TROUPE_API stored_options {
 public:
  /// Throws `std::invalid_argument` that names the option when a value is out of its range.
  static std::shared_ptr<const stored_options> make(const options& from);

  explicit stored_options(const options& from);
  stored_options(const stored_options&) = delete;
  stored_options& operator=(const stored_options&) = delete;

  /// The options; its views point into this object.
  const options& get() const noexcept { return value_; }

  /// The resource shape of (runtime epoch), cached by tasks/; 0 means not resolved yet.
  mutable std::atomic<std::uint64_t> resolved_epoch{0};
  mutable std::atomic<void*> resolved_shape{nullptr};

 private:
  std::string_view keep(std::string_view text);

  options value_;
  std::shared_ptr<const runtime_env> environment_;
  std::vector<std::unique_ptr<std::string>> texts_;
};

/// Throws `std::invalid_argument` when options for an actor were given to a task, and the like.
TROUPE_API void check_options_of_task(const options& given);
TROUPE_API void check_options_of_actor(const options& given);
TROUPE_API void check_options_of_call(const options& given);

}  // namespace troupe::detail
