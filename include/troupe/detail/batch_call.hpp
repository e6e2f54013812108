/// Calls of batched methods, and the call that runs many of them.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/async.hpp>
#include <troupe/detail/batch_method.hpp>
#include <troupe/detail/batch_place.hpp>
#include <troupe/detail/invocation.hpp>
#include <troupe/detail/invoke.hpp>
#include <troupe/detail/remote_call.hpp>

namespace troupe::detail {

// -- many calls as one ----------------------------------------------------------------------------

/// Runs the calls of one batch in their actor. They stay calls of their own: each is cancelled,
/// fails, is tried again or ends by itself; nobody but the actor knows the batch.
///
/// `calls` is confined to the thread that runs the batch, but for `look`.
class TROUPE_API actor_batch : public actor_call {
 public:
  actor_batch* as_batch() noexcept final { return this; }
  /// Gives up all calls to the caller, who ends them.
  std::vector<actor_call*> release_calls() noexcept;
  /// Fails every call that has no result.
  void abandon_calls(const failure_ptr& why) noexcept;
  /// Calls `f` with each call, none of which ends meanwhile. From other threads.
  template <class F>
  void look(F&& f) noexcept {
    lock();
    for (actor_call* const call : calls_) {
      if (call != nullptr) f(*call);
    }
    unlock();
  }

 protected:
  actor_batch(const function_info& info, const batch_kind& kind, std::vector<actor_call*> calls)
      : actor_call(info), kind_(kind), calls_(std::move(calls)) {}

  /// Null: it goes its own way again.
  const std::vector<actor_call*>& calls() const noexcept { return calls_; }
  /// The method is about to run with this call.
  void note_begin(const actor_call& call);
  /// One call ends with this exception, or is tried again.
  void fail_one(std::size_t at, const std::exception_ptr& thrown) noexcept;
  [[noreturn]] void throw_wrong_size(std::size_t got, std::size_t expected) const;

  bool retry(const failure_ptr& why) noexcept final;
  void ended() noexcept final;

 private:
  friend class local_actor;
  void end_one(std::size_t at, const failure_ptr& why) noexcept;

  const batch_kind& kind_;
  std::vector<actor_call*> calls_;  ///< changed under the lock
  std::chrono::steady_clock::time_point began_{};
  std::vector<std::chrono::steady_clock::time_point> arrivals_;  ///< of the calls that run in it
};

/// The failure of a call for which the method gave this exception.
TROUPE_API failure_ptr failure_in_batch(const std::exception_ptr& thrown, std::string_view method);
[[noreturn]] TROUPE_API void throw_wrong_batch_size(std::string_view method, std::size_t got,
                                                    std::size_t expected);

// -- one call -------------------------------------------------------------------------------------

/// What a batch needs of its calls, whatever their arguments came as.
template <class In, class Out>
class batch_seat : public batch_place {
 public:
  using batch_place::batch_place;
  virtual In take_input() = 0;
  virtual void give(Out&& result) noexcept = 0;

 protected:
  ~batch_seat() = default;
};
template <class In>
class batch_seat<In, void> : public batch_place {
 public:
  using batch_place::batch_place;
  virtual In take_input() = 0;
  virtual void give() noexcept = 0;

 protected:
  ~batch_seat() = default;
};

/// `give` for results of all kinds.
template <class Call, class In, class Out>
class batch_receiver : public batch_seat<In, Out> {
 public:
  using batch_seat<In, Out>::batch_seat;
  void give(Out&& result) noexcept override {
    static_cast<Call*>(this)->receive(std::move(result));
  }

 protected:
  ~batch_receiver() = default;
};
template <class Call, class In>
class batch_receiver<Call, In, void> : public batch_seat<In, void> {
 public:
  using batch_seat<In, void>::batch_seat;
  void give() noexcept override { static_cast<Call*>(this)->receive(); }

 protected:
  ~batch_receiver() = default;
};

/// A call of a batched method with one input. It never runs by itself.
template <class Base, class Target, class Slots, bool Repeatable>
class batched_call final
    : public result_call<Base, Target, Slots, typename Target::method::output>,
      public batch_receiver<batched_call<Base, Target, Slots, Repeatable>,
                            typename Target::method::input, typename Target::method::output> {
  using super = result_call<Base, Target, Slots, typename Target::method::output>;
  using super::result_;
  using input = typename Target::method::input;
  using value_type = typename Target::method::output;
  using receiver = batch_receiver<batched_call, input, value_type>;

 public:
  static constexpr function_info info{Target::name, Repeatable, false, slots_refer_v<Slots>};

  template <class... A>
  explicit batched_call(A&&... inputs)
      : super(info, std::forward<A>(inputs)...), receiver(Target::kind) {
    this->set_place(this);
  }

  input take_input() override {
    return input(std::get<0>(this->slots()).take(this->keeps_arguments()));
  }
  template <class... V>
  void receive(V&&... value) noexcept {
    if (!this->claim()) return;  // it was cancelled meanwhile
    if constexpr (std::is_void_v<value_type>) {
      this->complete(nullptr);
    } else {
      try {
        this->complete(result_.emplace(std::forward<V>(value)...));
      } catch (...) {
        this->fail(make_failure(std::current_exception()));
      }
    }
  }

 private:
  invocation::outcome run(void*) override {
    TROUPE_ASSERT(false, "a call of a batched method runs in a batch");
    return invocation::outcome::finished;
  }
};

// -- the batch ------------------------------------------------------------------------------------

/// Hands the inputs of a batch to the method's parameter.
template <class In, class P>
class batch_inputs {
 public:
  std::vector<In>& all() noexcept { return all_; }
  decltype(auto) take(bool) {
    if constexpr (is_const_span<std::remove_cvref_t<P>>::value) {
      return std::span<const In>(all_);
    } else if constexpr (std::is_lvalue_reference_v<P>) {
      return static_cast<const std::vector<In>&>(all_);
    } else {
      return std::move(all_);
    }
  }

