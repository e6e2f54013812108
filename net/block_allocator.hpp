/// Deals out blocks of one region of memory (or of a file) and takes them back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

namespace troupe::net {

/// Pure: knows offsets, touches no memory, so nobody who writes into a block can damage it.
/// Thread-compatible. All operations are O(log n) in the number of free blocks.
///
/// Sizes are rounded up to `unit`. Of the free blocks that fit best the one that was freed last is
/// dealt first: its pages are warm. Memory that was never dealt comes last, from low to high.
class block_allocator {
 public:
  static constexpr std::uint64_t unit = 64;

  explicit block_allocator(std::uint64_t capacity) noexcept : capacity_(capacity / unit * unit) {}

  /// The offset of a block of at least `size` bytes (at least one unit); nothing when none is free.
  std::optional<std::uint64_t> allocate(std::uint64_t size);
  /// Takes back what `allocate` gave.
  void free(std::uint64_t offset);

  /// What `size` bytes take.
  static std::uint64_t rounded(std::uint64_t size) noexcept;

  std::uint64_t capacity() const noexcept { return capacity_; }
  std::uint64_t used() const noexcept { return used_; }
  /// Everything below was dealt at least once.
  std::uint64_t high_water() const noexcept { return top_; }
  /// The largest block that `allocate` can give now.
  std::uint64_t largest() const noexcept;
  std::size_t blocks() const noexcept { return dealt_.size(); }
  std::size_t free_blocks() const noexcept { return free_.size(); }

 private:
  struct hole {
    std::uint64_t size = 0;
    std::uint64_t freed = 0;  ///< when: grows with each `free`
  };
  using rank = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;  // size, age, offset
  static rank rank_of(std::uint64_t offset, const hole& of) noexcept {
    return {of.size, ~of.freed, offset};
  }
  void add_hole(std::uint64_t offset, const hole& what);
  hole remove_hole(std::map<std::uint64_t, hole>::iterator at);

  std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  std::uint64_t top_ = 0;
  std::uint64_t frees_ = 0;
  std::map<std::uint64_t, hole> free_;  ///< below `top_`, by offset; no two touch
  std::set<rank> by_size_;
  std::unordered_map<std::uint64_t, std::uint64_t> dealt_;  ///< sizes by offset
};

}  // namespace troupe::net
