/// What a function, method or lambda takes and gives, and how its arguments are kept until it runs.
#pragma once

#include <array>
#include <concepts>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <troupe/detail/archivable.hpp>
#include <troupe/detail/copyable.hpp>
#include <troupe/detail/invocation.hpp>

namespace troupe {

template <class T>
class object_ref;
class any_ref;
template <class T>
class async;
template <class T>
class generator;
template <class T>
class object_stream;

namespace detail {

// -- signatures -----------------------------------------------------------------------------------

template <class... T>
struct type_list {
  static constexpr std::size_t size = sizeof...(T);
};

template <class Result, class Class, class... Params>
struct signature {
  using result = Result;
  using class_type = Class;
  using params = type_list<Params...>;
};

template <class F>
struct callable_signature;
template <class F>
requires requires { &F::operator(); }
struct callable_signature<F> : callable_signature<decltype(&F::operator())> {
};  // a captureless lambda
template <class R, class... P>
struct callable_signature<R (*)(P...)> : signature<R, void, P...> {};
template <class R, class... P>
struct callable_signature<R (*)(P...) noexcept> : signature<R, void, P...> {};
template <class R, class C, class... P>
struct callable_signature<R (C::*)(P...)> : signature<R, C, P...> {};
template <class R, class C, class... P>
struct callable_signature<R (C::*)(P...) const> : signature<R, C, P...> {};
template <class R, class C, class... P>
struct callable_signature<R (C::*)(P...) noexcept> : signature<R, C, P...> {};
template <class R, class C, class... P>
struct callable_signature<R (C::*)(P...) const noexcept> : signature<R, C, P...> {};
template <class R, class C, class... P>
struct callable_signature<R (C::*)(P...)&> : signature<R, C, P...> {};
template <class R, class C, class... P>
struct callable_signature<R (C::*)(P...) const&> : signature<R, C, P...> {};

/// The name of a function as the compiler prints it: the same in every binary of one compiler.
template <auto F>
consteval std::string_view function_name() {
  std::string_view text = __PRETTY_FUNCTION__;
#ifdef __clang__
  text.remove_prefix(text.find("F = ") + 4);
  text.remove_suffix(1);
#else
  text.remove_prefix(text.find("F = ") + 4);
  text = text.substr(0, text.rfind("; std::string_view"));
#endif
  if (text.starts_with('&')) text.remove_prefix(1);
  return text;
}

template <class T>
consteval std::string_view class_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
#ifdef __clang__
  text.remove_suffix(1);
#else
  text = text.substr(0, text.rfind("; std::string_view"));
#endif
  return text;
}

// -- results --------------------------------------------------------------------------------------

template <class R>
struct result_kind {
  using value_type = std::remove_cvref_t<R>;
  using reference = object_ref<value_type>;
  static constexpr bool is_async = false;
  static constexpr bool is_generator = false;
};
template <class T>
struct result_kind<async<T>> {
  using value_type = T;
  using reference = object_ref<T>;
  static constexpr bool is_async = true;
  static constexpr bool is_generator = false;
};
template <class T>
struct result_kind<generator<T>> {
  using value_type = T;
  using reference = object_stream<T>;
  static constexpr bool is_async = false;
  static constexpr bool is_generator = true;
};

// -- arguments ------------------------------------------------------------------------------------

template <class A>
struct referred {
  static constexpr bool is_ref = false;
};
template <class U>
struct referred<object_ref<U>> {
  static constexpr bool is_ref = true;
  using type = U;
};

template <class P>
struct is_const_span : std::false_type {};
template <class E, std::size_t N>
struct is_const_span<std::span<const E, N>> : std::true_type {};

/// What a by-value parameter is stored as while the call waits: views get something to view.
template <class P, class A>
struct storage_of {
  using type = std::remove_cvref_t<P>;
};
template <class A>
struct storage_of<std::string_view, A> {
  using type = std::string;
};
template <class E, std::size_t N, class A>
requires(!referred<A>::is_ref) struct storage_of<std::span<const E, N>, A> {
  using type = A;
};

template <class P>
struct wire_type;

/// Holds an argument that was given by value.
template <class P, class A>
class value_argument {
 public:
  using stored = typename storage_of<std::remove_cvref_t<P>, std::remove_cvref_t<A>>::type;
  using received_as = P;  ///< the parameter that the other process reads it for
  static constexpr bool repeatable = copyable_v<stored>;
  static constexpr bool refers = false;

