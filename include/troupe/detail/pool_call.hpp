/// One call through a pool: from its arguments to the result that some member gave.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/async.hpp>
#include <troupe/detail/actor_factory.hpp>
#include <troupe/detail/invoke.hpp>
#include <troupe/detail/pool_core.hpp>
#include <troupe/task.hpp>

namespace troupe::detail {

/// What a pool's method takes and gives.
template <auto M, class T>
struct pool_method {
  using target = method_target<M, T>;
  using kind = result_kind<std::remove_cvref_t<typename target::result>>;
  using value_type = typename kind::value_type;
  using params = typename given_params_of<typename target::params>::type;
};

template <auto M, class T>
consteval bool check_pool_method() {
  using class_type = typename method_target<M, T>::sig::class_type;
  static_assert(!std::is_void_v<class_type>, "troupe: give a method: pool.remote<&C::method>()");
  static_assert(std::is_base_of_v<class_type, T>,
                "troupe: the method is not one of the pool's class");
  static_assert(!pool_method<M, T>::kind::is_generator,
                "troupe: a pool cannot call a generator: its stream belongs to one member");
  return true;
}

/// Waits until an object is ready, as a value or a failure.
class settled final : public object_awaiter {
 public:
  using object_awaiter::object_awaiter;
  void await_resume() { settle(); }
};

// -- arguments ------------------------------------------------------------------------------------

template <class P>
inline constexpr bool is_ref_parameter_v =
    referred<std::remove_cvref_t<P>>::is_ref || std::same_as<std::remove_cvref_t<P>, any_ref>;

/// What an argument is kept as while its call waits in a pool: a ref that was given stays a ref.
template <class P, class A>
struct pool_kept {
  using type = typename storage_of<std::remove_cvref_t<P>, std::remove_cvref_t<A>>::type;
};
template <class P, class A>
requires(referred<std::remove_cvref_t<A>>::is_ref &&
         !is_ref_parameter_v<P>) struct pool_kept<P, A> {
  using type = std::remove_cvref_t<A>;
};

/// How a kept argument goes to a member, perhaps several times. What is costly to copy goes as an
/// object: each member reads it in place.
enum class passing : std::uint8_t { awaited_ref, copy, object, move };

template <class P, class Kept>
inline constexpr passing passing_of =
    is_ref_parameter_v<P> || std::is_trivially_copyable_v<Kept> ? passing::copy
    : referred<Kept>::is_ref                                    ? passing::awaited_ref
    : std::is_copy_constructible_v<Kept>                        ? passing::object
                                                                : passing::move;

template <class P, class Kept>
auto pass_on(Kept&& kept) {
  if constexpr (passing_of<P, std::remove_cvref_t<Kept>> == passing::object) {
    return object_ref<Kept>(value_object<Kept>::make(std::move(kept)));
  } else {
    return std::move(kept);
  }
}

template <class Params, class Kept>
struct pool_arguments;
template <class... P, class... Kept>
struct pool_arguments<type_list<P...>, std::tuple<Kept...>> {
  using passed = std::tuple<decltype(pass_on<P>(std::declval<Kept>()))...>;
  static constexpr bool repeatable = ((passing_of<P, Kept> != passing::move) && ...);

  static passed pass(std::tuple<Kept...>&& kept) {
    return std::apply([](Kept&... one) { return passed(pass_on<P>(std::move(one))...); }, kept);
  }
  /// The objects that must be there before a member is asked for.
  static std::vector<object_ptr> awaited(const std::tuple<Kept...>& kept) {
    std::vector<object_ptr> objects;
    const auto look = [&]<class Param, class One>(std::type_identity<Param>, const One& one) {
      if constexpr (passing_of<Param, One> == passing::awaited_ref) {
        if (!one.ready() || one.failed()) objects.push_back(one.pointer());
      }
    };
    std::apply([&](const Kept&... one) { (look(std::type_identity<P>{}, one), ...); }, kept);
    return objects;
  }
  /// Calls `f` with each argument, to be kept for another time where that can be.
  template <class F>
  static auto apply(F&& f, passed& arguments) {
    return std::apply([&](auto&... one) { return f(hand_out<P, Kept>(one)...); }, arguments);
  }

