/// The typed half of a call: from stored arguments to a stored result.
#pragma once

#include <array>
#include <memory>
#include <tuple>
#include <utility>

#include <troupe/async.hpp>
#include <troupe/detail/callable.hpp>
#include <troupe/detail/invocation.hpp>
#include <troupe/detail/stored_options.hpp>
#include <troupe/generator.hpp>
#include <troupe/object_ref.hpp>

namespace troupe::detail {

template <class Maker>
struct registration;
template <class Base, class Target>
struct call_reader;

/// Calls a free function, a static member function or a captureless lambda.
template <auto F>
struct function_target {
  using sig = callable_signature<std::remove_cvref_t<decltype(F)>>;
  using result = typename sig::result;
  using params = typename sig::params;
  static constexpr std::string_view name = function_name<F>();
  template <class Base, class Slots>
  using reader = call_reader<Base, function_target>;

  template <class Slots>
  static decltype(auto) call(void*, Slots& slots, invocation& self, bool keep) {
    return call_with(
        []<class... A>(A&&... args) -> decltype(auto) { return F(std::forward<A>(args)...); },
        params{}, slots, self, keep);
  }
};

/// Calls a method on an instance of `Class`, which may inherit it.
template <auto M, class Class>
struct method_target {
  using sig = callable_signature<std::remove_cvref_t<decltype(M)>>;
  using result = typename sig::result;
  using params = typename sig::params;
  static constexpr std::string_view name = function_name<M>();
  template <class Base, class Slots>
  using reader = call_reader<Base, method_target>;

  template <class Slots>
  static decltype(auto) call(void* instance, Slots& slots, invocation& self, bool keep) {
    auto& object = *static_cast<Class*>(instance);
    return call_with(
        [&object]<class... A>(A&&... args) -> decltype(auto) {
          return (object.*M)(std::forward<A>(args)...);
        },
        params{}, slots, self, keep);
  }
};

template <class Slot>
concept archivable_slot = requires {
  typename Slot::received_as;
}
&&!stays_in_process_v<std::remove_cvref_t<typename Slot::received_as>>;

/// Whether all arguments can be archived. A call with one that stays in its process stays with it.
template <class Slots>
inline constexpr bool slots_archivable_v = false;
template <class... Slot>
inline constexpr bool slots_archivable_v<std::tuple<Slot...>> = (archivable_slot<Slot> && ...);

/// Whether a call of `Target` can cross a process at all.
template <class Base, class Target, class Slots>
concept remotable = requires {
  typename Target::template reader<Base, Slots>;
}
&&slots_archivable_v<Slots>;

/// Storage and bookkeeping that all kinds of calls share.
template <class Base, class Target, class Slots>
class stored_call : public Base {
 protected:
  template <class... A>
  explicit stored_call(const function_info& info, A&&... slot_inputs) : Base(info) {
    slots_.emplace(std::forward<A>(slot_inputs)...);
  }
  ~stored_call() override { drop(); }

  void drop_arguments() noexcept override { drop(); }

 public:
  void connect_arguments() noexcept override {
    std::apply([&](auto&... slot) { (connect_one(slot), ...); }, *slots_.get());
  }
  void assist_arguments() noexcept override {
    std::apply([&](auto&... slot) { (assist_one(slot), ...); }, *slots_.get());
  }
  void look_at_arguments(void (*f)(void*, const object_state&), void* context) override {
    const auto look = [&](auto& slot) {
      if constexpr (std::remove_reference_t<decltype(slot)>::refers) f(context, slot.object());
    };
    std::apply([&](auto&... slot) { (look(slot), ...); }, *slots_.get());
  }
  std::uint64_t remote_key() const noexcept override {
    if constexpr (remotable<Base, Target, Slots>) {
      return registration<typename Target::template reader<Base, Slots>>::key;
    } else {
      return 0;
    }
  }
  void archive_arguments([[maybe_unused]] output_archive& archive) const override {
    if constexpr (remotable<Base, Target, Slots>) {
      std::apply([&](const auto&... slot) { (slot.archive(archive), ...); }, *slots_.get());
    }
  }
  std::uint32_t disconnect_arguments() noexcept override {
    return std::apply([&](auto&... slot) { return (disconnect_one(slot) + ... + 0U); },
                      *slots_.get());
  }

 protected:
  Slots& slots() noexcept { return *slots_.get(); }
  decltype(auto) call(void* instance) {
    return Target::call(instance, *slots_.get(), *this, this->keeps_arguments());
  }
  void drop() noexcept {
    if (std::exchange(alive_, false)) slots_.destroy();
  }

