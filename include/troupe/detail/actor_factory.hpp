/// Starts actors of one class again and again: for pools and supervisors.
#pragma once

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <troupe/actor.hpp>
#include <troupe/detail/actor_api.hpp>
#include <troupe/detail/stored_options.hpp>

namespace troupe::detail {

using actor_factory = std::function<actor_core_ptr()>;

/// Starts actors with these arguments, again and again.
template <class T, class... A>
actor_factory actor_factory_of(const options& given, A&&... args) {
  static_assert(
      (std::is_copy_constructible_v<std::decay_t<A>> && ...),
      "troupe: the constructor's arguments are kept to start another actor when one dies, so "
      "they must be copyable");
  check_options_of_actor(given);
  using kept = std::tuple<
      std::conditional_t<std::is_convertible_v<A, const char*>, std::string, std::decay_t<A>>...>;
  return [options = stored_options::make(given), kept_args = kept(std::forward<A>(args)...)] {
    return std::apply([&](const auto&... one) { return start_actor<T>(options, one...); },
                      kept_args);
  };
}

}  // namespace troupe::detail
