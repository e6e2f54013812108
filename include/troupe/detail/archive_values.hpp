/// How pairs, tuples, arrays, optionals, variants and smart pointers are written and read.
#pragma once

#include <troupe/detail/archive_scalars.hpp>
#include <troupe/in_process.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <variant>

namespace cereal::memory_detail {
template <class T>
struct PtrWrapper;
}

namespace troupe::detail {

// --- a value by return, also of types without a default constructor -----------------------------

template <class T>
struct value_maker;
template <class Variant>
Variant load_variant(input_archive& ar);

/// Reads a T. What cannot be made empty first is an `in_process` or holds one: reading it throws.
template <class T>
T load_value(input_archive& ar) {
  if constexpr (std::is_default_constructible_v<T>) {
    T value = T();
    ar(value);
    return value;
  } else {
    return value_maker<T>::load(ar);
  }
}

template <class T>
requires stays_in_process_v<T>
struct value_maker<T> {
  [[noreturn]] static T load(input_archive&) { refuse_in_process(type_name<T>(), false); }
};
template <class A, class B>
struct value_maker<std::pair<A, B>> {
  // Braces: the elements are read from left to right.
  static std::pair<A, B> load(input_archive& ar) {
    return std::pair<A, B>{load_value<A>(ar), load_value<B>(ar)};
  }
};
template <class... Ts>
struct value_maker<std::tuple<Ts...>> {
  static std::tuple<Ts...> load(input_archive& ar) {
    return std::tuple<Ts...>{load_value<Ts>(ar)...};
  }
};
template <class T, std::size_t N>
struct value_maker<std::array<T, N>> {
  static std::array<T, N> load(input_archive& ar) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<T, N>{{(static_cast<void>(I), load_value<T>(ar))...}};
    }
    (std::make_index_sequence<N>());
  }
};
template <class First, class... Ts>
struct value_maker<std::variant<First, Ts...>> {
  static std::variant<First, Ts...> load(input_archive& ar) {
    return load_variant<std::variant<First, Ts...>>(ar);
  }
};

// --- pair, tuple, arrays ------------------------------------------------------------------------

template <class A, class B>
void serialize(output_archive& ar, std::pair<A, B>& pair) {
  ar(pair.first, pair.second);
}
template <class A, class B>
void serialize(input_archive& ar, std::pair<A, B>& pair) {
  ar(pair.first, pair.second);
}

template <class... Ts>
void serialize(output_archive& ar, std::tuple<Ts...>& tuple) {
  std::apply([&](auto&... values) { (static_cast<void>(ar(values)), ...); }, tuple);
}
template <class... Ts>
void serialize(input_archive& ar, std::tuple<Ts...>& tuple) {
  std::apply([&](auto&... values) { (static_cast<void>(ar(values)), ...); }, tuple);
}

// cereal writes and reads a C array by different means, which is the same only for its own
// archives.
template <class T, std::size_t N>
void serialize(output_archive& ar, T (&array)[N]) {
  if constexpr (is_raw<std::remove_all_extents_t<T>>()) {
    ar.put_array(array, sizeof(array), ar.is_stable(array, sizeof(array)));
  } else {
    for (T& element : array) {
      ar(element);
    }
  }
}
template <class T, std::size_t N>
void serialize(input_archive& ar, T (&array)[N]) {
  if constexpr (is_raw<std::remove_all_extents_t<T>>()) {
    const auto raw = ar.get_array(sizeof(array), type_name<T[N]>());
    std::memcpy(array, raw.data(), raw.size());
  } else {
    for (T& element : array) {
      ar(element);
    }
  }
}

template <class T, std::size_t N>
void save(output_archive& ar, const std::array<T, N>& array) {
  if constexpr (is_raw<T>()) {
    ar.put_array(array.data(), N * sizeof(T), ar.is_stable(&array, sizeof(array)));
  } else {
    for (const T& element : array) {
      ar(element);
    }
  }
}
template <class T, std::size_t N>
void load(input_archive& ar, std::array<T, N>& array) {
  if constexpr (N == 0) {
    return;
  } else if constexpr (is_raw<T>()) {
    const auto raw = ar.get_array(N * sizeof(T), type_name<std::array<T, N>>());
    std::memcpy(array.data(), raw.data(), raw.size());
  } else {
    for (T& element : array) {
      ar(element);
    }
  }
}

// --- optional, variant --------------------------------------------------------------------------

template <class T>
void save(output_archive& ar, const std::optional<T>& value) {
  ar.put_value(!value.has_value());
  if (value) {
    ar(*value);
  }
}
template <class T>
void load(input_archive& ar, std::optional<T>& value) {
  if (ar.get_bool(type_name<std::optional<T>>())) {
    value.reset();
  } else if constexpr (std::is_default_constructible_v<T>) {
    ar(value.emplace());
  } else {
    value.emplace(load_value<T>(ar));
  }
}

inline void serialize(output_archive&, std::monostate&) {}
inline void serialize(input_archive&, std::monostate&) {}

template <class First, class... Ts>
void save(output_archive& ar, const std::variant<First, Ts...>& variant) {
  if (variant.valueless_by_exception()) {
    ar.fail(type_name<std::variant<First, Ts...>>(),
            "it lost its value to an exception; give it one before it is passed on");
  }
  ar.put_value(static_cast<std::int32_t>(variant.index()));
  std::visit([&](const auto& value) { ar(value); }, variant);
}

