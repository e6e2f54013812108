/// What pools of actors need of the runtime, without its types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/detail/actor_api.hpp>
#include <troupe/detail/actor_factory.hpp>
#include <troupe/detail/object_state.hpp>
#include <troupe/object_ref.hpp>
#include <troupe/pool_options.hpp>

namespace troupe {

namespace detail {

struct pool_settings {
  std::size_t max_in_flight = 1;
  std::size_t max_pending = 1'000'000;
  int max_attempts = 3;
  int max_replacements = -1;
  std::string name;  ///< for messages: `pool of cook`

  template <class Archive>
  void serialize(Archive& archive) {
    archive(max_in_flight, max_pending, max_attempts, max_replacements, name);
  }
};

/// How a call lost its actor, which is not what the method threw.
enum class interruption : std::uint8_t { none, restarts, died };
TROUPE_API interruption interruption_of(const object_state& result);

class pool_core;
using pool_ptr = std::shared_ptr<pool_core>;

/// Inputs on their way to one call of a member. Dropping it without `finish` fails the inputs that
/// are not complete. Move-only; used by one thread at a time.
class TROUPE_API pool_batch {
 public:
  pool_batch(pool_ptr pool, std::uint64_t id, actor_core_ptr member, std::vector<std::uint64_t> ids,
             std::vector<object_ptr> items)
      : pool_(std::move(pool)),
        id_(id),
        member_(std::move(member)),
        ids_(std::move(ids)),
        items_(std::move(items)) {}
  pool_batch(pool_batch&&) noexcept = default;
  pool_batch& operator=(pool_batch&&) = delete;
  ~pool_batch();

  const actor_core_ptr& member() const noexcept { return member_; }
  const std::vector<object_ptr>& items() const noexcept { return items_; }
  /// The call is over; all items are complete.
  void finish() noexcept;
  /// Fails every item.
  void fail(const failure_ptr& why) noexcept;
  /// True when `result` failed because the member died: the items are sent again, or have failed
  /// when they must not be. The batch is over then.
  bool interrupted(const object_state& result, bool resend) noexcept;

 private:
  pool_ptr pool_;
  std::uint64_t id_;
  actor_core_ptr member_;
  std::vector<std::uint64_t> ids_;
  std::vector<object_ptr> items_;
};

/// The members of a pool and what waits for them. Thread-safe; never blocks.
class TROUPE_API pool_core {
 public:
  /// Starts the call for a batch. May throw: then the items fail.
  using send_function = void (*)(pool_batch batch);

  /// A pool of these actors. Dead ones are not replaced.
  static pool_ptr make(const pool_settings& settings, std::vector<actor_core_ptr> members);
  /// A pool that makes its members.
  static pool_ptr make(const pool_settings& settings, std::size_t size, actor_factory factory);
  virtual ~pool_core() = default;

  // -- single calls, see pool_place ---------------------------------------------------------------

  /// Throws `pending_calls_limit_error` or `actor_died_error`.
  virtual std::uint64_t enter() = 0;
  /// Ready when a member has been chosen, failed when none will be.
  virtual object_ptr granted(std::uint64_t item) = 0;
  virtual actor_core_ptr member_of(std::uint64_t item) = 0;
  virtual void interrupted(std::uint64_t item, interruption how, failure_ptr why,
                           bool resend) noexcept = 0;
  virtual void leave(std::uint64_t item) noexcept = 0;

  // -- batches ------------------------------------------------------------------------------------

  /// Adds an input, whose object is completed by the call. Throws as `enter`.
  virtual void enter_batch(send_function send, const batch_options& how, object_ptr item) = 0;
  virtual void batch_finished(std::uint64_t batch,
                              const std::vector<std::uint64_t>& ids) noexcept = 0;
  virtual void batch_interrupted(std::uint64_t batch, interruption how, failure_ptr why,
                                 bool resend) noexcept = 0;

  // -- members ------------------------------------------------------------------------------------

  /// Whether one more call would be accepted now.
  virtual bool has_room() const = 0;
  virtual bool has_free() const = 0;
  /// Throws `std::invalid_argument` when the actor is a member already.
  virtual void push(actor_core_ptr member) = 0;
  virtual actor_core_ptr pop_idle() = 0;
  virtual pool_stats stats() const = 0;
};

/// A call's place in a pool: it waits for a member, then has one, until it goes. Move-only; used by
/// one thread at a time.
class TROUPE_API pool_place {
 public:
  explicit pool_place(pool_ptr pool) noexcept : pool_(std::move(pool)) {}
  pool_place(pool_place&& other) noexcept
      : pool_(std::move(other.pool_)), item_(std::exchange(other.item_, 0)) {}
  pool_place& operator=(pool_place&&) = delete;
  ~pool_place() { leave(); }

  /// Takes a place. Throws as `pool_core::enter`.
  void enter() {
    if (item_ == 0) item_ = pool_->enter();
  }
  object_ref<void> granted() const { return object_ref<void>(pool_->granted(item_)); }
  actor_core_ptr member() const { return pool_->member_of(item_); }
  /// True when `result` failed because the member died: wait for `granted` again.
  bool interrupted(const object_state& result, bool resend) {
    const interruption how = interruption_of(result);
    if (how == interruption::none) return false;
    pool_->interrupted(item_, how, result.why(), resend);
    return true;
  }
  void leave() noexcept {
    if (item_ != 0) pool_->leave(std::exchange(item_, 0));
  }

 private:
  pool_ptr pool_;
  std::uint64_t item_ = 0;
};

/// A handle to a pool that a task may take along.
struct pool_link {
  pool_ptr pool;
};

/// Checks the options of a pool. `kind`: `actor_pool` or `shared_pool`.
TROUPE_API pool_settings settings_of(const pool_options& options, std::string_view kind,
                                     std::string_view class_name);
TROUPE_API std::size_t size_of(const pool_options& options);
/// Throws `std::invalid_argument` that names what is out of range.
TROUPE_API void check_batch_options(const batch_options& options);
template <>
inline constexpr bool stays_in_process_v<pool_place> = true;
template <>
inline constexpr bool stays_in_process_v<pool_batch> = true;
template <>
inline constexpr bool stays_in_process_v<pool_link> = true;

}  // namespace detail
}  // namespace troupe
