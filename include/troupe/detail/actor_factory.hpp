/// Starts actors of one class again and again: for pools and supervisors.
#pragma once

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <troupe/actor.hpp>
#include <troupe/detail/actor_api.hpp>
#include <troupe/detail/archived_options.hpp>
#include <troupe/detail/stored_options.hpp>

namespace troupe::detail {

using actor_factory = std::function<actor_core_ptr()>;

/// Starts actors with these arguments, again and again. It goes to another process where its
/// arguments can.
template <class T, class... Kept>
class member_plan {
  static_assert(
      (std::is_copy_constructible_v<Kept> && ...),
      "troupe: the constructor's arguments are kept to start another actor when one dies, so "
      "they must be copyable");

 public:
  member_plan() = default;
  template <class... A>
  explicit member_plan(const options& given, A&&... args)
      : options_((check_options_of_actor(given), given)), arguments_(std::forward<A>(args)...) {}

  actor_core_ptr operator()() const {
    return std::apply([&](const auto&... one) { return start_actor<T>(options_.stored(), one...); },
                      arguments_);
  }

  template <class Archive>
  void serialize(Archive& archive) requires(archivable_v<Kept>&&...) {
    archive(options_, arguments_);
  }

 private:
  archived_options options_;
  std::tuple<Kept...> arguments_;
};

template <class T, class... Kept>
inline constexpr bool stays_in_process_v<member_plan<T, Kept...>> =
    ((!archivable_v<Kept> || stays_in_process_v<Kept>) || ...);

template <class T, class... A>
auto plan_member(const options& given, A&&... args) {
  return member_plan<T, std::conditional_t<std::is_convertible_v<A, const char*>, std::string,
                                           std::decay_t<A>>...>(given, std::forward<A>(args)...);
}
template <class T, class... A>
actor_factory actor_factory_of(const options& given, A&&... args) {
  return plan_member<T>(given, std::forward<A>(args)...);
}

}  // namespace troupe::detail
