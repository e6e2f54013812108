/// What travels between two processes: a message is a kind, a small body, and bulk bytes beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "net/ids.hpp"

namespace troupe::net {

/// Bytes and what keeps them. Immutable; copies share.
class blob {
 public:
  blob() = default;
  blob(std::span<const std::byte> bytes, std::shared_ptr<const void> keeper) noexcept
      : bytes_(bytes), keeper_(std::move(keeper)) {}
  explicit blob(std::vector<std::byte> bytes) {
    auto owned = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    bytes_ = *owned;
    keeper_ = std::move(owned);
  }

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }
  const std::shared_ptr<const void>& keeper() const noexcept { return keeper_; }

 private:
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> keeper_;
};

/// One message. `kind` is of `net/messages.hpp`; the link does not look into it. The body is a
/// struct of that header in troupe's archive, up to `max_body_bytes`; `attachments` travel as
/// frames of their own, without a copy, in the order in which the body refers to them.
struct message {
  std::uint16_t kind = 0;
  std::vector<std::byte> body;
  std::vector<blob> attachments;

  std::size_t size() const noexcept {
    std::size_t total = body.size();
    for (const blob& b : attachments) total += b.size();
    return total;
  }
};

inline constexpr std::size_t max_attachments = 65'535;

}  // namespace troupe::net