 private:
  std::vector<In> all_;
};

template <auto M, class T>
class batch_call final : public actor_batch {
  using method = batch_method<M, T>;
  using input = typename method::input;
  using element = typename method::element;
  using output = typename method::output;
  using seat = batch_seat<input, output>;
  static constexpr bool is_async = method::kind::is_async;
  static constexpr function_info info{function_name<M>(), false, is_async, false};

 public:
  batch_call(const batch_kind& kind, std::vector<actor_call*> calls)
      : actor_batch(info, kind, std::move(calls)) {}

 private:
  ~batch_call() override = default;

  outcome run(void* instance) override {
    if constexpr (is_async) {
      if (!frame_.started()) {
        if (!gather()) return finish();
        frame_.start(method::target::call(instance, inputs_, *this, false));
      }
      if (!frame_.resume()) return outcome::suspended;
      if constexpr (std::is_void_v<output> && std::is_void_v<element>) {
        frame_.take_result();
        give_each();
      } else {
        give_each(frame_.take_result());
      }
    } else {
      if (!gather()) return finish();
      if constexpr (std::is_void_v<element>) {
        method::target::call(instance, inputs_, *this, false);
        give_each();
      } else {
        give_each(method::target::call(instance, inputs_, *this, false));
      }
    }
    return finish();
  }
  outcome finish() noexcept {
    drop_arguments();
    return outcome::finished;
  }

  /// Takes the inputs of all calls that still want a result. False when none does.
  bool gather() {
    auto& all = std::get<0>(inputs_).all();
    all.reserve(calls().size());
    seats_.reserve(calls().size());
    for (std::size_t at = 0; at < calls().size(); ++at) {
      if (calls()[at]->claimed()) continue;  // cancelled
      seat* const place = static_cast<seat*>(calls()[at]->place());
      try {
        all.push_back(place->take_input());
        seats_.push_back({place, at});
        note_begin(*calls()[at]);
      } catch (...) {
        fail_one(at, std::current_exception());
      }
    }
    return !all.empty();
  }
  void give_each() noexcept {
    for (const taken& one : seats_) one.place->give();
  }
  template <class Results>
  void give_each(Results&& results) {
    if (results.size() != seats_.size()) throw_wrong_size(results.size(), seats_.size());
    for (std::size_t i = 0; i < seats_.size(); ++i) {
      if constexpr (is_outcome_v<element>) {
        if (results[i].failed()) {
          fail_one(seats_[i].at, results[i].error());
        } else if constexpr (std::is_void_v<output>) {
          seats_[i].place->give();
        } else {
          seats_[i].place->give(std::move(results[i]).value());
        }
      } else {
        seats_[i].place->give(static_cast<output>(std::move(results[i])));
      }
    }
  }

  void drop_arguments() noexcept override { std::get<0>(inputs_).all() = {}; }
  void drop_frame() noexcept override {
    if constexpr (is_async) frame_.destroy();
  }

  struct taken {
    seat* place;
    std::size_t at;  ///< in `calls`
  };
  struct nothing {};

  std::tuple<batch_inputs<input, typename method::parameter>> inputs_;
  std::vector<taken> seats_;
  [[no_unique_address]] std::conditional_t<is_async, async_frame<typename method::results>, nothing>
      frame_;
};

// -- the method as a target of calls --------------------------------------------------------------

template <auto M>
struct callable_signature<batched_method<M>>
    : signature<void, typename callable_signature<std::remove_cvref_t<decltype(M)>>::class_type> {};

template <class Tag>
inline constexpr bool is_batched_v = false;
template <auto M>
inline constexpr bool is_batched_v<batched_method<M>> = true;

template <auto M, class Class>
actor_batch* make_batch_call(std::vector<actor_call*> calls);
template <auto M, class Class>
inline constexpr batch_kind batch_kind_of{function_name<M>(), &make_batch_call<M, Class>};
template <auto M, class Class>
actor_batch* make_batch_call(std::vector<actor_call*> calls) {
  return new batch_call<M, Class>(batch_kind_of<M, Class>, std::move(calls));
}

template <class Tag, class Class>
struct batched_target;
template <auto M, class Class>
struct batched_target<batched_method<M>, Class> {
  using method = batch_method<M, Class>;
  using result = typename method::output;
  using sig = signature<result, typename method::target::sig::class_type, typename method::input>;
  using params = typename sig::params;
  static constexpr std::string_view name = function_name<M>();
  static constexpr const batch_kind& kind = batch_kind_of<M, Class>;
  template <class Base, class Slots>
  using reader = call_reader<Base, method_target<batched_method<M>{}, Class>>;
  template <class Base, class Slots, bool Repeatable>
  using call_type = batched_call<Base, batched_target, Slots, Repeatable>;
};

template <auto M, class Class>
requires is_batched_v<std::remove_cvref_t<decltype(M)>>
struct method_target<M, Class> : batched_target<std::remove_cvref_t<decltype(M)>, Class> {
};

}  // namespace troupe::detail
