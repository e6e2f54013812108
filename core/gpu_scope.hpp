/// Tells the library that uses GPUs which of them the code has that runs next on this thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include <troupe/detail/gpu_claim.hpp>

namespace troupe::core {

inline std::atomic<detail::gpu_hook> the_gpu_hook{nullptr};

/// While it lives, code with that GPU runs on this thread; then the code that waited for it goes on
/// with its own. Costs a load where no such library is.
class gpu_scope {
 public:
  /// `first_id()` gives an optional number; called only when somebody wants to know.
  template <class FirstId>
  explicit gpu_scope(FirstId&& first_id) noexcept
      : hook_(the_gpu_hook.load(std::memory_order_relaxed)) {
    if (hook_ == nullptr) return;
    outer_ = current;
    current = first_id();
    if (current) hook_(static_cast<int>(*current));
  }
  ~gpu_scope() {
    if (hook_ == nullptr) return;
    const bool had = current.has_value();
    current = outer_;
    if (had || current) hook_(current ? static_cast<int>(*current) : -1);
  }
  gpu_scope(const gpu_scope&) = delete;
  gpu_scope& operator=(const gpu_scope&) = delete;

 private:
  static inline thread_local std::optional<std::uint32_t> current;
  detail::gpu_hook hook_;
  std::optional<std::uint32_t> outer_;
};

}  // namespace troupe::core
