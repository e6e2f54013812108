/// What actor handles need of the runtime, without its types.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

#include <troupe/detail/invoke.hpp>
#include <troupe/detail/stored_options.hpp>

namespace troupe::detail {

class actor_core;
using options_ptr = std::shared_ptr<const stored_options>;

/// What is known of an actor's class at compile time.
struct class_info {
  std::string_view name;
  const std::type_info* type;
  std::size_t size;
  std::size_t alignment;
  void (*destroy)(void*) noexcept;
};

template <class T>
inline constexpr class_info class_info_of{
    class_name<T>(), &typeid(T), sizeof(T), alignof(T),
    [](void* instance) noexcept { static_cast<T*>(instance)->~T(); }};

TROUPE_API void retain_handle(actor_core* actor) noexcept;
TROUPE_API void release_handle(actor_core* actor) noexcept;

/// Counts as a handle of the actor.
class actor_core_ptr {
 public:
  constexpr actor_core_ptr() noexcept = default;
  static actor_core_ptr adopt(actor_core* actor) noexcept {
    actor_core_ptr result;
    result.core_ = actor;
    return result;
  }
  actor_core_ptr(const actor_core_ptr& other) noexcept : core_(other.core_) {
    if (core_ != nullptr) retain_handle(core_);
  }
  actor_core_ptr(actor_core_ptr&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  actor_core_ptr& operator=(actor_core_ptr other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~actor_core_ptr() {
    if (core_ != nullptr) release_handle(core_);
  }
  actor_core* get() const noexcept { return core_; }
  explicit operator bool() const noexcept { return core_ != nullptr; }
  friend bool operator==(const actor_core_ptr&, const actor_core_ptr&) noexcept = default;

 private:
  actor_core* core_ = nullptr;
};

/// Starts an actor whose instance `creation` makes. Takes over the pin of `creation`.
TROUPE_API actor_core_ptr create_actor(const class_info& info, actor_call* creation,
                                       options_ptr options);
/// Sends a call. Takes over its pin; throws when the handle is empty, the bound is reached or the
/// options name a group that does not exist.
TROUPE_API void submit_call(const actor_core_ptr& actor, actor_call* call, options_ptr options);
TROUPE_API object_ptr when_constructed(const actor_core_ptr& actor);
TROUPE_API std::uint64_t id_of(const actor_core_ptr& actor);
TROUPE_API std::string name_of(const actor_core_ptr& actor);
TROUPE_API bool is_alive(const actor_core_ptr& actor);
TROUPE_API std::size_t pending_calls(const actor_core_ptr& actor);
TROUPE_API actor_core_ptr find_actor(std::string_view name, std::string_view in_namespace,
                                     const class_info& info);
TROUPE_API void kill_actor(const actor_core_ptr& actor, bool no_restart);
TROUPE_API actor_core_ptr current_actor(const class_info& info);
/// The class that a timer's method must belong to; throws `std::logic_error` when the thread runs
/// no method of such an actor.
TROUPE_API std::shared_ptr<void> start_timer_of(const class_info& info,
                                                std::chrono::nanoseconds delay,
                                                std::chrono::nanoseconds period,
                                                std::function<actor_call*()> make);

template <class Target, class... A>
auto submit_target(const actor_core_ptr& actor, options_ptr options, A&&... args) {
  auto* call = make_call<actor_call, Target>(std::forward<A>(args)...);
  auto result = result_of<Target>(call);
  submit_call(actor, call, std::move(options));
  return result;
}

template <auto M, class T, class... A>
auto submit_method(const actor_core_ptr& actor, options_ptr options, A&&... args) {
  using target = method_target<M, T>;
  using class_type = typename target::sig::class_type;
  static_assert(!std::is_void_v<class_type>, "troupe: give a method: handle.remote<&C::method>()");
  static_assert(std::is_base_of_v<class_type, T>,
                "troupe: the method is not one of this actor's class");
  return submit_target<target>(actor, std::move(options), std::forward<A>(args)...);
}

// -- construction ---------------------------------------------------------------------------------

/// Stands for an object's value or for the ref, as the constructor's parameter wants.
template <class U>
class construction_ref {
 public:
  construction_ref(const object_ptr& object) : object_(&object) {}    // NOLINT
  operator object_ref<U>() const { return object_ref<U>(*object_); }  // NOLINT
  operator const U&() const {                                         // NOLINT
    return *static_cast<const U*>((*object_)->value());
  }

 private:
  const object_ptr* object_;
};

/// Stands for the ref alone.
template <class U>
struct construction_ref_only {
  operator object_ref<U>() const;  // NOLINT: only asked whether it would do
};

/// `Waits`: the constructor wants the value, so that the object must be there.
template <class U, bool Waits>
class construction_ref_slot {
 public:
  using received_as = std::conditional_t<Waits, const U&, const object_ref<U>&>;
  static constexpr bool refers = Waits;
  static constexpr bool repeatable = true;
  explicit construction_ref_slot(object_ptr object) : object_(std::move(object)) {}
  construction_ref<U> take(bool) { return {object_}; }
  object_state& object() noexcept { return *object_; }
  dependency& node() noexcept { return node_; }
  void archive(output_archive& out) const {
    if constexpr (Waits) {
      save_object_argument<U, U>(out, *object_);
    } else {
      out(object_ref<U>(object_));
    }
  }

 private:
  object_ptr object_;
  dependency node_;
};

/// What stands for an argument when the constructor is chosen.
template <class A, bool RefOnly>
struct construction_passed {
  using type = std::remove_cvref_t<A>;
};
template <class A, bool RefOnly>
requires(std::is_array_v<std::remove_cvref_t<A>> || std::same_as<std::decay_t<A>, const char*> ||
         std::same_as<std::decay_t<A>, char*>) struct construction_passed<A, RefOnly> {
  using type = std::string;
};
template <class A, bool RefOnly>
requires(referred<std::remove_cvref_t<A>>::is_ref) struct construction_passed<A, RefOnly> {
  using value = typename referred<std::remove_cvref_t<A>>::type;
  using type = std::conditional_t<RefOnly, construction_ref_only<value>, construction_ref<value>>;
};

/// Whether the constructor's parameter at `At` wants the ref itself, not the value.
template <class Class, std::size_t At, class Indices, class... A>
inline constexpr bool takes_ref_at = false;
template <class Class, std::size_t At, std::size_t... I, class... A>
inline constexpr bool takes_ref_at<Class, At, std::index_sequence<I...>, A...> =
    std::is_constructible_v<Class, typename construction_passed<A, I == At>::type...>;

template <class A, bool TakesRef>
struct construction_slot {
  using type = value_argument<typename construction_passed<A, false>::type, A>;
};
template <class A, bool TakesRef>
requires(referred<std::remove_cvref_t<A>>::is_ref) struct construction_slot<A, TakesRef> {
  using type = construction_ref_slot<typename referred<std::remove_cvref_t<A>>::type, !TakesRef>;
};

template <class Class, class Indices, class... A>
struct construction_slots;
template <class Class, std::size_t... I, class... A>
struct construction_slots<Class, std::index_sequence<I...>, A...> {
  using type = std::tuple<typename construction_slot<
      A, takes_ref_at<Class, I, std::index_sequence<I...>, A...>>::type...>;
};

template <class A>
decltype(auto) construction_input(A&& argument) {
  if constexpr (referred<std::remove_cvref_t<A>>::is_ref) {
    return std::forward<A>(argument).pointer();
  } else {
    return std::forward<A>(argument);
  }
}

/// What an actor's arguments are archived as; nothing when one cannot be archived: then the actor
/// lives in the process that starts it.
template <class Target, class Slots>
struct construction_archive {};
template <class Target, class... Slot>
requires(archivable_v<wire_type_t<typename Slot::received_as>>&&...) struct construction_archive<
    Target, std::tuple<Slot...>> {
  using reader = construction_reader<Target, typename Slot::received_as...>;
};

template <class Class>
struct construction_target {
  using result = void;
  static constexpr std::string_view name = class_name<Class>();
  template <class Base, class Slots>
  using reader = typename construction_archive<construction_target, Slots>::reader;
  static constexpr const class_info* info() { return &class_info_of<Class>; }

  template <class Slots>
  static void call(void* memory, Slots& slots, invocation&, bool keep) {
    std::apply([&](auto&... slot) { ::new (memory) Class(slot.take(keep)...); }, slots);
  }
};

template <class Class, class... A>
actor_core_ptr start_actor(options_ptr options, A&&... args) {
  static_assert(std::is_destructible_v<Class>,
                "troupe: an actor's class needs a public destructor");
  static_assert(std::is_constructible_v<Class, typename construction_passed<A, false>::type...>,
                "troupe: the actor's class has no constructor for these arguments");
  using slots = typename construction_slots<Class, std::index_sequence_for<A...>, A...>::type;
  constexpr bool repeatable = slots_repeatable_v<slots>;
  using target = construction_target<Class>;
  using type = plain_call<actor_call, target, slots, repeatable>;
  auto* creation = new type(construction_input(std::forward<A>(args))...);
  return create_actor(class_info_of<Class>, creation, std::move(options));
}

// -- timers ---------------------------------------------------------------------------------------

template <auto M>
using class_of = typename callable_signature<std::remove_cvref_t<decltype(M)>>::class_type;

template <auto M, class Class, class... A>
std::shared_ptr<void> start_timer(std::chrono::nanoseconds delay, std::chrono::nanoseconds period,
                                  A... args) {
  static_assert(std::is_base_of_v<class_of<M>, Class>, "troupe: the method is not of that class");
  using target = method_target<M, Class>;
  return start_timer_of(class_info_of<Class>, delay, period,
                        [... args = std::move(args)]() -> actor_call* {
                          return make_call<actor_call, target>(A(args)...);
                        });
}

}  // namespace troupe::detail
