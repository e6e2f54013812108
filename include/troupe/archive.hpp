/// Turns values into bytes for another process and back; includes cereal.
///
/// Programs that only run tasks and actors do not need this header: it is for those who write or
/// read the archived form themselves. The form is meant for the same program on the same kind of
/// machine (little-endian, its own `sizeof(long)`); it is not a file format.
///
/// An enum is read as its underlying type: check values that came from elsewhere.
#pragma once

#include <troupe/detail/archivable.hpp>
#include <troupe/detail/archive_containers.hpp>
#include <troupe/detail/archive_error.hpp>
#include <troupe/detail/archive_input.hpp>
#include <troupe/detail/archive_output.hpp>
#include <troupe/detail/archive_scalars.hpp>
#include <troupe/detail/archive_values.hpp>
#include <troupe/in_process.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace troupe::detail {

/// Writes the values one after the other, as a tuple of them is read. Large arrays of lvalues are
/// referred to: those values must outlive the result, unchanged. Throws archive_error.
template <class... Ts>
requires(archivable<std::remove_reference_t<Ts>>&&...) encoded encode(Ts&&... values) {
  output_archive archive;
  const auto write = [&]<class T>(std::type_identity<T>, const auto& value) {
    if constexpr (std::is_lvalue_reference_v<T>) {
      archive.root(value);
    } else {
      archive(value);
    }
  };
  (write(std::type_identity<Ts>(), values), ...);
  return archive.take();
}

/// Reads one T that fills the bytes. Throws archive_error when they do not hold one
/// (whatever they hold instead), std::bad_alloc, and what the functions of T's classes throw.
template <archivable T>
requires std::is_object_v<T> T decode(std::span<const std::byte> inline_bytes,
                                      std::span<const std::span<const std::byte>> segments = {},
                                      input_limits limits = {}) {
  input_archive archive(inline_bytes, segments, limits);
  try {
    T value = load_value<T>(archive);
    archive.finish(type_name<T>());
    return value;
  } catch (const cereal::Exception& error) {
    archive.fail(type_name<T>(), error.what());
  }
}

/// The elements of an encoded std::vector<T> of numbers where they lie. Throws archive_error, also
/// when they are not aligned for a T.
template <class T>
requires(is_raw<T>()) std::span<const T> view_array(
    std::span<const std::byte> inline_bytes,
    std::span<const std::span<const std::byte>> segments = {}) {
  constexpr name_view name = type_name<std::vector<T>>();
  input_archive archive(inline_bytes, segments);
  const std::size_t count = archive.get_array_count(sizeof(T), name);
  const std::span<const std::byte> raw = archive.get_array(count * sizeof(T), name);
  archive.finish(name);
  if (reinterpret_cast<std::uintptr_t>(raw.data()) % alignof(T) != 0) {
    archive.fail(name, "its elements are not aligned to " + std::to_string(alignof(T)) +
                           " bytes; place segments and inline bytes at multiples of 64");
  }
  return {reinterpret_cast<const T*>(raw.data()), count};
}

}  // namespace troupe::detail
