/// What the worker processes of a job, a task or an actor are given before they run anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <troupe/detail/export.hpp>

namespace troupe {

namespace detail {

/// The key of a setup function: the same in every binary that contains it.
TROUPE_API std::uint64_t register_setup(const std::type_info& maker, void (*function)());

template <auto F>
struct setup_maker {
  static void run() { static_cast<void>(F()); }
  static const std::uint64_t key;
};
template <auto F>
const std::uint64_t setup_maker<F>::key = register_setup(typeid(setup_maker<F>),
                                                         &setup_maker<F>::run);

}  // namespace detail

/// A function without parameters that every binary of the program knows:
/// `troupe::setup_of<warm_up>()`.
class setup_function {
 public:
  constexpr setup_function() = default;
  explicit constexpr setup_function(std::uint64_t key) : key_(key) {}
  constexpr std::uint64_t key() const noexcept { return key_; }
  explicit constexpr operator bool() const noexcept { return key_ != 0; }
  bool operator==(const setup_function&) const = default;

 private:
  std::uint64_t key_ = 0;
};

template <auto F>
setup_function setup_of() {
  return setup_function(detail::setup_maker<F>::key);
}

/// The surroundings of worker processes: of a whole job by `config::runtime_env`, of one task or
/// actor by `with({.runtime_env = &env})`. Equal ones share their workers. What it names on disk is
/// read when it is used for the first time, and goes to other machines by its content.
///
/// What cannot be read, or is too big, is a `runtime_env_error` where it is used first. What fails
/// on the way to a worker or in it is a `runtime_env_error` of whatever needed the environment.
struct runtime_env {
  /// Environment variables of the workers, beside and before those of the program.
  std::vector<std::pair<std::string, std::string>> env_vars{};
  /// A folder whose copy is the workers' working folder. Links in it must not lead out of it.
  std::string working_dir{};
  /// Files that lie in the working folder by their names, beside what is in `working_dir`.
  std::vector<std::string> files{};
  /// Shared libraries that workers load, in this order, before they run anything.
  std::vector<std::string> libraries{};
  /// What a worker runs once, before any task or actor.
  setup_function setup{};

  bool operator==(const runtime_env&) const = default;
  bool empty() const {
    return env_vars.empty() && working_dir.empty() && files.empty() && libraries.empty() && !setup;
  }
};

}  // namespace troupe