 private:
  template <class Slot>
  void connect_one(Slot& slot) noexcept {
    if constexpr (Slot::refers) this->wait_for(slot.node(), slot.object());
  }
  template <class Slot>
  void assist_one(Slot& slot) noexcept {
    if constexpr (Slot::refers) {
      if (!slot.object().ready()) slot.object().assist();
    }
  }
  template <class Slot>
  std::uint32_t disconnect_one(Slot& slot) noexcept {
    if constexpr (Slot::refers) {
      return this->stop_waiting(slot.node(), slot.object()) ? 1 : 0;
    } else {
      return 0;
    }
  }

  result_slot<Slots> slots_;
  bool alive_ = true;
};

template <class T>
class remote_value;
template <class T>
void save_result_of(output_archive& archive, object_state& object);
template <class T>
void* read_stored_value(result_slot<T>& slot, const mapped_value& from);
/// Completes `call`, whose result lives in `slot`, with a value that another process wrote.
template <class T, class Call>
void receive_value(Call& call, result_slot<T>& slot, input_archive& archive) noexcept;

template <class Slots>
inline constexpr bool slots_refer_v = false;
template <class... Slot>
inline constexpr bool slots_refer_v<std::tuple<Slot...>> = (Slot::refers || ...);

template <class Slots>
inline constexpr bool slots_repeatable_v = true;
template <class... Slot>
inline constexpr bool slots_repeatable_v<std::tuple<Slot...>> = (Slot::repeatable && ...);

template <class Target>
using value_of = typename result_kind<typename Target::result>::value_type;

/// A call whose result, of type `Value`, lives in it.
template <class Base, class Target, class Slots, class Value>
class result_call : public stored_call<Base, Target, Slots> {
 public:
  void archive_result(output_archive& archive) override {
    if constexpr (remotable<Base, Target, Slots>) save_result_of<Value>(archive, *this);
  }
  void complete_from([[maybe_unused]] input_archive& archive) noexcept override {
    if constexpr (remotable<Base, Target, Slots>) receive_value<Value>(*this, result_, archive);
  }

 protected:
  using stored_call<Base, Target, Slots>::stored_call;
  ~result_call() override {
    if (this->value_is_here()) result_.destroy();
  }

  [[no_unique_address]] result_slot<Value> result_;

 private:
  void* read_stored([[maybe_unused]] const mapped_value& from) override {
    if constexpr (remotable<Base, Target, Slots>) return read_stored_value(result_, from);
    return Base::read_stored(from);
  }
};

/// A call whose result is what the function returns.
template <class Base, class Target, class Slots, bool Repeatable>
class plain_call final : public result_call<Base, Target, Slots, value_of<Target>> {
  using super = result_call<Base, Target, Slots, value_of<Target>>;
  using super::result_;
  using value_type = value_of<Target>;

 public:
  static constexpr function_info info{Target::name, Repeatable, false, slots_refer_v<Slots>};

  template <class... A>
  explicit plain_call(A&&... inputs) : super(info, std::forward<A>(inputs)...) {}

 private:
  invocation::outcome run(void* instance) override {
    if constexpr (std::is_void_v<value_type>) {
      this->call(instance);
    } else {
      result_.emplace_from([&]() -> decltype(auto) { return this->call(instance); });
    }
    // An actor's creation keeps its arguments for the next life.
    if (!this->keeps_arguments()) this->drop();
    if (this->claim()) {
      this->complete(result_.get());
    } else {
      result_.destroy();
    }
    return invocation::outcome::finished;
  }
};

/// A call of a coroutine that returns `async<T>`. Arguments live as long as its frame.
template <class Base, class Target, class Slots, bool Repeatable>
class async_call final : public result_call<Base, Target, Slots, value_of<Target>> {
  using super = result_call<Base, Target, Slots, value_of<Target>>;
  using super::result_;
  using value_type = value_of<Target>;

 public:
  static constexpr function_info info{Target::name, Repeatable, true, slots_refer_v<Slots>};

  template <class... A>
  explicit async_call(A&&... inputs) : super(info, std::forward<A>(inputs)...) {}

 private:
  invocation::outcome run(void* instance) override {
    if (!frame_.started()) frame_.start(this->call(instance));
    if (!frame_.resume()) return invocation::outcome::suspended;
    // The frame ends before the arguments, which it may refer to, and before the result shows.
    if constexpr (std::is_void_v<value_type>) {
      frame_.take_result();
    } else {
      result_.emplace_from([&]() -> decltype(auto) { return frame_.take_result(); });
    }
    this->drop();
    if (this->claim()) {
      this->complete(result_.get());
    } else {
      result_.destroy();
    }
    return invocation::outcome::finished;
  }
  void drop_frame() noexcept override { frame_.destroy(); }

