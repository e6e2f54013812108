/// How numbers, raw arrays, strings and the like are written and read; cereal finds these by
/// argument-dependent lookup.
///
/// Where cereal has a function for the same standard type, ours takes the exact archive and is the
/// more specialised: it wins also when the user includes cereal's header for that type.
#pragma once

#include <troupe/detail/archive_input.hpp>
#include <troupe/detail/archive_output.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

namespace troupe::detail {

/// Elements whose array is copied as raw memory: no invalid values and no padding.
template <class T>
constexpr bool is_raw() {
  if constexpr (std_complex<T>) {
    return is_raw<typename T::value_type>() && sizeof(T) == 2 * sizeof(typename T::value_type);
  } else {
    return (std::is_arithmetic_v<T> && !std::is_same_v<T, bool> &&
            !std::is_same_v<T, long double>) ||
           std::is_same_v<T, std::byte>;
  }
}

// --- arithmetic ---------------------------------------------------------------------------------

template <class T>
requires std::is_arithmetic_v<T>
void save(output_archive& ar, const T& value) {
  if constexpr (std::is_same_v<T, long double>) {
    // x87's 80 bits lie in 16 bytes, the rest of which is whatever was in memory before.
    constexpr std::size_t used = std::numeric_limits<T>::digits == 64 ? 10 : sizeof(T);
    std::byte raw[sizeof(T)] = {};
    std::memcpy(raw, &value, used);
    ar.put(raw, sizeof(raw));
  } else {
    ar.put_value(value);
  }
}

template <class T>
requires std::is_arithmetic_v<T>
void load(input_archive& ar, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    value = ar.get_bool(type_name<T>());
  } else {
    value = ar.get_value<T>(type_name<T>());
  }
}

// --- what stays in its process -------------------------------------------------------------------

template <class T>
requires(stays_in_process_v<T> && !requires(const T& t, output_archive& a) {
  t.save(a);
}) void save(output_archive&, const T&) {
  refuse_in_process(type_name<T>(), true);
}
template <class T>
requires(stays_in_process_v<T> &&
         !requires(T & t, input_archive& a) { t.load(a); }) void load(input_archive&, T&) {
  refuse_in_process(type_name<T>(), false);
}

// --- cereal's own wrappers ----------------------------------------------------------------------

template <class T>
void serialize(output_archive& ar, cereal::NameValuePair<T>& pair) {
  ar(pair.value);
}
template <class T>
void serialize(input_archive& ar, cereal::NameValuePair<T>& pair) {
  ar(pair.value);
}

template <class T>
void serialize(output_archive& ar, cereal::SizeTag<T>& tag) {
  ar.put_count(static_cast<std::size_t>(tag.size));
}
template <class T>
void serialize(input_archive& ar, cereal::SizeTag<T>& tag) {
  tag.size = static_cast<std::remove_reference_t<decltype(tag.size)>>(ar.get_foreign_count());
}

template <class T>
void save(output_archive& ar, const cereal::BinaryData<T>& data) {
  const auto size = static_cast<std::size_t>(data.size);
  ar.put_array(data.data, size, ar.is_stable(data.data, size));
}
template <class T>
void load(input_archive& ar, cereal::BinaryData<T>& data) {
  using element = std::remove_all_extents_t<std::remove_pointer_t<std::remove_reference_t<T>>>;
  constexpr name_view name = type_name<element>();
  const std::span<const std::byte> raw = ar.get_array(static_cast<std::size_t>(data.size), name);
  if constexpr (std::is_same_v<element, bool>) {
    for (const std::byte byte : raw) {
      if (byte > std::byte{1}) {
        ar.fail(name, "the array holds a byte that is neither true nor false");
      }
    }
  }
  if (!raw.empty()) {
    std::memcpy(data.data, raw.data(), raw.size());
  }
}

// --- arrays of raw elements: vector, string -----------------------------------------------------

/// Gives `out` the next array by `out.assign(first, last)`, in one pass where alignment allows.
template <class T, class Out>
void load_raw_sequence(input_archive& ar, Out& out, name_view name) {
  const std::size_t count = ar.get_array_count(sizeof(T), name);
  const std::span<const std::byte> raw = ar.get_array(count * sizeof(T), name);
  ar.charge(raw.size(), name);
  if (count == 0) {
    out.clear();
  } else if (reinterpret_cast<std::uintptr_t>(raw.data()) % alignof(T) == 0) {
    const auto* first = reinterpret_cast<const T*>(raw.data());
    out.assign(first, first + count);
  } else {
    out.resize(count);
    if (!raw.empty()) std::memcpy(out.data(), raw.data(), raw.size());
  }
}

template <class Char, class Traits, class Alloc>
void save(output_archive& ar, const std::basic_string<Char, Traits, Alloc>& text) {
  ar.put_count(text.size());
  ar.put_array(text.data(), text.size() * sizeof(Char), ar.is_stable(&text, sizeof(text)));
}
template <class Char, class Traits, class Alloc>
void load(input_archive& ar, std::basic_string<Char, Traits, Alloc>& text) {
  load_raw_sequence<Char>(ar, text, type_name<std::basic_string<Char, Traits, Alloc>>());
}

// --- small standard values, by shape, so that their headers need not be included ----------------
// cereal's functions for these are harmless and write the same: they are used once included. The
// archive is a parameter so that the question whether they are included does not ask itself.

template <std::same_as<output_archive> Archive, class T>
requires(std_duration<T> && !has_archive_functions<T>()) void save(Archive& ar, const T& duration) {
  ar(duration.count());
}
template <std::same_as<input_archive> Archive, class T>
requires(std_duration<T> && !has_archive_functions<T>()) void load(Archive& ar, T& duration) {
  auto count = typename T::rep();
  ar(count);
  duration = T(count);
}

template <std::same_as<output_archive> Archive, class T>
requires(std_time_point<T> && !has_archive_functions<T>()) void save(Archive& ar, const T& point) {
  ar(point.time_since_epoch());
}
template <std::same_as<input_archive> Archive, class T>
requires(std_time_point<T> && !has_archive_functions<T>()) void load(Archive& ar, T& point) {
  auto since_epoch = typename T::duration();
  ar(since_epoch);
  point = T(since_epoch);
}

template <std::same_as<output_archive> Archive, class T>
requires(std_complex<T> && !has_archive_functions<T>()) void save(Archive& ar, const T& number) {
  ar(number.real(), number.imag());
}
template <std::same_as<input_archive> Archive, class T>
requires(std_complex<T> && !has_archive_functions<T>()) void load(Archive& ar, T& number) {
  typename T::value_type real{};
  typename T::value_type imag{};
  ar(real, imag);
  number = T(real, imag);
}

template <std::same_as<output_archive> Archive, class T>
requires(std_path<T> && !has_archive_functions<T>()) void save(Archive& ar, const T& path) {
  ar(path.native());
}
template <std::same_as<input_archive> Archive, class T>
requires(std_path<T> && !has_archive_functions<T>()) void load(Archive& ar, T& path) {
  typename T::string_type native;
  ar(native);
  path = T(std::move(native));
}

}  // namespace troupe::detail
