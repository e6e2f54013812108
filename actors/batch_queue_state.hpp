/// Decides for an actor with batched methods: which calls run together, and when.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace troupe::actors {

struct batch_limits {
  std::size_t max_batch_size = 32;
  /// How long the first call of a batch waits for others while nothing runs.
  std::chrono::nanoseconds max_wait{0};
  /// Calls of one caller run in the order in which they arrived.
  bool ordered = true;
};

/// Pure; thread-compatible. Calls arrive and leave by `next`, alone or in batches.
///
/// A line of entries: a plain call, or a batch of one method. A call joins the last batch of its
/// method that has room and stands behind no later call of its caller; a batch that may not go yet
/// is passed by. Only when a caller's next call comes into another entry does the batch that it
/// waits in go at once: so passing by never changes the order of one caller's calls.
class batch_queue_state {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using call_id = std::uintptr_t;  // whatever the caller of this class knows the call by
  using caller_id = std::uint64_t;
  using method_id = std::uint32_t;
  static constexpr method_id no_method = ~method_id{0};

  /// What runs next: the calls of one method, or one plain call.
  struct turn {
    method_id method = no_method;
    std::vector<call_id> calls;
    bool operator==(const turn&) const = default;
  };

  explicit batch_queue_state(const batch_limits& limits);

  // -- events -------------------------------------------------------------------------------------

  /// A call that is not for a batch.
  void arrive(call_id call, caller_id caller);
  /// A call of a batched method, there since `since`. Methods are numbered from 0.
  void arrive(call_id call, caller_id caller, method_id method, time_point since);
  /// One that is tried again. It goes alone: what broke its batch shall not break its neighbours'.
  void arrive_again(call_id call, caller_id caller, method_id method);

  // -- decisions ----------------------------------------------------------------------------------

  /// What is to run now; nothing when all wait for their time.
  std::optional<turn> next(time_point now);
  /// Takes the first entry, whether its time has come or not.
  std::optional<turn> take_any();
  /// When the first of those that wait may go. Nothing when none waits for its time.
  std::optional<time_point> due() const;

  bool empty() const noexcept { return entries_.empty(); }

 private:
  struct entry {
    turn what;
    std::vector<caller_id> callers;
    time_point due = time_point::min();
  };
  using line = std::map<std::uint64_t, entry>;

  entry& add(caller_id caller, method_id method, call_id call);
  entry* find(std::uint64_t number);
  entry* open_batch(method_id method, caller_id caller);
  void note_place(caller_id caller, std::uint64_t number);
  turn take(line::iterator at);

  batch_limits limits_;
  line entries_;  ///< by number, in the order in which they began
  std::uint64_t last_ = 0;
  std::vector<std::uint64_t> open_;  ///< by method: the number of its last batch
  std::unordered_map<caller_id, std::uint64_t> places_;  ///< by caller: the entry of its last call
};

}  // namespace troupe::actors