template <class Variant>
Variant load_variant(input_archive& ar) {
  constexpr name_view name = type_name<Variant>();
  constexpr std::size_t size = std::variant_size_v<Variant>;
  const auto index = ar.get_value<std::int32_t>(name);
  if (index < 0 || static_cast<std::size_t>(index) >= size) {
    ar.fail(name, "it has " + std::to_string(size) + " alternatives and the bytes name number " +
                      std::to_string(index));
  }
  using maker = Variant (*)(input_archive&);
  constexpr auto makers = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<maker, size>{+[](input_archive& from) {
      return Variant(std::in_place_index<I>,
                     load_value<std::variant_alternative_t<I, Variant>>(from));
    }...};
  }
  (std::make_index_sequence<size>());
  return makers[static_cast<std::size_t>(index)](ar);
}

template <class First, class... Ts>
void load(input_archive& ar, std::variant<First, Ts...>& variant) {
  variant = load_variant<std::variant<First, Ts...>>(ar);
}

// --- smart pointers -----------------------------------------------------------------------------

template <class T>
constexpr void check_pointee() {
  static_assert(!std::is_polymorphic_v<T>,
                "troupe: a pointer to a polymorphic class cannot cross a process: the sender's "
                "bytes would choose which class the receiver makes; use a std::variant");
  static_assert(!std::is_array_v<T> && !std::is_void_v<T>,
                "troupe: a smart pointer to an array or to void does not know what it holds; use a "
                "std::vector");
}

/// What a heap object costs besides itself: the allocator's header, a control block.
inline constexpr std::size_t heap_overhead = 32;

template <class T, class D>
void save(output_archive& ar, const std::unique_ptr<T, D>& pointer) {
  check_pointee<T>();
  ar.put_value(pointer != nullptr);
  if (pointer) {
    const nesting_level level = ar.nest(type_name<std::unique_ptr<T, D>>());
    const bool stable = ar.is_stable(&pointer, sizeof(pointer));
    const output_archive::stable_scope scope(ar, pointer.get(), stable ? sizeof(T) : 0);
    ar(*pointer);
  }
}
template <class T, class D>
void load(input_archive& ar, std::unique_ptr<T, D>& pointer) {
  check_pointee<T>();
  static_assert(std::is_same_v<D, std::default_delete<T>>,
                "troupe: a unique_ptr with a deleter of its own cannot cross a process: the "
                "receiver would not know how to make what it deletes");
  using object = std::remove_const_t<T>;
  constexpr name_view name = type_name<std::unique_ptr<T, D>>();
  if (!ar.get_bool(name)) {
    pointer.reset();
    return;
  }
  const nesting_level level = ar.nest(name);
  ar.charge(sizeof(object) + heap_overhead, name);
  if constexpr (std::is_default_constructible_v<object>) {
    auto made = std::make_unique<object>();
    ar(*made);
    pointer = std::move(made);
  } else {
    pointer = std::make_unique<object>(load_value<object>(ar));
  }
}

template <class T>
void save_shared(output_archive& ar, const std::shared_ptr<T>& pointer, bool owning, bool stable) {
  check_pointee<T>();
  using object = std::remove_const_t<T>;
  constexpr name_view name = type_name<std::shared_ptr<T>>();
  const std::size_t index = ar.put_shared_id(pointer, typeid(object), owning, name);
  if (index != output_archive::nothing_to_write) {
    const nesting_level level = ar.nest(name);
    const output_archive::stable_scope scope(ar, pointer.get(), stable ? sizeof(T) : 0);
    ar(*pointer);
    ar.shared_written(index);
  }
}

template <class T>
std::shared_ptr<T> load_shared(input_archive& ar, bool owning) {
  check_pointee<T>();
  using object = std::remove_const_t<T>;
  constexpr name_view name = type_name<std::shared_ptr<T>>();
  auto reference = ar.get_shared(typeid(object), owning, name);
  if (!reference.fresh) {
    return std::static_pointer_cast<object>(std::move(reference.object));
  }
  const nesting_level level = ar.nest(name);
  ar.charge(sizeof(object) + heap_overhead, name);
  if constexpr (std::is_default_constructible_v<object>) {
    auto made = std::make_shared<object>();
    const std::size_t index = ar.add_shared(made, typeid(object));
    ar(*made);
    ar.shared_read(index);
    return made;
  } else {
    return std::make_shared<object>(load_value<object>(ar));
  }
}

template <class T>
void save(output_archive& ar, const std::shared_ptr<T>& pointer) {
  save_shared(ar, pointer, true, ar.is_stable(&pointer, sizeof(pointer)));
}
template <class T>
void load(input_archive& ar, std::shared_ptr<T>& pointer) {
  pointer = load_shared<T>(ar, true);
}

/// The object is written even if only weak pointers lead to it; read back, those have expired.
template <class T>
void save(output_archive& ar, const std::weak_ptr<T>& pointer) {
  save_shared(ar, pointer.lock(), false, false);
}
template <class T>
void load(input_archive& ar, std::weak_ptr<T>& pointer) {
  pointer = load_shared<T>(ar, false);
}

// cereal's way in for pointers checks neither ids nor types.
template <class T>
void save(output_archive&, const cereal::memory_detail::PtrWrapper<T>&) = delete;
template <class T>
void load(input_archive&, cereal::memory_detail::PtrWrapper<T>&) = delete;

}  // namespace troupe::detail
