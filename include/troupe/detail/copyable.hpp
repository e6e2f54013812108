/// Whether a value can really be copied: the standard's trait believes every `std::vector`.
#pragma once

#include <type_traits>

namespace troupe::detail {

template <class T>
consteval bool judge_copyable() {
  if constexpr (!std::is_copy_constructible_v<T>) {
    return false;
  } else if constexpr (requires {
                         typename T::value_type;
                         typename T::allocator_type;
                       }) {
    if constexpr (std::is_same_v<typename T::value_type, T>) {
      return true;
    } else {
      return judge_copyable<typename T::value_type>();
    }
  } else {
    return true;
  }
}

/// True for copyable types, and for containers only when their elements are.
template <class T>
inline constexpr bool copyable_v = judge_copyable<T>();

}  // namespace troupe::detail
