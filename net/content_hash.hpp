/// Names bytes by their content: BLAKE2b with 256 bits, written as 64 hexadecimal digits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace troupe::net {

/// Thread-compatible.
class content_hasher {
 public:
  content_hasher();
  ~content_hasher();
  content_hasher(content_hasher&&) noexcept;
  content_hasher& operator=(content_hasher&&) noexcept;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);
  /// Once, at the end.
  std::string finish();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Of what a descriptor's file holds from its beginning. Throws `std::system_error`.
std::string hash_of_file(int fd);

/// Whether the text is such a name; what comes from others becomes part of a path.
bool is_content_hash(std::string_view text) noexcept;

}  // namespace troupe::net
