/// Decides for a node's store of large values: who gets memory, what is evicted, spilled, restored,
/// and what is freed with whom.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "net/block_allocator.hpp"
#include "net/bounded_set.hpp"
#include "net/ids.hpp"

namespace troupe::net {

/// Names a stored value in the whole cluster: the node's process that it was made on, and a number.
using stored_id = global_id;
/// A request that is answered later; dealt by the shell.
using store_ticket = std::uint64_t;

struct store_settings {
  process_id self = 0;
  std::uint64_t capacity = 0;
  /// Of the file that values are spilled to; 0: nothing is spilled.
  std::uint64_t spill_capacity = std::uint64_t{1} << 46;
  std::uint32_t parallel_io = 2;               ///< spills and restores under way
  std::chrono::milliseconds patience{30'000};  ///< restores and pulls wait so long for memory
  /// A result that its owner has not claimed so long after it was sealed is freed: the owner did
  /// not want it any more when it came.
  std::chrono::milliseconds claim_within{300'000};
  std::chrono::milliseconds spill_retry{1'000};  ///< after a spill has failed
  std::string spill_place;                       ///< for messages
};

/// What is told of a value when it is made.
struct store_label {
  process_id owner = 0;  ///< its object's; it frees the value
  std::string made_by;   ///< the task, or the place of the `put`
  template <class Archive>
  void serialize(Archive& archive) {
    archive(owner, made_by);
  }
};

enum class store_refusal : std::uint8_t { none, too_large, full, lost, cancelled };

// What the shell shall do, in order.
struct answer_created {
  store_ticket ticket = 0;
  stored_id id;
  std::uint64_t offset = 0;
};
struct answer_pinned {
  store_ticket ticket = 0;
  stored_id id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
struct answer_refused {
  store_ticket ticket = 0;
  store_refusal why{};
  std::string text;
};
/// Copy a block of memory to the file, then call `spilled`.
struct spill_block {
  stored_id id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t file_offset = 0;
};
/// Copy it back, then call `restored`.
struct restore_block {
  stored_id id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t file_offset = 0;
};
struct discard_file_block {
  std::uint64_t file_offset = 0;
  std::uint64_t size = 0;
};
/// Somebody here wants a value of another node; answered by `pull_located`, then `pulled`, or by
/// `pull_failed`.
struct begin_pull {
  stored_id id;
};
struct receive_into {
  stored_id id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
/// Nobody wants it any more; its memory is free already.
struct stop_pull {
  stored_id id;
};
/// A copy of another node's value is not here any more.
struct copy_evicted {
  stored_id id;
};
/// It is whole from now on: its maker has said so.
struct value_sealed {
  stored_id id;
};
/// A value of this node is freed, wherever it lies.
struct value_freed {
  stored_id id;
};
using store_effect = std::variant<answer_created, answer_pinned, answer_refused, spill_block,
                                  restore_block, discard_file_block, begin_pull, receive_into,
                                  stop_pull, copy_evicted, value_sealed, value_freed>;

/// A state machine without threads, clocks, sockets and logging; thread-compatible.
///
/// A value is made by `create`, written by its maker and sealed; from then on it never changes. Its
/// owner frees it. A pin keeps it in memory for a reader. Clients are processes: what one that dies
/// was writing is freed, its pins and requests go.
///
/// When memory is short, in this order: copies of other nodes' values and what lies in the file as
/// well are evicted, oldest use first; values that nobody reads are spilled; requests wait for
/// their time; then they are refused.
class store_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit store_state(store_settings settings);

  /// Deals out what memory is free now, and hands out what is to be done.
  std::vector<store_effect> take_effects(time now) {
    serve(now);
    return std::exchange(effects_, {});
  }

  // -- requests of clients ------------------------------------------------------------------------
  void create(time now, process_id client, store_ticket ticket, std::uint64_t size,
              store_label label, std::chrono::milliseconds patience);
  void seal(time now, process_id client, stored_id id);
  /// The maker will not write it after all.
  void abort(process_id client, stored_id id);
  void pin(time now, process_id client, store_ticket ticket, stored_id id);
  void unpin(process_id client, stored_id id);
  /// The client waits no more; it is refused, unless it has its answer.
  void cancel(store_ticket ticket);

  // -- of owners ----------------------------------------------------------------------------------
  /// The owner has heard of a value that another process made for it.
  void claim(stored_id id);
  void drop(stored_id id);

  // -- of processes, wherever they lived ----------------------------------------------------------
  /// It has left or was declared dead: the values that it owns go. What it reads and writes is its
  /// own until `process_gone`: it may not have ended.
  void owner_gone(process_id who);
  void process_gone(process_id who);

  // -- what came of effects -----------------------------------------------------------------------
  void spilled(time now, stored_id id, const std::string& failure);
  void restored(stored_id id, const std::string& failure);
  void pull_located(time now, stored_id id, std::uint64_t size);
  void pulled(stored_id id);
  void pull_failed(stored_id id, const std::string& why,
                   store_refusal refusal = store_refusal::lost);

  /// To be called every 100 ms or so while there is anything in it.
  void tick(time now);

  // -- asked --------------------------------------------------------------------------------------
  struct item {
    stored_id id;
    std::uint64_t size = 0;
    store_label label;
    bool copy = false;  ///< of another node's value
    bool in_memory = false;
    bool in_file = false;
    bool writing = false;
    bool waiting = false;  ///< to be restored, or pulled
    std::vector<process_id> readers;
  };
  std::vector<item> items() const;
  struct use {
    std::uint64_t capacity = 0;
    std::uint64_t used = 0;
    std::uint64_t pinned = 0;
    std::uint64_t spilled = 0;
    std::uint64_t values = 0;
    std::uint64_t waiting = 0;  ///< requests for memory
    std::uint64_t spills = 0;   ///< ever, as below
    std::uint64_t restores = 0;
    std::uint64_t evictions = 0;
    std::uint64_t pulls = 0;
  };
  use usage() const;
  bool holds(stored_id id) const { return entries_.contains(id); }
  bool in_memory(stored_id id) const;
  /// Whether it will be sealed, as far as anybody knows. Others may hear of a value by messages
  /// before its maker's word has come here by another way.
  bool is_being_written(stored_id id) const;
  /// Of a value that is sealed; 0 when there is none.
  std::uint64_t size_of(stored_id id) const;
  /// Whether time can change anything.
  bool wants_ticks() const noexcept {
    return !urgent_.empty() || !creates_.empty() || unclaimed_ > 0;
  }
  const block_allocator& memory() const noexcept { return memory_; }
  std::uint64_t spilled_bytes() const noexcept { return file_.used(); }

 private:
  enum class place : std::uint8_t {
    writing,    ///< in memory, not sealed
    memory,     ///< in memory, perhaps also in the file
    spilling,   ///< in memory, on its way to the file
    file,       ///< in the file only
    restoring,  ///< waits for memory, or on its way back
    fetching,   ///< of another node: waits for word, for memory, or for its bytes
  };
  struct entry {
    stored_id id;
    place at = place::writing;
    std::uint64_t size = 0;
    std::optional<std::uint64_t> offset;
    std::optional<std::uint64_t> file_offset;
    process_id maker = 0;
    store_label label;
    bool primary = true;
    bool claimed = false;
    bool dropped = false;
    std::optional<time> claim_by;
    std::unordered_map<process_id, std::uint32_t> pins;
    std::vector<store_ticket> waiting;  ///< for a pin
    std::uint64_t idle_since = 0;       ///< its key in `evictable_` or `spillable_`; 0: in none
  };
  /// A request for memory.
  struct want {
    stored_id id;             ///< of a restore or pull
    store_ticket ticket = 0;  ///< of a create
    process_id client = 0;
    std::uint64_t size = 0;
    store_label label;
    time deadline;
  };
  struct waiter {
    process_id client = 0;
    stored_id id;  ///< of a pin
  };

  entry* find(stored_id id);
  void settle(entry& of);
  void leave_idle(entry& of);
  void erase(entry& of);
  void grant_pin(entry& of, store_ticket ticket, process_id client);
  void answer_waiting(entry& of);
  void refuse_waiting(entry& of, store_refusal why, const std::string& text);
  void stop_waiting(entry& of, store_ticket ticket);
  void begin_restore(time now, entry& of);
  void want_memory(time now, entry& of);
  void serve(time now);
  std::optional<std::uint64_t> make_room(time now, std::uint64_t size);
  void evict(entry& of);
  bool start_spill(entry& of);
  void grant_create(const want& of, std::uint64_t offset);
  std::string describe_full() const;
  void forget_holding(process_id client, stored_id id);

  store_settings settings_;
  block_allocator memory_;
  block_allocator file_;
  std::vector<store_effect> effects_;
  std::unordered_map<stored_id, entry> entries_;
  std::uint64_t last_number_ = 0;
  std::uint64_t last_idle_ = 0;
  std::map<std::uint64_t, stored_id> evictable_;  ///< oldest use first
  std::map<std::uint64_t, stored_id> spillable_;
  std::deque<want> urgent_;  ///< restores and pulls: readers wait for them
  std::deque<want> creates_;
  std::unordered_map<store_ticket, waiter> waiters_;
  /// What a client pins or writes: to be let go of with it.
  std::unordered_map<process_id, std::unordered_set<stored_id>> holdings_;
  bounded_set<process_id> dead_;
  std::uint32_t io_ = 0;
  std::uint64_t spilling_bytes_ = 0;
  std::size_t unclaimed_ = 0;  ///< entries with a `claim_by`
  std::optional<time> no_spill_before_;
  std::string spill_trouble_;
  use counted_;
};

}  // namespace troupe::net
