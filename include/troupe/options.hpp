/// How a task or an actor shall run: resources, retries, names, limits, placement.
#pragma once

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>

#include <troupe/resources.hpp>

namespace troupe {

struct runtime_env;

/// Whether an actor ends with its last handle or lives until it is killed or exits.
enum class lifetime : std::uint8_t { scoped, detached };

/// Decides which exceptions of a task are worth another attempt: `true` for all, a captureless
/// predicate over `const std::exception&`, or `troupe::exceptions<A, B>` for a list of types.
class retry_filter {
 public:
  using function = bool (*)(const std::exception_ptr&);

  constexpr retry_filter() = default;
  constexpr retry_filter(bool all) : matches_(all ? &match_all : nullptr) {}  // NOLINT
  constexpr explicit retry_filter(function f) : matches_(f) {}

  /// A predicate; exceptions that are no `std::exception` are not retried.
  template <class Predicate>
  requires(std::is_empty_v<Predicate>&& std::predicate<Predicate, const std::exception&> &&
           !std::same_as<Predicate, retry_filter>) constexpr retry_filter(Predicate)  // NOLINT
      : matches_([](const std::exception_ptr& thrown) {
          try {
            std::rethrow_exception(thrown);
          } catch (const std::exception& e) {
            return static_cast<bool>(Predicate{}(e));
          } catch (...) {
            return false;
          }
        }) {}

  constexpr explicit operator bool() const noexcept { return matches_ != nullptr; }
  bool matches(const std::exception_ptr& thrown) const {
    return matches_ != nullptr && matches_(thrown);
  }

