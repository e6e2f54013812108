/// What is made of a function, method or constructor so that another process can call it: a key
/// that every binary of the program agrees on, and how its arguments and results are written and
/// read.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/detail/callable.hpp>
#include <troupe/detail/invocation.hpp>
#include <troupe/detail/invoke.hpp>
#include <troupe/detail/remote_value.hpp>
#include <troupe/detail/sharing.hpp>

namespace troupe::detail {

// -- the register of functions --------------------------------------------------------------------

struct remote_function {
  std::string_view name;       ///< for messages
  const std::type_info* type;  ///< of its maker: names it in every binary
  invocation* (*make)(input_archive& arguments);
  const class_info* creates;  ///< the class of a constructor; null for others
};

/// The key of a function: the same in every binary that contains it. Two functions of one name
/// (static ones of two files) are told apart by the order in which they are registered, which is
/// the same in every process of one executable.
TROUPE_API std::uint64_t register_remote(const remote_function& function);

/// Instantiated by whatever can call the function, so that its binary can run it, too.
template <class Maker>
struct registration {
  static inline const std::uint64_t key =
      register_remote({Maker::name, &typeid(Maker), &Maker::make, Maker::creates()});
};

// -- arguments ------------------------------------------------------------------------------------

/// What a parameter's argument is archived as: views are sent as what they view.
template <class P>
struct wire_type {
  using type = std::remove_cvref_t<P>;
};
template <class P>
requires std::same_as<std::remove_cvref_t<P>, std::string_view>
struct wire_type<P> {
  using type = std::string;
};
template <class P>
struct span_element;
template <class E, std::size_t N>
struct span_element<std::span<const E, N>> {
  using type = E;
};
template <class P>
requires is_const_span<std::remove_cvref_t<P>>::value struct wire_type<P> {
  using type = std::vector<typename span_element<std::remove_cvref_t<P>>::type>;
};
template <class P>
using wire_type_t = typename wire_type<P>::type;

template <class W, class V>
void save_as(output_archive& archive, const V& value) {
  if constexpr (std::same_as<W, V>) {
    archive.root(value);
  } else if constexpr (std::constructible_from<W, const V&>) {
    archive(W(value));
  } else {
    archive(W(std::begin(value), std::end(value)));
  }
}

template <class W, class V>
void save_argument(output_archive& out, const V& value) {
  if constexpr (storable_v<W>) out.put_value(value_follows);
  save_as<W>(out, value);
}

/// An argument that is an object's value: where it lies, if it lies in a store.
template <class W, class U>
void save_object_argument(output_archive& out, object_state& object) {
  if constexpr (storable_v<W> && std::same_as<W, U>) {
    if (const stored_ptr where = share_array<U>(object)) {
      out.put_value(lies_in_store);
      return save_stored(out, *where);
    }
  }
  save_argument<W>(out, *static_cast<const U*>(object.value()));
}

template <class P, class A>
void value_argument<P, A>::archive(output_archive& out) const {
  save_argument<wire_type_t<P>>(out, value_);
}
template <class P, class U>
void object_argument<P, U>::archive(output_archive& out) const {
  save_object_argument<wire_type_t<P>, U>(out, *object_);
}

/// An argument that another process wrote. One that lies in a store is read by the task itself: its
/// thread may wait for it.
template <class P>
class arrived_argument {
  using wire = wire_type_t<P>;
  using plain = std::remove_cvref_t<P>;

 public:
  using received_as = P;
  static constexpr bool repeatable = copyable_v<wire>;
  static constexpr bool refers = false;

  explicit arrived_argument(input_archive& from) : where_(load_mark<wire>(from)) {
    if (!where_) value_.emplace(load_value<wire>(from));
  }

  decltype(auto) take([[maybe_unused]] bool keep) {
    if constexpr (is_const_span<plain>::value && reads_in_place_v<wire>) {
      return in_place();
    } else {
      if (!value_) value_.emplace(decode_mapped<wire>(*where_->map()));
      return take_value(keep);
    }
  }
  void archive(output_archive& out) const {
    if (value_) return save_argument<wire>(out, *value_);
    out.put_value(lies_in_store);
    save_stored(out, *where_);
  }

 private:
  auto in_place() {
    using element = typename wire::value_type;
    if (value_) return std::span<const element>(*value_);
    if (!pin_) pin_ = where_->map();
    const raw_array raw = view_raw_array(*pin_, sizeof(element), alignof(element));
    return std::span<const element>(static_cast<const element*>(raw.data), raw.count);
  }
  decltype(auto) take_value([[maybe_unused]] bool keep) {
    if constexpr (std::is_lvalue_reference_v<P> || !std::same_as<wire, plain>) {
      return static_cast<const wire&>(*value_);
    } else if constexpr (repeatable) {
      return keep ? wire(*value_) : wire(std::move(*value_));
    } else {
      return wire(std::move(*value_));
    }
  }

  std::optional<wire> value_;
  stored_ptr where_;
  mapping pin_;
};

// -- calls ----------------------------------------------------------------------------------------

/// What is small always comes as it is, and needs no mark.
template <class P>
class small_argument : public value_argument<P, wire_type_t<P>> {
 public:
  explicit small_argument(input_archive& from)
      : value_argument<P, wire_type_t<P>>(load_value<wire_type_t<P>>(from)) {}
};

template <class P>
using received_argument =
    std::conditional_t<storable_v<wire_type_t<P>>, arrived_argument<P>, small_argument<P>>;

template <class Base, class Target, class... P>
invocation* make_from(input_archive& arguments) {
  using slots = std::tuple<received_argument<P>...>;
  constexpr bool repeatable = (received_argument<P>::repeatable && ...);
  // Braces: the arguments are read from left to right.
  slots read{received_argument<P>(arguments)...};
  arguments.finish(type_name<Target>());
  return new call_type<Base, Target, slots, repeatable>(std::move(read));
}

/// Makes calls of `Target`, a function or a method, from what another process wrote.
template <class Base, class Target>
struct call_reader {
  static constexpr std::string_view name = Target::name;
  static constexpr const class_info* creates() { return nullptr; }
  template <class List>
  struct of;
  template <class... P>
  struct of<type_list<P...>> {
    static invocation* make(input_archive& arguments) {
      return make_from<Base, Target, P...>(arguments);
    }
  };
  static invocation* make(input_archive& arguments) {
    return of<typename given_params_of<typename Target::params>::type>::make(arguments);
  }
};

/// Makes an actor's creation. `P` is what each argument was archived as.
template <class Target, class... P>
struct construction_reader {
  static constexpr std::string_view name = Target::name;
  static constexpr const class_info* creates() { return Target::info(); }
  static invocation* make(input_archive& arguments) {
    return make_from<actor_call, Target, P...>(arguments);
  }
};

}  // namespace troupe::detail