  template <class T>
  explicit value_argument(T&& value) : value_(std::forward<T>(value)) {}

  decltype(auto) take([[maybe_unused]] bool keep) {
    if constexpr (std::is_lvalue_reference_v<P> || !std::same_as<stored, std::remove_cvref_t<P>>) {
      return static_cast<const stored&>(value_);
    } else if constexpr (std::is_trivially_copyable_v<stored>) {
      return stored(value_);
    } else if constexpr (repeatable) {
      return keep ? stored(value_) : stored(std::move(value_));
    } else {
      return stored(std::move(value_));
    }
  }
  void archive(output_archive& out) const;

 private:
  stored value_;
};

/// Holds an argument that is the value of an object, perhaps one that is not ready yet.
template <class P, class U>
class object_argument {
 public:
  using received_as = P;
  static constexpr bool repeatable = copyable_v<U>;
  static constexpr bool refers = true;

  explicit object_argument(object_ptr object) : object_(std::move(object)) {}

  decltype(auto) take([[maybe_unused]] bool keep) {
    using plain = std::remove_cvref_t<P>;
    if constexpr (is_const_span<plain>::value && reads_in_place_v<U>) {
      return read_in_place<typename U::value_type>(*object_, pin_);
    } else {
      return take_value(*static_cast<U*>(object_->value()), keep);
    }
  }
  object_state& object() noexcept { return *object_; }
  dependency& node() noexcept { return node_; }
  void archive(output_archive& out) const;

 private:
  decltype(auto) take_value(U& value, [[maybe_unused]] bool keep) {
    using plain = std::remove_cvref_t<P>;
    if constexpr (std::is_lvalue_reference_v<P> || std::is_trivially_copyable_v<U> ||
                  !std::same_as<plain, U>) {
      return static_cast<const U&>(value);  // read in place, or converted by the call
    } else if constexpr (copyable_v<U>) {
      return !keep && object_->sole_ref() ? U(std::move(value)) : U(value);
    } else {
      if (!object_->sole_ref()) throw_shared_move_only(class_name<U>());
      return U(std::move(value));
    }
  }

