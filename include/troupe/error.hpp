/// The errors that troupe throws, and how an exception of a task reaches whoever asks for its
/// result.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/detail/export.hpp>

namespace troupe {

/// What every error of troupe can be caught as.
///
/// It is not a `std::exception` itself, so that an error can be of a standard type as well
/// (`catch (const std::invalid_argument&)`) without an ambiguous base. Every concrete error that
/// troupe throws is also a `std::exception`.
class TROUPE_API error {
 public:
  error() = default;
  error(const error&) = default;
  error& operator=(const error&) = default;
  virtual ~error();
  virtual const char* what() const noexcept = 0;
};

/// Where a failure began and what it passed through. Immutable and shared by all who hold it.
struct failure_info {
  std::string type;                 ///< demangled type of what was thrown
  std::string message;              ///< its `what()`, or a description for other types
  std::vector<std::string> frames;  ///< tasks and methods it passed, the one that threw first
  std::string node;                 ///< the node that ran the first of them
  std::int64_t pid = 0;             ///< the process that ran it
};

/// Tells that a task or an actor's method threw. `get` throws an object that is both the standard
/// type that was thrown (`std::out_of_range`, ...) and a `task_error`. An exception of the user's
/// own type is thrown as itself; `object_ref::failure` has its origin.
class TROUPE_API task_error : public error {
 public:
  explicit task_error(std::shared_ptr<const failure_info> info) : info_(std::move(info)) {}
  ~task_error() override;

  /// Demangled name of the type that was thrown.
  const std::string& type() const noexcept { return info_->type; }
  /// What the thrown exception said, without the names of tasks that `what()` adds.
  const std::string& message() const noexcept { return info_->message; }
  /// The task or method that threw.
  const std::string& task() const noexcept { return info_->frames.front(); }
  /// The tasks it passed through, the one that threw first.
  const std::vector<std::string>& frames() const noexcept { return info_->frames; }
  const std::string& node() const noexcept { return info_->node; }
  std::int64_t pid() const noexcept { return info_->pid; }
  const std::shared_ptr<const failure_info>& info() const noexcept { return info_; }

 private:
  std::shared_ptr<const failure_info> info_;
};

namespace detail {

class TROUPE_API runtime_failure : public std::runtime_error, public error {
 public:
  using std::runtime_error::runtime_error;
  ~runtime_failure() override;
  const char* what() const noexcept override { return std::runtime_error::what(); }
};

}  // namespace detail

#define TROUPE_DECLARE_ERROR(name, base)                         \
  class TROUPE_API name : public base {                          \
   public:                                                       \
    explicit name(const std::string& message) : base(message) {} \
    ~name() override;                                            \
  }

/// The task was cancelled: by `cancel`, with its parent, or by shutdown.
TROUPE_DECLARE_ERROR(task_cancelled_error, detail::runtime_failure);
/// The task did not end within its `timeout` option.
TROUPE_DECLARE_ERROR(task_timeout_error, task_cancelled_error);
/// A `get` with a timeout ran out of time; the task goes on.
TROUPE_DECLARE_ERROR(get_timeout_error, detail::runtime_failure);
/// The process that ran the task ended.
TROUPE_DECLARE_ERROR(worker_crashed_error, detail::runtime_failure);
/// The actor is gone for good; the message has the cause.
TROUPE_DECLARE_ERROR(actor_died_error, detail::runtime_failure);
/// The actor restarts or cannot be reached now; whether the call ran is not known.
TROUPE_DECLARE_ERROR(actor_unavailable_error, detail::runtime_failure);
/// All copies of the object are gone and it cannot be made again.
TROUPE_DECLARE_ERROR(object_lost_error, detail::runtime_failure);
/// The process that owned the object ended.
TROUPE_DECLARE_ERROR(owner_died_error, object_lost_error);
/// Memory for an object could not be had.
TROUPE_DECLARE_ERROR(out_of_memory_error, detail::runtime_failure);
/// The environment that a task asked for could not be made.
TROUPE_DECLARE_ERROR(runtime_env_error, detail::runtime_failure);
/// A queue is at its bound: too many calls of an actor, tasks of an owner, or inputs of a pool.
TROUPE_DECLARE_ERROR(pending_calls_limit_error, detail::runtime_failure);
/// The resources, node or group that was asked for does not exist and cannot come to be.
TROUPE_DECLARE_ERROR(placement_error, detail::runtime_failure);
/// A cluster could not be reached, or the runtime is not running.
TROUPE_DECLARE_ERROR(connection_error, detail::runtime_failure);
/// A named actor does not exist, exists already, or is of another class.
TROUPE_DECLARE_ERROR(actor_name_error, detail::runtime_failure);

#undef TROUPE_DECLARE_ERROR

}  // namespace troupe
