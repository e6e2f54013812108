/// Answers at compile time whether a type can cross a process, without including cereal.
///
/// The answer follows cereal's rules and looks through the standard library's types to what they
/// hold:
/// - arithmetic types, enums and `void`;
/// - `std` strings, containers, `array`, `pair`, `tuple`, `optional`, `variant`, `unique_ptr`,
///   `shared_ptr`, `weak_ptr`, `complex`, `filesystem::path`, durations and time points, when
///   what they hold is archivable (pointees must not be polymorphic: the peer's bytes would choose
///   the class);
/// - default-constructible classes with exactly one of cereal's ways to be written and read:
///   `serialize`, `save` + `load` or `save_minimal` + `load_minimal`, as members or as functions
///   found by argument-dependent lookup (also in namespace cereal), with or without a version.
/// Everything else is not: raw pointers, views, functions, threads, locks, streams, and aggregates
/// that do not say how to be written.
///
/// Standard types are recognised by their namespace and shape, so that this header needs none of
/// theirs. Private functions are seen through `friend class cereal::access` as soon as
/// <cereal/access.hpp> is included before the class, which a class with that friend does anyway.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cereal {
class access;
}

namespace troupe {

/// Opt-in for a type of yours that this header judges wrongly (a `cereal::specialize`, functions
/// that are declared later): `template <> inline constexpr bool troupe::enable_archive<mine> =
/// true;`, before its first use. The archive's own compile-time checks still apply.
template <class T>
inline constexpr bool enable_archive = false;

namespace detail {

struct name_view {
  const char* data;
  std::size_t size;
};

template <class T>
constexpr name_view signature_of() {
  return {__PRETTY_FUNCTION__, sizeof(__PRETTY_FUNCTION__) - 1};
}

/// The type's name as the compiler writes it, without a terminating zero.
template <class T>
constexpr name_view type_name() {
  constexpr std::size_t end = 1;  // both compilers close with one ']'
  constexpr std::size_t begin = signature_of<int>().size - end - (sizeof("int") - 1);
  constexpr name_view whole = signature_of<T>();
  return {whole.data + begin, whole.size - begin - end};
}

template <class T>
constexpr bool declared_in_std() {
  constexpr name_view name = type_name<T>();
  return name.size > 5 && name.data[0] == 's' && name.data[1] == 't' && name.data[2] == 'd' &&
         name.data[3] == ':' && name.data[4] == ':';
}

template <class T>
constexpr bool judge_archivable();

/// Types that pass where an archivable one is asked for, but whose values cannot leave their
/// process: archiving one throws.
template <class T>
inline constexpr bool stays_in_process_v = false;

/// The answer. Troupe's own types that know how to cross a process specialise it.
template <class T>
inline constexpr bool archivable_v = judge_archivable<T>();

// ---------------------------------------------------------------------------------------------
// The user's functions. They are called on stand-ins for the archives, unevaluated.

/// `Access` is cereal::access: it makes namespace cereal an associated one, as the real archives'
/// base class does.
template <class Access, bool Loading>
class probe {
 public:
  using is_loading = std::bool_constant<Loading>;
  using is_saving = std::bool_constant<!Loading>;

