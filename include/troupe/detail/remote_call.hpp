/// What is made of a function, method or constructor so that another process can call it: a key
/// that every binary of the program agrees on, and how its arguments and results are written and
/// read.
#pragma once

#include <concepts>
#include <cstdint>
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

template <class P, class A>
void value_argument<P, A>::archive(output_archive& out) const {
  save_as<wire_type_t<P>>(out, value_);
}
template <class P, class U>
void object_argument<P, U>::archive(output_archive& out) const {
  save_as<wire_type_t<P>>(out, *static_cast<const U*>(object_->value()));
}

// -- calls ----------------------------------------------------------------------------------------

template <class P>
using received_argument = value_argument<P, wire_type_t<P>>;

template <class Base, class Target, class... P>
invocation* make_from(input_archive& arguments) {
  using slots = std::tuple<received_argument<P>...>;
  constexpr bool repeatable = (received_argument<P>::repeatable && ...);
  // Braces: the arguments are read from left to right.
  slots read{received_argument<P>(load_value<wire_type_t<P>>(arguments))...};
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

// -- objects --------------------------------------------------------------------------------------

template <class T, class Object>
void receive_value(Object& object, [[maybe_unused]] result_slot<T>& slot,
                   input_archive& archive) noexcept {
  if (!object.claim()) return;
  try {
    if constexpr (std::is_void_v<T>) {
      archive.finish(name_view{"void", 4});
      object.complete(nullptr);
    } else {
      object.complete(slot.emplace_from([&] {
        T value = load_value<T>(archive);
        archive.finish(type_name<T>());
        return value;
      }));
    }
  } catch (...) {
    object.fail(make_failure(std::current_exception()));
  }
}

template <class T>
class remote_value final : public remote_object {
 public:
  void complete_from(input_archive& archive) noexcept override {
    receive_value<T>(*this, slot_, archive);
  }

 private:
  ~remote_value() override {
    if (has_value()) slot_.destroy();
  }
  [[no_unique_address]] result_slot<T> slot_;
};

template <class T>
void save_value_of([[maybe_unused]] output_archive& archive, [[maybe_unused]] const void* value) {
  if constexpr (!std::is_void_v<T>) archive.root(*static_cast<const T*>(value));
}

template <class T>
const object_ops& object_ops_of() noexcept {
  static constexpr object_ops ops{&save_value_of<T>,
                                  []() -> remote_object* { return new remote_value<T>; }};
  return ops;
}

}  // namespace troupe::detail
