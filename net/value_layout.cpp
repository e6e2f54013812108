#include "net/value_layout.hpp"

#include <cstring>
#include <utility>

#include <troupe/detail/archive_error.hpp>

namespace troupe::net {

namespace {

constexpr std::uint64_t alignment = 64;
constexpr std::uint64_t magic = 0x31565254;  // "TRV1"

struct block_head {
  std::uint64_t magic = 0;
  std::uint64_t inline_size = 0;
  std::uint64_t segments = 0;
};

constexpr std::uint64_t padded(std::uint64_t size) noexcept {
  return (size + alignment - 1) / alignment * alignment;
}

std::uint64_t head_size(std::size_t segments) noexcept {
  return padded(sizeof(block_head) + segments * sizeof(std::uint64_t));
}

class mapped_block final : public detail::mapped_value {
 public:
  mapped_block(std::span<const std::byte> inline_bytes,
               std::vector<std::span<const std::byte>> segments, std::shared_ptr<const void> keeper)
      : keeper_(std::move(keeper)) {
    inline_ = inline_bytes;
    segments_ = std::move(segments);
  }

 private:
  std::shared_ptr<const void> keeper_;
};

[[noreturn]] void damaged() {
  throw detail::archive_error("the value in the object store is damaged");
}

}  // namespace

std::uint64_t value_block_size(std::size_t inline_bytes,
                               std::span<const std::span<const std::byte>> segments) noexcept {
  std::uint64_t size = head_size(segments.size()) + padded(inline_bytes);
  for (const auto& segment : segments) size += padded(segment.size());
  return size;
}

void write_value(std::span<std::byte> block, std::span<const std::byte> inline_bytes,
                 std::span<const std::span<const std::byte>> segments) noexcept {
  const block_head head{magic, inline_bytes.size(), segments.size()};
  std::byte* to = block.data();
  std::memcpy(to, &head, sizeof(head));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::uint64_t size = segments[i].size();
    std::memcpy(to + sizeof(head) + i * sizeof(size), &size, sizeof(size));
  }
  to += head_size(segments.size());
  const auto put = [&to](std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    to += padded(bytes.size());
  };
  put(inline_bytes);
  for (const auto& segment : segments) put(segment);
}

detail::mapping map_value(std::span<const std::byte> block, std::shared_ptr<const void> keeper) {
  block_head head;
  if (block.size() < sizeof(head)) damaged();
  std::memcpy(&head, block.data(), sizeof(head));
  if (head.magic != magic || head.segments > block.size() / sizeof(std::uint64_t) ||
      head_size(head.segments) > block.size()) {
    damaged();
  }
  std::uint64_t at = head_size(head.segments);
  const auto take = [&](std::uint64_t size) {
    if (size > block.size() - at) damaged();
    const auto bytes = block.subspan(at, size);
    at += std::min<std::uint64_t>(padded(size), block.size() - at);
    return bytes;
  };
  const std::span<const std::byte> inline_bytes = take(head.inline_size);
  std::vector<std::span<const std::byte>> segments;
  segments.reserve(head.segments);
  for (std::uint64_t i = 0; i < head.segments; ++i) {
    std::uint64_t size = 0;
    std::memcpy(&size, block.data() + sizeof(head) + i * sizeof(size), sizeof(size));
    segments.push_back(take(size));
  }
  return std::make_shared<const mapped_block>(inline_bytes, std::move(segments), std::move(keeper));
}

}  // namespace troupe::net
