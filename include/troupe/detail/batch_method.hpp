/// What a method that takes a batch takes and gives for each of its calls.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/batching.hpp>
#include <troupe/detail/invoke.hpp>

namespace troupe::detail {

template <class Params>
struct batch_parameter {
  static constexpr bool fits = false;
  using input = void;
  using parameter = void;
};
template <class P>
requires requires(std::remove_cvref_t<P> p) { *p.begin(); }
struct batch_parameter<type_list<P>> {
  using parameter = P;
  using input = std::remove_cv_t<typename std::remove_cvref_t<P>::value_type>;
  static constexpr bool fits = std::same_as<std::vector<input>, std::remove_cvref_t<P>> ||
                               std::convertible_to<std::vector<input>, std::remove_cvref_t<P>> ||
                               is_const_span<std::remove_cvref_t<P>>::value;
};

/// `element`: what stands in a call's place. `output`: what the call gives.
template <class R>
struct batch_result {
  static constexpr bool fits = std::is_void_v<R>;
  using element = void;
  using output = void;
};
template <class Out>
struct batch_result<std::vector<Out>> {
  static constexpr bool fits = true;
  using element = Out;
  using output = Out;
};
template <class Out>
struct batch_result<std::vector<outcome<Out>>> {
  static constexpr bool fits = true;
  using element = outcome<Out>;
  using output = Out;
};
template <class R>
inline constexpr bool is_outcome_v = false;
template <class T>
inline constexpr bool is_outcome_v<outcome<T>> = true;

template <auto M, class T>
consteval bool check_batch_method() {
  using target = method_target<M, T>;
  using class_type = typename target::sig::class_type;
  using kind = result_kind<std::remove_cvref_t<typename target::result>>;
  using params = typename given_params_of<typename target::params>::type;
  static_assert(!std::is_void_v<class_type>, "troupe: batched takes a method: batched<&C::method>");
  static_assert(std::is_base_of_v<class_type, T>,
                "troupe: the batched method is not one of this actor's class");
  static_assert(!kind::is_generator, "troupe: a generator cannot be called in batches");
  static_assert(batch_parameter<params>::fits,
                "troupe: a method for batches takes one std::span<const In> or std::vector<In>");
  static_assert(batch_result<typename kind::value_type>::fits,
                "troupe: a method for batches returns std::vector<Out>, or nothing");
  static_assert(
      !std::same_as<typename batch_parameter<params>::input, bool> ||
          !is_const_span<std::remove_cvref_t<typename batch_parameter<params>::parameter>>::value,
      "troupe: there is no span of a std::vector<bool>: take std::vector<bool> as batch");
  return true;
}

template <auto M, class T>
struct batch_method {
  static_assert(check_batch_method<M, T>());
  using target = method_target<M, T>;
  using kind = result_kind<std::remove_cvref_t<typename target::result>>;
  using params = typename given_params_of<typename target::params>::type;
  using parameter = typename batch_parameter<params>::parameter;
  using input = typename batch_parameter<params>::input;
  using results = typename kind::value_type;
  using element = typename batch_result<results>::element;
  using output = typename batch_result<results>::output;
  static constexpr bool repeatable = copyable_v<input>;
};

}  // namespace troupe::detail
