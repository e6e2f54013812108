/// The file that a store's values are spilled to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/descriptor.hpp"

namespace troupe::net {

/// A file without a name: nothing of it is left when its node ends, however that happens.
/// Thread-safe for ranges that do not overlap.
class spill_file {
 public:
  /// Throws `connection_error` that names the folder when no file can be written there.
  explicit spill_file(const std::string& folder);

  /// The error's text; empty when all went well.
  std::string write(std::uint64_t offset, std::span<const std::byte> bytes) const;
  std::string read(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// Gives the range's disk space back.
  void discard(std::uint64_t offset, std::uint64_t size) const noexcept;

 private:
  core::descriptor fd_;
};

}  // namespace troupe::net
