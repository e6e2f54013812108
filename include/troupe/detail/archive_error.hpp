/// Tells that a value could not be written to, or read from, its archived form.
#pragma once

#include <troupe/detail/archivable.hpp>
#include <troupe/detail/export.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace troupe::detail {

/// How deep smart pointers and containers may nest in an archived value. It keeps a peer's bytes
/// from overflowing the reader's stack; the writer has the same limit, so that the error comes
/// where the value is.
inline constexpr int max_archive_depth = 200;

enum class archive_action { save, load };

/// `what()` says what failed, at which byte, why, and what to do about it.
class TROUPE_API archive_error : public std::runtime_error {
 public:
  explicit archive_error(const std::string& message) : std::runtime_error(message) {}
  archive_error(const archive_error&) = default;
  archive_error& operator=(const archive_error&) = default;
  ~archive_error() override;
};

/// Throws the archive_error "cannot `action` `type` at byte `at`: `why`".
[[noreturn]] TROUPE_API void fail_archive(archive_action action, name_view type, std::size_t at,
                                          const std::string& why);

/// Holds one level of nesting for as long as it lives.
class nesting_level {
 public:
  nesting_level(int& depth, archive_action action, name_view type, std::size_t at) : depth_(depth) {
    if (depth_ >= max_archive_depth) {
      too_deep(action, type, at);
    }
    ++depth_;
  }
  ~nesting_level() { --depth_; }
  nesting_level(const nesting_level&) = delete;
  nesting_level& operator=(const nesting_level&) = delete;

 private:
  [[noreturn]] TROUPE_API static void too_deep(archive_action action, name_view type,
                                               std::size_t at);

  int& depth_;
};

}  // namespace troupe::detail
