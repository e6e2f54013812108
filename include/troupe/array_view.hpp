/// The elements of an array that lies elsewhere, read in place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {

/// What `*view(ref)` gives for a ref to a `std::vector` of numbers: a span that compares with other
/// ranges. It is valid as long as the `object_view` that it came from.
template <class E>
class array_view : public std::span<const E> {
 public:
  using std::span<const E>::span;
  array_view(std::span<const E> elements) noexcept  // NOLINT: it is one
      : std::span<const E>(elements) {}

  const E& at(std::size_t i) const {
    if (i >= this->size()) {
      throw std::out_of_range("array_view: no element " + std::to_string(i) + " of " +
                              std::to_string(this->size()));
    }
    return (*this)[i];
  }
  /// A copy of one's own.
  std::vector<E> to_vector() const { return std::vector<E>(this->begin(), this->end()); }
  explicit operator std::vector<E>() const { return to_vector(); }

  template <std::ranges::contiguous_range R>
  friend bool operator==(const array_view& a, const R& b) {
    return std::ranges::equal(a, b);
  }
};

}  // namespace troupe

template <class E>
inline constexpr bool std::ranges::enable_borrowed_range<troupe::array_view<E>> = true;
template <class E>
inline constexpr bool std::ranges::enable_view<troupe::array_view<E>> = true;