 private:
  template <class Param, class One, class Passed>
  static decltype(auto) hand_out(Passed& one) {
    if constexpr (passing_of<Param, One> == passing::move) {
      return std::move(one);
    } else {
      return std::as_const(one);
    }
  }
};

template <class Params, class... A>
struct pool_kept_tuple;
template <class... P, class... A>
struct pool_kept_tuple<type_list<P...>, A...> {
  static_assert((check_argument<P, A>() && ...));
  using type = std::tuple<typename pool_kept<P, A>::type...>;
};

/// Checks and converts the arguments of a call, here and now.
template <auto M, class T, class... A>
auto keep_arguments(A&&... args) {
  static_assert(check_pool_method<M, T>());
  using params = typename pool_method<M, T>::params;
  static_assert(params::size == sizeof...(A),
                "troupe: the number of arguments is not the number of parameters (std::stop_token "
                "is filled in; default arguments of functions are not known here)");
  using kept = typename pool_kept_tuple<params, A...>::type;
  return [&]<class... Kept>(std::type_identity<std::tuple<Kept...>>) {
    return std::tuple<Kept...>(Kept(std::forward<A>(args))...);
  }(std::type_identity<kept>{});
}

// -- calls ----------------------------------------------------------------------------------------

/// Calls a method of whichever member the pool chooses, again when the member dies.
template <auto M, class T, class Kept>
async<typename pool_method<M, T>::value_type> pool_call(pool_place place, Kept kept) {
  using value_type = typename pool_method<M, T>::value_type;
  using arguments = pool_arguments<typename pool_method<M, T>::params, Kept>;
  for (object_ptr& one : arguments::awaited(kept)) co_await object_ref<void>(std::move(one));
  auto passed = arguments::pass(std::move(kept));
  place.enter();
  for (;;) {
    co_await place.granted();
    auto result = arguments::apply(
        [&]<class... A>(A&&... args) {
          return submit_method<M, T>(place.member(), nullptr, std::forward<A>(args)...);
        },
        passed);
    co_await settled(result.pointer());
    if (result.failed() && place.interrupted(result.state(), arguments::repeatable)) continue;
    place.leave();
    if constexpr (std::is_void_v<value_type>) {
      read<void>(result.state());
      co_return;
    } else {
      co_return take<value_type>(result.state());
    }
  }
}

/// A callable that a task may take along within its process.
template <class F>
struct pool_function {
  F function;
};
template <class F>
inline constexpr bool stays_in_process_v<pool_function<F>> = true;

template <class T, class F, class V>
struct pool_function_result {
  static_assert(std::is_invocable_v<F&, actor_handle<T>&, V>,
                "troupe: the function is called as f(actor_handle<T>&, value)");
  using type = std::remove_cvref_t<std::invoke_result_t<F&, actor_handle<T>&, V>>;
  static_assert(referred<type>::is_ref, "troupe: the function must return the ref of its call");
  using value_type = typename referred<type>::type;
};

/// Lets a function of the user's make the call of the member that the pool chooses.
template <class T, class F, class V>
async<typename pool_function_result<T, F, V>::value_type> pool_apply(pool_place place,
                                                                     pool_function<F> call,
                                                                     V value) {
  using value_type = typename pool_function_result<T, F, V>::value_type;
  constexpr bool repeatable = std::is_copy_constructible_v<V>;
  for (;;) {
    co_await place.granted();
    actor_handle<T> member(place.member());
    object_ref<value_type> result;
    if constexpr (repeatable) {
      result = call.function(member, V(value));
    } else {
      result = call.function(member, std::move(value));
    }
    co_await settled(result.pointer());
    if (result.failed() && place.interrupted(result.state(), repeatable)) continue;
    place.leave();
    if constexpr (std::is_void_v<value_type>) {
      read<void>(result.state());
      co_return;
    } else {
      co_return take<value_type>(result.state());
    }
  }
}

/// Options of the task that carries a call through a pool: its name, and no CPUs.
template <auto M>
const options_ptr& pool_task_options() {
  static const options_ptr made = [] {
    const std::string name = "pool call " + std::string(function_name<M>());
    return stored_options::make({.num_cpus = 0, .name = name});
  }();
  return made;
}
/// The calls of a pool that is an actor: one runs at a time, and any number is suspended.
inline constexpr std::string_view pool_call_group = "calls";

/// The same for a call of a pool that is an actor.
template <auto M>
const options_ptr& pool_call_options() {
  static const options_ptr made = [] {
    const std::string name = "pool call " + std::string(function_name<M>());
    return stored_options::make({.name = name, .concurrency_group = pool_call_group});
  }();
  return made;
}

template <auto M, class T, class... A>
auto submit_to_pool(const pool_ptr& pool, A&&... args) {
  auto kept = keep_arguments<M, T>(std::forward<A>(args)...);
  using arguments = pool_arguments<typename pool_method<M, T>::params, decltype(kept)>;
  pool_place place(pool);
  if (arguments::awaited(kept).empty()) place.enter();
  return submit_task<&pool_call<M, T, decltype(kept)>>(pool_task_options<M>(), std::move(place),
                                                       std::move(kept));
}

template <class T, class F, class V>
auto submit_to_pool_by(const pool_ptr& pool, F function, V value) {
  pool_place place(pool);
  place.enter();
  return submit_task<&pool_apply<T, F, V>>(continuation_options(), std::move(place),
                                           pool_function<F>{std::move(function)}, std::move(value));
}

// -- members --------------------------------------------------------------------------------------

/// Not a plain parameter type: g++ 12 takes `{.size = 4}` for a vector of 4 elements.
template <class Members, class T>
concept vector_of_handles = std::same_as<Members, std::vector<actor_handle<T>>>;

template <class T>
std::vector<actor_core_ptr> cores_of(const std::vector<actor_handle<T>>& handles) {
  std::vector<actor_core_ptr> cores;
  cores.reserve(handles.size());
  for (const actor_handle<T>& handle : handles) cores.push_back(handle.core());
  return cores;
}

}  // namespace troupe::detail
