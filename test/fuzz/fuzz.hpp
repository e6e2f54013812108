/// What the fuzz targets share: taking numbers and pieces off the input, and a bound on memory.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <sanitizer/allocator_interface.h>

namespace troupe::fuzz {

/// Ends the process, so that libFuzzer keeps the input.
[[noreturn]] inline void found(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}
inline void check(bool good, const char* what) {
  if (!good) found(what);
}

/// The input from front to back. What is not there is zero or empty.
class input {
 public:
  input(const std::uint8_t* data, std::size_t size) : rest_(std::as_bytes(std::span(data, size))) {}
  std::span<const std::byte> take(std::size_t wanted) {
    const auto taken = rest_.first(std::min(wanted, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::span<const std::byte> rest() const { return rest_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(rest_.data()), rest_.size()};
  }
  template <class T>
  T number() {
    T value = 0;
    const auto bytes = take(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

 private:
  std::span<const std::byte> rest_;
};

/// While one lives, all that the process holds of what was allocated meanwhile stays under a bound:
/// nothing allocates more than it received, but for a factor and what is there in any case.
class memory_bound {
 public:
  explicit memory_bound(std::size_t bytes) {
    [[maybe_unused]] static const int installed =
        __sanitizer_install_malloc_and_free_hooks(&allocated, &freed);
    held_ = 0;
    most_ = static_cast<std::ptrdiff_t>(bytes);
    active_ = true;
  }
  ~memory_bound() { active_ = false; }
  memory_bound(const memory_bound&) = delete;
  memory_bound& operator=(const memory_bound&) = delete;

 private:
  static void allocated(const volatile void* /*at*/, std::size_t size) {
    if (!active_) return;
    held_ += static_cast<std::ptrdiff_t>(size);
    if (held_ > most_) {
      active_ = false;
      std::fprintf(stderr, "fuzz: %td bytes are held and %td may be\n", held_, most_);
      std::abort();
    }
  }
  static void freed(const volatile void* at) {
    if (active_ && at != nullptr) {
      held_ -= static_cast<std::ptrdiff_t>(
          __sanitizer_get_allocated_size(const_cast<const void*>(at)));  // NOLINT
    }
  }

  // Of the thread that reads the input; an endpoint's own are bounded by -rss_limit_mb.
  static inline thread_local bool active_ = false;
  static inline thread_local std::ptrdiff_t held_ = 0;
  static inline thread_local std::ptrdiff_t most_ = 0;
};

}  // namespace troupe::fuzz
