/// An actor as those see it who hold a handle to it, wherever it lives.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <troupe/actor.hpp>

#include "core/timers.hpp"

namespace troupe::detail {
class local_actor;
}

namespace troupe::actors {

/// A watch on an actor's end.
struct exit_watch {
  exit_watch() = default;
  exit_watch(const exit_watch&) = delete;
  exit_watch& operator=(const exit_watch&) = delete;
  ~exit_watch();

  std::function<void(const exit_info&)> f;
  detail::local_actor* watcher = nullptr;  ///< holds a reference; null: a job of its own
  std::atomic<bool> cancelled{false};
};

/// Calls the functions of watches whose actor has ended.
void tell_watches(std::vector<std::shared_ptr<exit_watch>> watches, const exit_info& end) noexcept;

}  // namespace troupe::actors

namespace troupe::detail {

/// Either hosted by this process (`local_actor`) or a stand-in for one of another process. Its
/// memory is counted by references, its life by handles. Thread-safe.
class actor_core {
 public:
  // -- memory and handles -------------------------------------------------------------------------
  virtual void add_reference() noexcept = 0;
  virtual void release_reference() noexcept = 0;
  virtual void add_handle() noexcept = 0;
  virtual void release_handle() noexcept = 0;

  // -- calls --------------------------------------------------------------------------------------
  /// Takes a call over; may throw, then it was not.
  virtual void submit(actor_call& call, options_ptr options) = 0;
  /// A call's arguments are there.
  virtual void dispatch(actor_call& call) noexcept = 0;
  /// A call that was put aside may go on.
  virtual void go_on(actor_call& call) noexcept = 0;
  /// A call was cancelled or has run out of time, and its ref has failed.
  virtual void call_stopped(actor_call& call) noexcept = 0;
  virtual void call_ended() noexcept = 0;
  /// Calls that were accepted and have not ended.
  virtual std::size_t pending() const noexcept = 0;

  // -- life ---------------------------------------------------------------------------------------
  /// Ends the actor, from any thread. `may_restart` lets it count as a failure.
  virtual void order_end(exit_reason reason, std::string message, bool may_restart) noexcept = 0;
  /// Ready when the constructor has run.
  virtual const object_ptr& constructed() const noexcept = 0;
  virtual void watch(std::shared_ptr<actors::exit_watch> watch) = 0;
  virtual void link_with(actor_core& other, bool linked) = 0;
  virtual bool is_dead() const noexcept = 0;

  // -- facts --------------------------------------------------------------------------------------
  virtual std::uint64_t id() const noexcept = 0;
  virtual std::string name() const = 0;
  virtual std::string full_name() const = 0;
  virtual const class_info& info() const noexcept = 0;
  /// The clock of its process's runtime.
  virtual core::timers& timers() const noexcept = 0;

 protected:
  ~actor_core() = default;
};

}  // namespace troupe::detail