  [[noreturn]] static void throw_shared_move_only(std::string_view type);
  object_ptr object_;
  dependency node_;
  mapping pin_;  ///< of a value that is read in place
};

[[noreturn]] TROUPE_API void throw_move_only_is_shared(std::string_view type);

template <class P, class U>
void object_argument<P, U>::throw_shared_move_only(std::string_view type) {
  throw_move_only_is_shared(type);
}

template <class P>
inline constexpr bool is_out_parameter_v =
    std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

/// The value type inside an `object_ref` argument fits the parameter.
template <class P, class U>
concept referred_value_fits = std::convertible_to<const U&, std::remove_cvref_t<P>> ||
    std::same_as<std::remove_cvref_t<P>, U>;

/// The parameter wants the ref itself, not what it refers to.
template <class P, class A>
concept takes_the_ref = referred<std::remove_cvref_t<A>>::is_ref &&
    (referred<std::remove_cvref_t<P>>::is_ref ||
     std::same_as<std::remove_cvref_t<P>, any_ref>)&&std::convertible_to<A, std::remove_cvref_t<P>>;

template <class P, class A>
struct argument_slot {
  using type = value_argument<P, std::remove_cvref_t<A>>;
};
template <class P, class A>
requires(referred<std::remove_cvref_t<A>>::is_ref &&
         !takes_the_ref<P, A>) struct argument_slot<P, A> {
  using type = object_argument<P, typename referred<std::remove_cvref_t<A>>::type>;
};

template <class P, class A>
consteval bool argument_fits() {
  using given = std::remove_cvref_t<A>;
  if constexpr (takes_the_ref<P, A>) {
    return std::convertible_to<A, std::remove_cvref_t<P>>;
  } else if constexpr (referred<given>::is_ref) {
    if constexpr (std::is_void_v<typename referred<given>::type>) {
      return false;
    } else {
      return referred_value_fits<P, typename referred<given>::type>;
    }
  } else {
    using stored = typename storage_of<std::remove_cvref_t<P>, given>::type;
    return std::constructible_from<stored, A> && std::convertible_to<A, std::remove_cvref_t<P>>;
  }
}

/// Checks one parameter and one argument, with a sentence for each way to be wrong.
template <class P, class A>
consteval bool check_argument() {
  static_assert(!is_out_parameter_v<P>,
                "troupe: the function takes a non-const reference; a task runs elsewhere, so give "
                "results back by value");
  if constexpr (!is_out_parameter_v<P>) {
    static_assert(argument_fits<P, A>(),
                  "troupe: an argument does not convert to its parameter (an object_ref<T> may "
                  "stand where a T is expected)");
    using plain = std::remove_cvref_t<P>;
    static_assert(takes_the_ref<P, A> || is_const_span<plain>::value ||
                      std::same_as<plain, std::string_view> || archivable_v<plain>,
                  "troupe: cereal cannot archive a parameter's type, so it cannot cross a process: "
                  "give it a serialize() or wrap it in troupe::in_process<T>");
  }
  return true;
}

template <class R>
consteval bool check_result() {
  using value = typename result_kind<std::remove_cvref_t<R>>::value_type;
  static_assert(archivable_v<value>,
                "troupe: cereal cannot archive the result's type, so it cannot cross a process: "
                "give it a serialize() or wrap it in troupe::in_process<T>");
  return true;
}

/// Turns an argument into what its slot is made from.
template <class P, class A>
decltype(auto) slot_input(A&& argument) {
  if constexpr (referred<std::remove_cvref_t<A>>::is_ref && !takes_the_ref<P, A>) {
    return std::forward<A>(argument).pointer();
  } else {
    return std::forward<A>(argument);
  }
}

// -- parameters that are filled in ----------------------------------------------------------------

template <class P>
inline constexpr bool is_filled_in_v = std::same_as<std::remove_cvref_t<P>, std::stop_token>;

/// Drops the parameters that the runtime fills in.
template <class Done, class... Rest>
struct given_params {
  using type = Done;
};
template <class... Done, class P, class... Rest>
struct given_params<type_list<Done...>, P, Rest...>
    : given_params<std::conditional_t<is_filled_in_v<P>, type_list<Done...>, type_list<Done..., P>>,
                   Rest...> {};

template <class List>
struct given_params_of;
template <class... P>
struct given_params_of<type_list<P...>> {
  using type = typename given_params<type_list<>, P...>::type;
};

/// The slots of a parameter list for the arguments of one call.
template <class Params, class Args>
struct slots_for;
template <class... P, class... A>
requires(sizeof...(P) == sizeof...(A)) struct slots_for<type_list<P...>, type_list<A...>> {
  static_assert((check_argument<P, A>() && ...));
  using type = std::tuple<typename argument_slot<P, A>::type...>;
  static constexpr bool repeatable = (argument_slot<P, A>::type::repeatable && ...);
  static constexpr bool refers = (argument_slot<P, A>::type::refers || ...);
};

/// Calls `target` with its stored arguments in place; a `std::stop_token` gets the call's own.
template <class Target, class... P, class Slots>
decltype(auto) call_with(Target&& target, type_list<P...>, Slots& slots, invocation& call,
                         [[maybe_unused]] bool keep) {
  constexpr std::size_t count = sizeof...(P);
  if constexpr ((is_filled_in_v<P> || ...)) {
    // Position of each parameter among those that were given.
    constexpr auto positions = [] {
      std::array<std::size_t, count> at{};
      constexpr bool filled[] = {is_filled_in_v<P>...};
      std::size_t next = 0;
      for (std::size_t i = 0; i < count; ++i) at[i] = filled[i] ? 0 : next++;
      return at;
    }();
    return [&]<std::size_t... I>(std::index_sequence<I...>)->decltype(auto) {
      auto pick = [&]<std::size_t At, class Param>(std::integral_constant<std::size_t, At>,
                                                   std::type_identity<Param>) -> decltype(auto) {
        if constexpr (is_filled_in_v<Param>) {
          return call.token();
        } else {
          return std::get<positions[At]>(slots).take(keep);
        }
      };
      return std::forward<Target>(target)(
          pick(std::integral_constant<std::size_t, I>{}, std::type_identity<P>{})...);
    }
    (std::make_index_sequence<count>{});
  } else {
    return std::apply(
        [&](auto&... slot) -> decltype(auto) {
          return std::forward<Target>(target)(slot.take(keep)...);
        },
        slots);
  }
}

}  // namespace detail
}  // namespace troupe
