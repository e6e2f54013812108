/// Decides for a pool of actors: which member gets which calls, what is batched, sent again,
/// refused.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::actors {

struct pool_limits {
  /// Calls that one member has at once.
  std::size_t max_in_flight = 1;
  /// Items that wait for a member.
  std::size_t max_pending = 1'000'000;
  /// Times that an item is sent when members die under it.
  int max_attempts = 3;
  /// Members started in place of dead ones; -1: no bound. 0 for a pool that cannot make members.
  int max_replacements = -1;
  /// Members in a row that may end before any has done a call; then no more are started.
  int max_failed_starts = 3;
};

/// How the items of one lane are put into calls.
struct lane_limits {
  std::size_t max_batch_size = 1;
  /// How long an item waits for others while a member is free.
  std::chrono::nanoseconds max_wait{0};
};

/// Pure; thread-compatible. Items enter lanes, leave them in batches, and are gone when their batch
/// is. Each event may append effects, which the caller takes and carries out, in order.
class pool_state {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using item_id = std::uint64_t;    // in the order of arrival
  using member_id = std::uint64_t;  // never used again
  using batch_id = std::uint64_t;
  using lane_id = std::uint32_t;

  // -- effects ------------------------------------------------------------------------------------

  /// Make a member; then `member_started`, `member_start_failed` or `member_ended`.
  struct start_member {
    member_id member;
    bool operator==(const start_member&) const = default;
  };
  /// Call the member with these items; then `finished` or `interrupted`.
  struct send_batch {
    batch_id batch;
    member_id member;
    lane_id lane;
    std::vector<item_id> items;
    bool operator==(const send_batch&) const = default;
  };
  enum class failing : std::uint8_t {
    interrupted,  ///< members died under it too often, or it cannot be sent twice
    no_members,   ///< none is left and none will come
  };
  struct fail_item {
    item_id item;
    failing why;
    bool operator==(const fail_item&) const = default;
  };
  /// Call `tick` then.
  struct wake_at {
    time_point time;
    bool operator==(const wake_at&) const = default;
  };
  using effect = std::variant<start_member, send_batch, fail_item, wake_at>;

  explicit pool_state(const pool_limits& limits);

  // -- items --------------------------------------------------------------------------------------

  /// A lane for items of one kind. Lanes share members; the oldest item that may go goes first.
  lane_id add_lane(const lane_limits& limits);
  enum class refusal : std::uint8_t { full, no_members };
  /// Whether an item that comes now would be refused, and why.
  std::optional<refusal> would_refuse() const;
  /// Takes an item. Requires that it is not refused.
  item_id submit(lane_id into, time_point now);
  /// Forgets an item. False when it does not wait (any more).
  bool withdraw(item_id item);
  void tick(time_point now);

  // -- batches ------------------------------------------------------------------------------------

  /// The call gave a result or an exception of its own.
  void finished(batch_id batch, time_point now);
  /// The member died or restarted under the call. `gone`: it takes no further calls. Items go back
  /// to their place and are sent alone from now on: the one that kills its member shall not spend
  /// the attempts of its neighbours. Without `resend` they fail.
  void interrupted(batch_id batch, bool gone, bool resend, time_point now);

  // -- members ------------------------------------------------------------------------------------

  /// Asks for members. While they start they get no calls, which might wait there for long, but
  /// count as room for some.
  void start(std::size_t members);
  /// A member from outside, which starts or has.
  member_id add_member();
  /// Its constructor has run. Ignored when it was taken out meanwhile.
  void member_started(member_id member, time_point now);
  /// It could not be made at all.
  void member_start_failed(member_id member);
  /// The member ended. `useless`: its constructor threw. `replace`: another one may take its place.
  void member_ended(member_id member, bool useless, bool replace);
  /// Takes out a member without calls, when nothing waits.
  std::optional<member_id> take_idle();

  // -- facts --------------------------------------------------------------------------------------

  std::size_t waiting() const noexcept { return waiting_; }
  std::size_t running() const noexcept { return batches_.size(); }
  std::size_t members() const noexcept { return members_.size() + starting_.size(); }
  std::uint64_t replaced() const noexcept { return replaced_; }
  /// Whether a call that comes now would be sent at once, or to a member that is about to start.
  bool has_free() const noexcept {
    return (waiting_ == 0 && !free_.empty()) || waiting_ < room_to_come();
  }

  std::vector<effect> take_effects() { return std::exchange(effects_, {}); }

 private:
  struct waiting_item {
    time_point since;
    int attempts = 0;  ///< that were interrupted
  };
  struct lane {
    lane_limits limits;
    std::map<item_id, waiting_item> items;
  };
  struct member {
    std::size_t in_flight = 0;
    std::uint64_t last_used = 0;
    bool gone = false;
  };
  struct flight {
    member_id to = 0;
    lane_id from = 0;
    std::vector<item_id> items;
    std::vector<waiting_item> states;
  };

  std::size_t room_to_come() const noexcept { return starting_.size() * limits_.max_in_flight; }
  bool is_due(const lane& of, time_point now) const;
  lane_id oldest_due(time_point now) const;
  void dispatch(time_point now);
  void send(lane_id from, member_id to);
  void take_back(batch_id batch);
  void set_free(member_id id);
  void clear_free(member_id id);
  void ended_without_successor();
  void try_replace();

  pool_limits limits_;
  std::vector<lane> lanes_;
  std::unordered_map<item_id, lane_id> lane_of_;  ///< of each waiting item
  std::unordered_map<member_id, member> members_;
  std::set<std::tuple<std::size_t, std::uint64_t, member_id>>
      free_;  ///< least loaded, least recent
  std::set<member_id> starting_;
  std::unordered_map<batch_id, flight> batches_;
  std::optional<time_point> armed_;
  std::size_t waiting_ = 0;
  item_id last_item_ = 0;
  batch_id last_batch_ = 0;
  member_id last_member_ = 0;
  std::uint64_t uses_ = 0;
  std::uint64_t replaced_ = 0;
  int failed_starts_ = 0;
  bool dead_end_ = false;  ///< members died and none will come
  std::vector<effect> effects_;
};

}  // namespace troupe::actors
