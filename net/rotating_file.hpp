/// A file of bounded size that is appended to, with its predecessors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

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
  rotating_file(rotating_file&& other) noexcept;
  rotating_file& operator=(rotating_file&& other) noexcept;
  ~rotating_file();

  /// What a full disk does not take is left out.
  void write(std::string_view bytes);
  void close() noexcept;

 private:
  void open();
  void rotate();

  std::string path_;
  rotation bounds_;
  std::uint64_t bytes_ = 0;
  int fd_ = -1;
};

/// Removes `path` and its predecessors.
void remove_rotated(const std::string& path, std::size_t files) noexcept;

}  // namespace troupe::net
