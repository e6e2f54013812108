/// Inputs of many callers in one call of a pool's member.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/detail/pool_call.hpp>

namespace troupe::detail {

template <class Params>
struct batch_parameter {
  static constexpr bool fits = false;
  using input = void;
};
template <class P>
requires requires(std::remove_cvref_t<P> p) { *p.begin(); }
struct batch_parameter<type_list<P>> {
  using input = std::remove_cv_t<typename std::remove_cvref_t<P>::value_type>;
  static constexpr bool fits = std::convertible_to<std::vector<input>, std::remove_cvref_t<P>> ||
                               is_const_span<std::remove_cvref_t<P>>::value;
};

template <class R>
struct batch_result {
  static constexpr bool fits = std::is_void_v<R>;
  using output = void;
};
template <class Out>
struct batch_result<std::vector<Out>> {
  static constexpr bool fits = true;
  using output = Out;
};

/// What a method that takes a batch takes and gives for each input.
template <auto M, class T>
struct batch_method {
  using parameter = batch_parameter<typename pool_method<M, T>::params>;
  using result = batch_result<typename pool_method<M, T>::value_type>;
  static_assert(check_pool_method<M, T>());
  static_assert(parameter::fits,
                "troupe: a method for batches takes one std::vector<In> (or std::span<const In>)");
  static_assert(result::fits, "troupe: a method for batches returns std::vector<Out>, or nothing");
  using input = typename parameter::input;
  using output = typename result::output;
  static constexpr bool repeatable = std::is_copy_constructible_v<input>;
};

/// An input that waits for its batch, and the object that its caller gets.
template <class In, class Out>
class batch_item final : public object_state {
 public:
  explicit batch_item(In&& given) : object_state(0), input(std::move(given)) {}

  template <class... V>
  void set(V&&... value) {
    if (!claim()) return;  // it was cancelled
    if constexpr (std::is_void_v<Out>) {
      complete(nullptr);
    } else {
      try {
        complete(slot_.emplace(std::forward<V>(value)...));
      } catch (...) {
        fail(make_failure(std::current_exception()));
      }
    }
  }
  /// What waits is left out of its batch; what a member has is computed for nobody.
  bool cancel(bool, bool) override {
    if (!claim()) return false;
    fail(make_failure(
        std::make_exception_ptr(task_cancelled_error("an input of a batch was cancelled"))));
    return true;
  }
  std::string_view describe() const noexcept override { return "input of a batch"; }

  In input;

 private:
  ~batch_item() override {
    if (has_value()) slot_.destroy();
  }
  result_slot<Out> slot_;
};

/// Calls a member with a batch and gives each input its result.
template <auto M, class T>
async<void> run_batch(pool_batch batch) {
  using method = batch_method<M, T>;
  using output = typename method::output;
  using item_type = batch_item<typename method::input, output>;
  failure_ptr why;
  try {
    std::vector<typename method::input> inputs;
    std::vector<item_type*> wanted;
    for (const object_ptr& one : batch.items()) {
      auto& item = static_cast<item_type&>(*one);
      if (item.claimed()) continue;  // cancelled
      if constexpr (method::repeatable) {
        inputs.push_back(item.input);
      } else {
        inputs.push_back(std::move(item.input));
      }
      wanted.push_back(&item);
    }
    if (wanted.empty()) {
      batch.finish();
      co_return;
    }
    auto result = submit_method<M, T>(batch.member(), nullptr, std::move(inputs));
    co_await settled(result.pointer());
    if (result.failed()) {
      if (batch.interrupted(result.state(), method::repeatable)) co_return;
      result.state().note_asked();
      why = result.state().why();
    } else if constexpr (std::is_void_v<output>) {
      for (item_type* item : wanted) item->set();
    } else {
      std::vector<output> outputs = take<std::vector<output>>(result.state());
      if (outputs.size() != wanted.size()) {
        why = wrong_batch_size(function_name<M>(), outputs.size(), wanted.size());
      } else {
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          wanted[i]->set(static_cast<output>(std::move(outputs[i])));
        }
      }
    }
  } catch (...) {
    why = make_failure(std::current_exception());
  }
  if (why) {
    batch.fail(why);
  } else {
    batch.finish();
  }
}

template <auto M, class T>
void send_batch(pool_batch batch) {
  submit_task<&run_batch<M, T>>(pool_task_options<M>(), std::move(batch));
}

/// Adds an input to the batches of a pool.
template <auto M, class T>
auto submit_input(const pool_ptr& pool, const batch_options& how,
                  typename batch_method<M, T>::input input) {
  using method = batch_method<M, T>;
  using output = typename method::output;
  static_assert(check_result<output>());
  auto item = object_ptr::adopt(new batch_item<typename method::input, output>(std::move(input)));
  pool->enter_batch(&send_batch<M, T>, how, item);
  return object_ref<output>(std::move(item));
}

/// The same as a coroutine: for inputs that are not there yet and for callers in other actors.
template <auto M, class T>
async<typename batch_method<M, T>::output> batch_call(pool_link link,
                                                      typename batch_method<M, T>::input input,
                                                      batch_options how) {
  using output = typename batch_method<M, T>::output;
  struct leaving {
    object_ref<output> ref;
    ~leaving() { cancel(ref); }  // does nothing once it is ready
  } result{submit_input<M, T>(link.pool, how, std::move(input))};
  link.pool.reset();
  co_await settled(result.ref.pointer());
  if constexpr (std::is_void_v<output>) {
    read<void>(result.ref.state());
  } else {
    co_return take<output>(result.ref.state());
  }
}

}  // namespace troupe::detail
