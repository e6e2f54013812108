/// A file of bounded size that is appended to, with its predecessors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/descriptor.hpp"

namespace troupe::net {

struct rotation {
  std::uint64_t max_bytes = std::uint64_t{16} << 20;  ///< of one file
  std::size_t files = 4;                              ///< the one that is written included
};

/// `path`, and from young to old `path.1`, `path.2`. Mode 0600. Thread-compatible.
class rotating_file {
 public:
  rotating_file() = default;
  /// Logs a warning when it cannot be opened; then it takes everything and keeps nothing.
  rotating_file(std::string path, rotation bounds);

  /// What a full disk does not take is left out.
  void write(std::string_view bytes);
  void close() noexcept { fd_.reset(); }

 private:
  void open();
  void rotate();

  std::string path_;
  rotation bounds_;
  std::uint64_t bytes_ = 0;
  core::descriptor fd_;
};

/// Removes `path` and its predecessors.
void remove_rotated(const std::string& path, std::size_t files) noexcept;

}  // namespace troupe::net