  template <class... Ts>
  probe& operator()(Ts&&...);
  template <class T>
  probe& operator&(T&&);
  template <class T>
  probe& operator<<(T&&) requires(!Loading);
  template <class T>
  probe& operator>>(T&&) requires(Loading);
  void serializeDeferments();
};

using output_probe = probe<cereal::access, false>;
using input_probe = probe<cereal::access, true>;

// Access is a parameter so that an incomplete cereal::access is a "no", not an error.
template <class Ar, class T, class Access, class... Version>
concept member_serialize = requires(Ar& ar, T& t, Version... v) {
  t.serialize(ar, v...);
}
|| requires(Ar& ar, T& t, Version... v) { Access::member_serialize(ar, t, v...); };
template <class Ar, class T, class Access, class... Version>
concept member_save = requires(Ar& ar, const T& t, Version... v) {
  t.save(ar, v...);
}
|| requires(Ar& ar, const T& t, Version... v) { Access::member_save(ar, t, v...); };
template <class Ar, class T, class Access, class... Version>
concept member_load = requires(Ar& ar, T& t, Version... v) {
  t.load(ar, v...);
}
|| requires(Ar& ar, T& t, Version... v) { Access::member_load(ar, t, v...); };

template <class Ar, class T, class... Version>
concept free_serialize = requires(Ar& ar, T& t, Version... v) {
  serialize(ar, t, v...);
};
template <class Ar, class T, class... Version>
concept free_save = requires(Ar& ar, const T& t, Version... v) {
  save(ar, t, v...);
};
template <class Ar, class T, class... Version>
concept free_load = requires(Ar& ar, T& t, Version... v) {
  load(ar, t, v...);
};

// The type that save_minimal makes, or void. cereal allows arithmetic types and strings only.
template <class T>
concept minimal_type = std::is_arithmetic_v<T> ||(declared_in_std<T>() && requires(const T& t) {
  typename T::traits_type;
  t.c_str();
});

template <class T, class Access, class... Version>
constexpr auto member_minimal() {
  using ar = const output_probe&;
  using t = const T&;
  if constexpr (requires(ar a, t x, Version... v) { x.save_minimal(a, v...); }) {
    return std::type_identity<decltype(std::declval<t>().save_minimal(std::declval<ar>(),
                                                                      Version{}...))>{};
  } else if constexpr (requires(ar a, t x, Version... v) {
                         Access::member_save_minimal(a, x, v...);
                       }) {
    return std::type_identity<decltype(Access::member_save_minimal(
        std::declval<ar>(), std::declval<t>(), Version{}...))>{};
  } else {
    return std::type_identity<void>{};
  }
}

template <class T, class... Version>
constexpr auto free_minimal() {
  using ar = const output_probe&;
  using t = const T&;
  if constexpr (requires(ar a, t x, Version... v) { save_minimal(a, x, v...); }) {
    return std::type_identity<decltype(save_minimal(std::declval<ar>(), std::declval<t>(),
                                                    Version{}...))>{};
  } else {
    return std::type_identity<void>{};
  }
}

template <class T, class Minimal, class Access, class... Version>
concept member_load_minimal = requires(const input_probe& ar, T& t, const Minimal& m,
                                       Version... v) {
  t.load_minimal(ar, m, v...);
}
|| requires(const input_probe& ar, T& t, const Minimal& m, Version... v) {
  Access::member_load_minimal(ar, t, m, v...);
};
template <class T, class Minimal, class... Version>
concept free_load_minimal = requires(const input_probe& ar, T& t, const Minimal& m, Version... v) {
  load_minimal(ar, t, m, v...);
};

/// How many ways there are to write (`saves`) and read (`loads`) a T; cereal wants one of each.
struct ways {
  int saves = 0;
  int loads = 0;
};

template <class T, class... Version>
constexpr ways count_ways() {
  using access = cereal::access;
  ways n;
  n.saves += member_serialize<output_probe, T, access, Version...>;
  n.saves += free_serialize<output_probe, T, Version...>;
  n.saves += member_save<output_probe, T, access, Version...>;
  n.saves += free_save<output_probe, T, Version...>;
  n.loads += member_serialize<input_probe, T, access, Version...>;
  n.loads += free_serialize<input_probe, T, Version...>;
  n.loads += member_load<input_probe, T, access, Version...>;
  n.loads += free_load<input_probe, T, Version...>;

  using by_member = typename decltype(member_minimal<T, access, Version...>())::type;
  if constexpr (minimal_type<std::remove_cvref_t<by_member>>) {
    ++n.saves;
    n.loads += member_load_minimal<T, std::remove_cvref_t<by_member>, access, Version...>;
  }
  using by_function = typename decltype(free_minimal<T, Version...>())::type;
  if constexpr (minimal_type<std::remove_cvref_t<by_function>>) {
    ++n.saves;
    n.loads += free_load_minimal<T, std::remove_cvref_t<by_function>, Version...>;
  }
  return n;
}

/// True when cereal finds its functions for T and they are unambiguous.
template <class T>
constexpr bool has_archive_functions() {
  constexpr ways plain = count_ways<T>();
  constexpr ways versioned = count_ways<T, std::uint32_t>();
  return plain.saves + versioned.saves == 1 && plain.loads + versioned.loads == 1;
}

// ---------------------------------------------------------------------------------------------
// The standard library's types, by namespace and shape.

template <class T>
inline constexpr bool held_archivable = !std::is_void_v<T> && archivable_v<T>;

template <class T>
concept std_string = requires(const T& t) {
  typename T::traits_type;
  typename T::allocator_type;
  t.c_str();
};

template <class T>
concept std_container = requires(T& t) {
  typename T::value_type;
  typename T::allocator_type;
  t.begin();
  t.end();
  t.clear();
};

template <class T>
concept std_map = std_container<T> && requires {
  typename T::mapped_type;
};

template <class T>
concept std_array = requires(T& t, const typename T::value_type& v) {
  t.fill(v);
  t.data();
  t.size();
};

template <class T>
concept std_optional = requires(T& t) {
  typename T::value_type;
  t.has_value();
  t.reset();
  *t;
}
&&!requires { typename T::error_type; };

template <class T>
concept std_unique_ptr = requires(T& t) {
  typename T::element_type;
  typename T::deleter_type;
  t.release();
}
&&declared_in_std<typename T::deleter_type>() && std::is_empty_v<typename T::deleter_type>;

template <class T>
concept std_shared_or_weak_ptr = requires(const T& t) {
  t.use_count();
  t.owner_before(t);
};

template <class T>
concept std_duration = declared_in_std<T>() && requires(const T& t) {
  typename T::rep;
  typename T::period;
  t.count();
};

template <class T>
concept std_time_point = declared_in_std<T>() && requires(const T& t) {
  typename T::clock;
  typename T::duration;
  t.time_since_epoch();
};

template <class T>
concept std_complex = declared_in_std<T>() && requires(const T& t) {
  typename T::value_type;
  t.real();
  t.imag();
};

template <class T>
concept std_path = declared_in_std<T>() && requires(const T& t) {
  typename T::string_type;
  t.native();
  t.lexically_normal();
};

/// std::monostate is the one empty standard class that is ordered and no template.
template <class T>
concept std_monostate = declared_in_std<T>() && std::is_empty_v<T> && requires(const T& t) {
  t <=> t;
};

/// Whether a smart pointer's pointee may be written: its class is known where it is read.
template <class T>
inline constexpr bool pointee_archivable = false;
template <template <class, class...> class Pointer, class T, class... Deleter>
requires(!std::is_void_v<T> &&
         !std::is_array_v<T>) inline constexpr bool pointee_archivable<Pointer<T, Deleter...>> =
    !std::is_polymorphic_v<T> && archivable_v<T>;

template <class T>
inline constexpr bool all_held_archivable = false;
template <class A, class B>
inline constexpr bool all_held_archivable<std::pair<A, B>> =
    held_archivable<A>&& held_archivable<B>;
template <class... Ts>
inline constexpr bool all_held_archivable<std::tuple<Ts...>> = (held_archivable<Ts> && ...);
template <template <class...> class Variant, class... Ts>
requires requires(const Variant<Ts...>& v) { v.valueless_by_exception(); }
inline constexpr bool all_held_archivable<Variant<Ts...>> = (held_archivable<Ts> && ...);

template <class T>
constexpr bool std_type_archivable() {
  if constexpr (std_string<T>) {
    return true;
  } else if constexpr (std_map<T>) {
    return held_archivable<typename T::key_type> && held_archivable<typename T::mapped_type>;
  } else if constexpr (std_container<T> || std_array<T> || std_optional<T>) {
    return held_archivable<typename T::value_type>;
  } else if constexpr (std_unique_ptr<T> || std_shared_or_weak_ptr<T>) {
    return pointee_archivable<T>;
  } else if constexpr (std_duration<T>) {
    return archivable_v<typename T::rep>;
  } else if constexpr (std_time_point<T>) {
    return archivable_v<typename T::duration>;
  } else if constexpr (std_complex<T>) {
    return archivable_v<typename T::value_type>;
  } else if constexpr (std_path<T> || std_monostate<T>) {
    return true;
  } else if constexpr (all_held_archivable<T>) {
    return true;
  } else {
    // Further types of cereal's own headers (bitset, queue, valarray) count once included.
    return has_archive_functions<T>() && std::is_default_constructible_v<T>;
  }
}

template <class T>
constexpr bool judge_archivable() {
  if constexpr (!std::is_same_v<T, std::remove_cv_t<T>>) {
    return archivable_v<std::remove_cv_t<T>>;
  } else if constexpr (enable_archive<T> || stays_in_process_v<T> || std::is_void_v<T>) {
    return true;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    return true;
  } else if constexpr (!std::is_class_v<T> && !std::is_union_v<T>) {
    return false;
  } else {
    static_assert(sizeof(T) > 0, "a type must be complete where troupe asks to archive it");
    if constexpr (declared_in_std<T>()) {
      return std_type_archivable<T>();
    } else {
      return has_archive_functions<T>() && std::is_default_constructible_v<T>;
    }
  }
}

}  // namespace detail

/// A type whose values can cross a process.
template <class T>
concept archivable = detail::archivable_v<T>;

}  // namespace troupe