 private:
  static bool match_all(const std::exception_ptr&) { return true; }
  function matches_ = nullptr;
};

namespace detail {

template <class Exception>
bool is_exception(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Exception&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace detail

/// `.retry_exceptions = troupe::exceptions<std::runtime_error, my_error>`
template <class... Exceptions>
inline constexpr retry_filter exceptions{
    retry_filter::function{[](const std::exception_ptr& thrown) {
      return (detail::is_exception<Exceptions>(thrown) || ...);
    }}};

/// Where a task or an actor shall be placed. One process is one node: `hybrid` and `spread` are
/// met by it, an affinity or a label that it does not have is a `placement_error`.
class scheduling {
 public:
  enum class kind : std::uint8_t { hybrid, spread, node_affinity, node_label };

  constexpr scheduling() = default;
  static constexpr scheduling hybrid() { return {}; }
  static constexpr scheduling spread() { return scheduling{kind::spread, {}, {}, false}; }
  /// On the node of that name; `soft` allows another one when it does not exist.
  static constexpr scheduling node_affinity(std::string_view node, bool soft = false) {
    return scheduling{kind::node_affinity, node, {}, soft};
  }
  /// On a node that carries this label.
  static constexpr scheduling node_label(std::string_view key, std::string_view value) {
    return scheduling{kind::node_label, key, value, false};
  }

  constexpr kind what() const noexcept { return kind_; }
  constexpr std::string_view key() const noexcept { return key_; }
  constexpr std::string_view value() const noexcept { return value_; }
  constexpr bool soft() const noexcept { return soft_; }

 private:
  constexpr scheduling(kind k, std::string_view key, std::string_view value, bool soft)
      : kind_(k), soft_(soft), key_(key), value_(value) {}
  kind kind_ = kind::hybrid;
  bool soft_ = false;
  std::string_view key_;
  std::string_view value_;
};

/// Whether something shares a worker process with others of its job. Embedded, everything runs in
/// the one process that there is.
enum class isolation : std::uint8_t {
  shared,
  process,  ///< a process of its own: a crash takes nothing else along
};

/// What becomes of a task or an actor that asks for more than any node of the cluster has.
/// Embedded it fails at once: no other node will come.
enum class infeasible : std::uint8_t {
  wait,  ///< for a node that has it; a warning says so, and `troupe status` shows it
  fail,  ///< with `placement_error`
};

/// Names a placement group, see <troupe/placement_group.hpp>; a `placement_group` converts to it.
struct placement_group_id {
  std::uint64_t creator = 0;
  std::uint64_t number = 0;

  auto operator<=>(const placement_group_id&) const = default;
  constexpr explicit operator bool() const noexcept { return creator != 0; }
};
/// As option: in no group, also where the group of the caller would be inherited.
inline constexpr placement_group_id no_placement_group{0, 1};

/// A named set of an actor's calls with a limit of its own on how many run at once.
struct concurrency_group {
  std::string_view name;
  int limit = 1;
};

/// At most four concurrency groups of an actor.
class concurrency_groups {
 public:
  constexpr concurrency_groups() = default;
  constexpr concurrency_groups(std::initializer_list<concurrency_group> groups)
      : concurrency_groups(std::data(groups), groups.size()) {}
  constexpr concurrency_groups(const concurrency_group* groups, std::size_t count) {
    if (count > capacity) {
      throw std::invalid_argument("an actor has at most 4 concurrency groups");
    }
    for (std::size_t i = 0; i < count; ++i) groups_[size_++] = groups[i];
  }
  constexpr const concurrency_group* begin() const noexcept { return groups_; }
  constexpr const concurrency_group* end() const noexcept { return groups_ + size_; }
  constexpr std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t capacity = 4;
  concurrency_group groups_[capacity] = {};
  std::size_t size_ = 0;
};

/// Options of one task, actor or call. Trivially destructible on purpose: g++ 12 destroys aggregate
/// temporaries inside a `co_await` expression twice; `with` copies what it needs at once.
///
/// An option that has no meaning for what is called (`max_restarts` of a task) is a
/// `std::invalid_argument` at the call.
struct options {
  /// CPUs held while a task runs (default 1) or while an actor lives (default 0).
  std::optional<double> num_cpus{};
  /// GPUs held; a fraction, or a whole number above 1.
  double num_gpus = 0;
  /// Bytes of memory held in the ledger.
  std::uint64_t memory = 0;
  /// Custom resources held: `{{"disk", 1}, {"license", 0.5}}`.
  resource_list resources{};
  /// Task: shown in errors and logs. Actor: registered under it, see `get_actor`.
  std::string_view name{};
  /// Actor: the namespace of its name; default the session's.
  std::string_view in_namespace{};
  /// Task: attempts after the first when `retry_exceptions` matches or a worker is lost; -1
  /// forever.
  std::optional<int> max_retries{};
  /// Task or call: exceptions that are retried.
  retry_filter retry_exceptions{};
  /// Wait before an attempt; doubles for each further one.
  std::chrono::milliseconds retry_delay{0};
  /// Bound of the doubling wait.
  std::chrono::milliseconds retry_max_delay{60'000};
  /// Share of the wait (0 to 1) by which it is shortened at random, so that retries do not meet.
  double retry_jitter = 0;
  /// Task or call: from submission to result; then `task_timeout_error` and a stop request. 0:
  /// none.
  std::chrono::milliseconds timeout{0};
  /// Actor: how long it lives.
  troupe::lifetime lifetime = troupe::lifetime::scoped;
  /// Actor: a taken name gives a handle to the actor that has it instead of an error.
  bool get_if_exists = false;
  /// Actor: restarts after a failure; -1 forever.
  int max_restarts = 0;
  /// Actor or call: attempts of a call that a failure of its actor interrupted; -1 forever.
  int max_task_retries = 0;
  /// Actor: methods that may run at once; 0: one, and 1,000 suspended coroutine methods.
  int max_concurrency = 0;
  /// Actor: groups of calls with limits of their own.
  concurrency_groups groups{};
  /// Call: the group it belongs to.
  std::string_view concurrency_group{};
  /// Actor: calls that may wait; one more is a `pending_calls_limit_error`. 0: the session's bound.
  std::uint32_t max_pending_calls = 0;
  /// Actor: calls of a batched method that run as one, at most; 0: 32. See <troupe/batching.hpp>.
  std::uint32_t max_batch_size = 0;
  /// Actor: how long such a call waits for others while nothing runs. 0: not at all; then a batch
  /// is what came while the actor was busy.
  std::chrono::nanoseconds max_wait{0};
  /// Generator: unconsumed results before it pauses. 0: the session's default.
  std::uint32_t backpressure = 0;
  troupe::scheduling scheduling{};
  /// Task or actor: in a cluster, the worker process that it runs in.
  troupe::isolation isolation = troupe::isolation::shared;
  /// Task or actor: whether it waits when no node can ever run it.
  troupe::infeasible infeasible = troupe::infeasible::wait;
  /// Task or actor: the placement group whose resources it uses, and the bundle in it (-1: any).
  placement_group_id placement_group{};
  int bundle_index = -1;
  /// Task or actor in a placement group: what it starts, and names no group, runs there, too.
  bool capture_children = false;
  /// Task or actor: the environment of its worker instead of the job's; see
  /// troupe/runtime_env.hpp. Copied at once.
  const troupe::runtime_env* runtime_env = nullptr;
};

static_assert(std::is_trivially_destructible_v<options>);

}  // namespace troupe
