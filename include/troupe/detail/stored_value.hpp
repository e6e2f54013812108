/// Values that lie archived in memory that the processes of a node share, without the store itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <troupe/detail/export.hpp>

namespace troupe::detail {

class input_archive;
class object_state;
class output_archive;

/// An archived value in this process's memory, for as long as the object lives. Immutable.
class TROUPE_API mapped_value {
 public:
  virtual ~mapped_value();
  std::span<const std::byte> inline_bytes() const noexcept { return inline_; }
  std::span<const std::span<const std::byte>> segments() const noexcept { return segments_; }

 protected:
  std::span<const std::byte> inline_;
  std::vector<std::span<const std::byte>> segments_;
};
using mapping = std::shared_ptr<const mapped_value>;

/// Where a value lies. Thread-safe.
class TROUPE_API stored_value {
 public:
  virtual ~stored_value();
  /// Brings it into this process's memory and keeps it there. At once when it is in the node's
  /// store; else waits, without a CPU. Throws `object_lost_error`, `out_of_memory_error`, and as
  /// `wait_until_ready`.
  virtual mapping map(
      const std::optional<std::chrono::steady_clock::time_point>& until = {}) const = 0;
  /// The node in whose store it was put, and how long it is.
  virtual std::uint64_t node() const noexcept = 0;
  virtual std::uint64_t bytes() const noexcept = 0;
};
using stored_ptr = std::shared_ptr<const stored_value>;

/// Values of fewer bytes are kept by their owner and travel in messages; all are where there is no
/// store: then it is the largest number.
TROUPE_API extern std::atomic<std::size_t> store_threshold;
inline std::size_t least_stored() noexcept {
  return store_threshold.load(std::memory_order_relaxed);
}

/// Puts an archived value into the store. `made_by` says who made it, for the user. Null when it
/// cannot be put there from this thread. Throws `out_of_memory_error`.
TROUPE_API stored_ptr store_value(std::span<const std::byte> inline_bytes,
                                  std::span<const std::span<const std::byte>> segments,
                                  std::string_view made_by);
/// The same for a result that is about to be sent to the owner of its object.
TROUPE_API stored_ptr store_result(std::span<const std::byte> inline_bytes,
                                   std::span<const std::span<const std::byte>> segments,
                                   std::string_view made_by);
/// Writes and reads where a value is. `given`: the reader is its owner from now on.
TROUPE_API void save_stored(output_archive& archive, const stored_value& where);
TROUPE_API stored_ptr load_stored(input_archive& archive, bool given);

struct raw_array {
  const void* data = nullptr;
  std::size_t count = 0;
};
/// The elements of an archived array where they lie. Throws `archive_error`.
TROUPE_API raw_array view_raw_array(const mapped_value& value, std::size_t element_size,
                                    std::size_t alignment);

/// Elements whose arrays are read in place.
template <class E>
inline constexpr bool raw_element_v = (std::is_arithmetic_v<E> && !std::is_same_v<E, bool> &&
                                       !std::is_same_v<E, long double>) ||
                                      std::is_same_v<E, std::byte>;

template <class T>
inline constexpr bool reads_in_place_v = false;
template <class E>
inline constexpr bool reads_in_place_v<std::vector<E>> = raw_element_v<E>;

}  // namespace troupe::detail
