/// Supervisors: actors that start others, watch them, and start them again when they end.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/detail/actor_factory.hpp>
#include <troupe/options.hpp>

namespace troupe {

/// Which children start again when one has ended.
enum class strategy : std::uint8_t {
  one_for_one,   ///< that one
  one_for_all,   ///< all
  rest_for_one,  ///< that one and those that were started after it
};

/// When a child that has ended is started again.
enum class restart : std::uint8_t {
  permanent,  ///< always
  transient,  ///< when it ended abnormally, see `is_abnormal`
  temporary,  ///< never
};

struct supervisor_options {
  troupe::strategy strategy = troupe::strategy::one_for_one;
  /// Restarts within `period`; one more and the supervisor stops all children and fails itself.
  int max_restarts = 3;
  std::chrono::nanoseconds period = std::chrono::seconds(5);
  /// How long a child that is stopped may take to end before the next one is.
  std::chrono::nanoseconds stop_timeout = std::chrono::seconds(5);
  /// Registers the supervisor, see `get_supervisor`.
  std::string_view name{};
  /// The namespace of its name; default the session's.
  std::string_view in_namespace{};
  /// Whether the tree ends with the last handle to its supervisor.
  troupe::lifetime lifetime = troupe::lifetime::scoped;
};

struct child_options {
  /// Names the child within its supervisor.
  std::string_view id{};
  troupe::restart restart = troupe::restart::permanent;
  /// Options of the actor: `.actor = {.name = "db", .num_cpus = 1}`.
  options actor{};
};

enum class child_state : std::uint8_t {
  running,
  restarting,  ///< it ended or was stopped with a sibling, and is about to start
  stopped,     ///< its supervisor stopped it
  ended,       ///< it ended and is not started again
};

struct child_info {
  std::string id;
  std::string class_name;
  child_state state = child_state::stopped;
  int restarts = 0;
  actor_id actor;         ///< of its last life
  std::string last_exit;  ///< why its last life ended; empty in its first

  template <class Archive>
  void serialize(Archive& archive) {
    archive(id, class_name, state, restarts, actor.value, last_exit);
  }
};

/// How a supervisor starts one child. A value; made by `child` and `child_supervisor`.
class child_spec {
 public:
  child_spec(const child_options& options, const detail::class_info& info,
             detail::actor_factory start)
      : id_(options.id), restart_(options.restart), info_(&info), start_(std::move(start)) {}

  const std::string& id() const noexcept { return id_; }
  troupe::restart restart() const noexcept { return restart_; }
  const detail::class_info& info() const noexcept { return *info_; }
  detail::actor_core_ptr start() const { return start_(); }

 private:
  std::string id_;
  troupe::restart restart_;
  const detail::class_info* info_;
  detail::actor_factory start_;
};

/// A child whose class is `T`: `child<db>({.id = "db", .restart = restart::transient}, path)`. The
/// constructor's arguments are kept for each start.
template <class T, class... A>
child_spec child(const child_options& options, A&&... args) {
  return child_spec(options, detail::class_info_of<T>,
                    detail::actor_factory_of<T>(options.actor, std::forward<A>(args)...));
}
/// A permanent child: `child<db>("db", path)`.
template <class T, std::convertible_to<std::string_view> Id, class... A>
child_spec child(const Id& id, A&&... args) {
  return child<T>(child_options{.id = id}, std::forward<A>(args)...);
}

namespace detail {

struct supervisor_settings {
  troupe::strategy strategy{};
  int max_restarts = 0;
  std::chrono::nanoseconds period{};
  std::chrono::nanoseconds stop_timeout{};
};

/// A child's handle, whose class is known at run time only.
struct child_handle {
  actor_core_ptr core;
  const class_info* info = nullptr;
};
template <>
inline constexpr bool stays_in_process_v<child_handle> = true;

/// The actor behind a `supervisor`. It blocks while children start and stop: what comes meanwhile
/// waits, as in Erlang.
class TROUPE_API supervisor_actor {
 public:
  /// Starts the children in their order; throws when one does not start.
  supervisor_actor(const supervisor_settings& settings, std::vector<child_spec> children);
  ~supervisor_actor();
  supervisor_actor(const supervisor_actor&) = delete;
  supervisor_actor& operator=(const supervisor_actor&) = delete;

  child_handle find(const std::string& id) const;
  std::vector<child_info> children() const;
  /// Stops the children, the youngest first.
  void stop();
  /// Ends the supervisor as it chose to.
  void leave();
  void child_ended(std::size_t index, std::uint64_t incarnation, bool abnormal,
                   const std::string& why);