  async_frame<value_type> frame_;
};

/// A call of a coroutine that returns `generator<T>`: fills a stream, completes as void at its end.
template <class Base, class Target, class Slots, bool Repeatable>
class generator_call final : public stored_call<Base, Target, Slots>, public remote_stream {
  using super = stored_call<Base, Target, Slots>;
  using value_type = typename result_kind<typename Target::result>::value_type;

 public:
  static constexpr function_info info{Target::name, Repeatable, true, slots_refer_v<Slots>};

  template <class... A>
  explicit generator_call(A&&... inputs) : super(info, std::forward<A>(inputs)...) {}

  const stream_ptr& stream() const noexcept override { return stream_; }
  remote_stream* results() noexcept override { return this; }
  object_ptr read_item(input_archive& archive) override {
    auto item = object_ptr::adopt(new remote_value<value_type>);
    static_cast<remote_object&>(*item).complete_from(archive);
    return item;
  }
  void write_item(object_state& item, output_archive& archive) const override {
    if constexpr (remotable<Base, Target, Slots>) save_result_of<value_type>(archive, item);
  }
  void complete_from(input_archive&) noexcept override {
    if (this->claim()) this->complete(nullptr);
    stream_->close(nullptr);
  }

 private:
  ~generator_call() override = default;
  invocation::outcome run(void* instance) override {
    if (!frame_.started()) {
      const stored_options* const stored = this->stored();
      if (stored != nullptr && stored->get().backpressure > 0) {
        stream_->set_bound(stored->get().backpressure);
      }
      frame_.start(this->call(instance), stream_->produced());
    }
    switch (frame_.produce(*stream_, *this)) {
      case production::paused:
        return invocation::outcome::suspended;
      case production::abandoned:
        frame_.destroy();
        this->drop();
        throw_stream_abandoned();
      case production::ended:
        break;
    }
    frame_.destroy();
    this->drop();
    if (this->claim()) this->complete(nullptr);
    stream_->close(nullptr);
    return invocation::outcome::finished;
  }
  void drop_frame() noexcept override { frame_.destroy(); }
  void ended() noexcept override {
    if (this->has_failed()) {
      this->note_asked();  // the stream's last item tells it from now on
      stream_->close(this->why());
    }
    Base::ended();
  }
  void stopped(bool force) noexcept override {
    Base::stopped(force);
    if (this->has_failed()) stream_->close(this->why());
  }

  generator_frame<value_type> frame_;
  stream_ptr stream_ = stream_state::make();
};

template <class Base, class Target, class Slots, bool Repeatable>
struct call_type_of {
  using type =
      std::conditional_t<result_kind<typename Target::result>::is_async,
                         async_call<Base, Target, Slots, Repeatable>,
                         std::conditional_t<result_kind<typename Target::result>::is_generator,
                                            generator_call<Base, Target, Slots, Repeatable>,
                                            plain_call<Base, Target, Slots, Repeatable>>>;
};
/// A target may have calls of its own kind.
template <class Base, class Target, class Slots, bool Repeatable>
requires requires { typename Target::template call_type<Base, Slots, Repeatable>; }
struct call_type_of<Base, Target, Slots, Repeatable> {
  using type = typename Target::template call_type<Base, Slots, Repeatable>;
};
template <class Base, class Target, class Slots, bool Repeatable>
using call_type = typename call_type_of<Base, Target, Slots, Repeatable>::type;

template <class Base, class Target, class Params, class... A>
struct call_maker;
template <class Base, class Target, class... P, class... A>
struct call_maker<Base, Target, type_list<P...>, A...> {
  static auto* make(A&&... args) {
    static_assert(check_result<typename Target::result>());
    using slots = slots_for<type_list<P...>, type_list<A...>>;
    using type = call_type<Base, Target, typename slots::type, slots::repeatable>;
    return new type(slot_input<P>(std::forward<A>(args))...);
  }
};

/// Makes the call of `Target` with these arguments, checked against its parameters.
template <class Base, class Target, class... A>
auto* make_call(A&&... args) {
  using given = typename given_params_of<typename Target::params>::type;
  static_assert(given::size == sizeof...(A),
                "troupe: the number of arguments is not the number of parameters (std::stop_token "
                "is filled in; default arguments of functions are not known here)");
  return call_maker<Base, Target, given, A...>::make(std::forward<A>(args)...);
}

/// The ref or stream that a fresh call gives to its caller; takes over the call's first ref.
template <class Target, class Call>
auto result_of(Call* call) {
  using kind = result_kind<typename Target::result>;
  object_ptr pointer = object_ptr::adopt(call);
  if constexpr (kind::is_generator) {
    return object_stream<typename kind::value_type>(call->stream(), std::move(pointer));
  } else {
    return object_ref<typename kind::value_type>(std::move(pointer));
  }
}

}  // namespace troupe::detail

#include <troupe/detail/remote_call.hpp>
