#include "net/block_allocator.hpp"

#include <algorithm>
#include <iterator>

#include <troupe/detail/assert.hpp>

namespace troupe::net {

std::uint64_t block_allocator::rounded(std::uint64_t size) noexcept {
  constexpr std::uint64_t most = ~std::uint64_t{0} / unit * unit;
  if (size > most) return most;
  return std::max(unit, (size + unit - 1) / unit * unit);
}

void block_allocator::add_hole(std::uint64_t offset, const hole& what) {
  free_.emplace(offset, what);
  by_size_.insert(rank_of(offset, what));
}

block_allocator::hole block_allocator::remove_hole(std::map<std::uint64_t, hole>::iterator at) {
  const hole what = at->second;
  by_size_.erase(rank_of(at->first, what));
  free_.erase(at);
  return what;
}

std::optional<std::uint64_t> block_allocator::allocate(std::uint64_t size) {
  size = rounded(size);
  if (size > capacity_ - used_) return std::nullopt;
  std::uint64_t offset = 0;
  if (const auto best = by_size_.lower_bound(rank{size, 0, 0}); best != by_size_.end()) {
    offset = std::get<2>(*best);
    const hole from = remove_hole(free_.find(offset));
    if (from.size > size) add_hole(offset + size, {from.size - size, from.freed});
  } else {
    // The last hole may reach up to what was never dealt: both together are one.
    offset = top_;
    if (!free_.empty()) {
      const auto last = std::prev(free_.end());
      if (last->first + last->second.size == top_) offset = last->first;
    }
    if (size > capacity_ - offset) return std::nullopt;
    if (offset != top_) remove_hole(std::prev(free_.end()));
    top_ = offset + size;
  }
  used_ += size;
  dealt_.emplace(offset, size);
  return offset;
}

void block_allocator::free(std::uint64_t offset) {
  const auto at = dealt_.find(offset);
  TROUPE_ASSERT(at != dealt_.end(), "a block is freed that was not dealt");
  std::uint64_t size = at->second;
  dealt_.erase(at);
  used_ -= size;
  const auto after = free_.lower_bound(offset);
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second.size == offset) {
      offset = before->first;
      size += remove_hole(before).size;
    }
  }
  if (after != free_.end() && after->first == offset + size) size += remove_hole(after).size;
  add_hole(offset, {size, ++frees_});
}

std::uint64_t block_allocator::largest() const noexcept {
  std::uint64_t end = capacity_ - top_;
  if (free_.empty()) return end;
  const auto last = std::prev(free_.end());
  if (last->first + last->second.size == top_) end += last->second.size;
  return std::max(end, std::get<0>(*by_size_.rbegin()));
}

}  // namespace troupe::net