 private:
  class family;
  std::unique_ptr<family> family_;
};

/// Throws `std::invalid_argument` that names what is wrong.
TROUPE_API void check_supervisor(const supervisor_options& options,
                                 const std::vector<child_spec>& children);
[[noreturn]] TROUPE_API void throw_wrong_child(std::string_view id, std::string_view has,
                                               std::string_view asked);
TROUPE_API void stop_supervisor(const actor_handle<supervisor_actor>& actor,
                                std::optional<std::chrono::nanoseconds> timeout);

inline supervisor_settings settings_of(const supervisor_options& options) {
  return {options.strategy, options.max_restarts, options.period, options.stop_timeout};
}

}  // namespace detail

/// A handle to a supervisor. A value, thread-safe as an `actor_handle`. When the last handle goes
/// the supervisor ends and stops its children, unless its lifetime is detached.
class supervisor {
 public:
  /// An empty handle. Using it is a `std::invalid_argument`.
  supervisor() noexcept = default;
  explicit supervisor(actor_handle<detail::supervisor_actor> actor) : actor_(std::move(actor)) {}

  /// The child's handle of now; after a restart it is another one. Waits while children start.
  ///
  /// @throws std::invalid_argument when there is no such child or it is of another class;
  ///   actor_died_error when the child or the supervisor has ended; get_timeout_error. Not to be
  ///   called from a child's constructor: the supervisor waits for that.
  template <class T>
  actor_handle<T> get(std::string_view id,
                      std::optional<std::chrono::nanoseconds> timeout = {}) const {
    detail::child_handle found =
        troupe::get(actor_.remote<&detail::supervisor_actor::find>(std::string(id)), timeout);
    if (*found.info->type != typeid(T)) {
      detail::throw_wrong_child(id, found.info->name, detail::class_name<T>());
    }
    return actor_handle<T>(std::move(found.core));
  }
  /// A child that is a supervisor itself.
  supervisor get_supervisor(std::string_view id,
                            std::optional<std::chrono::nanoseconds> timeout = {}) const {
    return supervisor(get<detail::supervisor_actor>(id, timeout));
  }
  /// All children in the order of their start.
  std::vector<child_info> children(std::optional<std::chrono::nanoseconds> timeout = {}) const {
    return troupe::get(actor_.remote<&detail::supervisor_actor::children>(), timeout);
  }
  /// Ready when all children run; failed when one could not be started.
  object_ref<void> ready() const { return actor_.ready(); }
  /// Stops the children, the youngest first, and then the supervisor, which ends as `exited`. Does
  /// nothing when it has ended.
  void stop(std::optional<std::chrono::nanoseconds> timeout = {}) const {
    detail::stop_supervisor(actor_, timeout);
  }

  /// The supervisor as an actor: for `on_exit`, `link`, `kill`.
  const actor_handle<detail::supervisor_actor>& actor() const noexcept { return actor_; }
  bool alive() const { return actor_.alive(); }
  explicit operator bool() const noexcept { return static_cast<bool>(actor_); }
  friend bool operator==(const supervisor&, const supervisor&) noexcept = default;

 private:
  actor_handle<detail::supervisor_actor> actor_;
};

template <>
inline constexpr bool detail::stays_in_process_v<supervisor> = true;

/// Starts a supervisor and its children, in this order; each one's constructor has run before the
/// next one starts. Returns at once: when one does not start, those before it are stopped and the
/// supervisor ends, which `ready()` and every call tell.
///
/// @throws std::invalid_argument for a bad option or a child's id that stands twice.
inline supervisor supervise(const supervisor_options& options, std::vector<child_spec> children) {
  detail::check_supervisor(options, children);
  return supervisor(
      with({.name = options.name,
            .in_namespace = options.in_namespace,
            .lifetime = options.lifetime})
          .remote<detail::supervisor_actor>(detail::settings_of(options), std::move(children)));
}
template <std::same_as<child_spec>... Children>
supervisor supervise(const supervisor_options& options, Children... children) {
  return supervise(options, std::vector<child_spec>{std::move(children)...});
}

/// A child that is a supervisor: `child_supervisor("workers", {.max_restarts = 10},
/// child<w>(...))`. It is permanent; the name and the lifetime in `options` are those of its actor.
template <std::same_as<child_spec>... Children>
child_spec child_supervisor(std::string_view id, const supervisor_options& options,
                            Children... children) {
  std::vector<child_spec> all{std::move(children)...};
  detail::check_supervisor(options, all);
  return child<detail::supervisor_actor>(
      child_options{.id = id,
                    .actor = {.name = options.name,
                              .in_namespace = options.in_namespace,
                              .lifetime = options.lifetime}},
      detail::settings_of(options), std::move(all));
}

/// The supervisor that was started with this name. `in_namespace` is the session's when empty.
inline supervisor get_supervisor(std::string_view name, std::string_view in_namespace = {}) {
  return supervisor(get_actor<detail::supervisor_actor>(name, in_namespace));
}

}  // namespace troupe
