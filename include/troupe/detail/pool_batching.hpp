/// Inputs of many callers in one call of a pool's member.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/detail/batch_call.hpp>
#include <troupe/detail/pool_call.hpp>

namespace troupe::detail {

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
  /// What stands in its place of the batch's results.
  template <class Element>
  void accept(Element from, std::string_view method) {
    if constexpr (!is_outcome_v<Element>) {
      set(static_cast<Out>(std::move(from)));
    } else if (from.failed()) {
      if (claim()) fail(failure_in_batch(from.error(), method));
    } else if constexpr (std::is_void_v<Out>) {
      set();
    } else {
      set(std::move(from).value());
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
  using element = typename method::element;
  using item_type = batch_item<typename method::input, typename method::output>;
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
    } else if constexpr (std::is_void_v<element>) {
      for (item_type* item : wanted) item->set();
    } else {
      std::vector<element> results = take<std::vector<element>>(result.state());
      if (results.size() != wanted.size()) {
        throw_wrong_batch_size(function_name<M>(), results.size(), wanted.size());
      }
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanted[i]->accept(static_cast<element>(std::move(results[i])), function_name<M>());
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
async<typename batch_method<M, T>::output> pooled_input(pool_link link,
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
