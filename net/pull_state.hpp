/// Decides how values travel between nodes: where a node gets one from, and who it gives one to.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "net/ids.hpp"
#include "net/store_state.hpp"

namespace troupe::net {

/// What a node that pulls shall do.
struct ask_home {
  process_id home = 0;
  stored_id id;
};
struct value_located {
  stored_id id;
  std::uint64_t size = 0;
};
struct ask_chunk {
  process_id source = 0;
  stored_id id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
/// The source may forget the transfer.
struct end_transfer {
  process_id source = 0;
  stored_id id;
};
/// Tells the home how a transfer ended.
struct tell_home {
  process_id home = 0;
  stored_id id;
  process_id source = 0;
  bool done = false;
};
struct pull_complete {
  stored_id id;
};
struct pull_hopeless {
  stored_id id;
  std::string why;
  store_refusal refusal = store_refusal::lost;
};
using pull_effect = std::variant<ask_home, value_located, ask_chunk, end_transfer, tell_home,
                                 pull_complete, pull_hopeless>;

/// The pulls of one node. Pure; thread-compatible.
///
/// The home of a value (the node that it was made on) names a source: itself or a node that has a
/// copy. From it the value comes in chunks, some asked for ahead. When the source dies or does not
/// have it any more, the home is asked again; what has come stays.
class pull_state {
 public:
  static constexpr std::uint32_t wide_by = 4;

  pull_state(std::uint64_t chunk_bytes, std::uint32_t window)
      : chunk_bytes_(chunk_bytes), window_(window) {}

  std::vector<pull_effect> take_effects() { return std::exchange(effects_, {}); }

  void begin(stored_id id, process_id home);
  void located(stored_id id, std::uint64_t size, process_id source);
  void refused(stored_id id, const std::string& why, store_refusal refusal = store_refusal::lost);
  /// There is memory for it.
  void memory_granted(stored_id id);
  /// Whether those bytes were asked for from that process: only then may they be copied.
  bool expects(stored_id id, process_id from, std::uint64_t offset, std::uint64_t size) const;
  void arrived(stored_id id, std::uint64_t offset);
  /// Far more is asked ahead of a source that is reached by a data connection: what is asked there
  /// holds up nothing else.
  void set_wide(process_id source, bool wide);
  /// It did not come by the way by which it was asked for: it is asked for again.
  void undelivered(stored_id id, process_id source, std::uint64_t offset);
  /// The source does not have it (any more), or has no room to read it back from its disk and says
  /// why.
  void missing(stored_id id, process_id source, const std::string& no_room = {});
  void process_gone(process_id who, const std::string& cause);
  /// Nobody wants it any more.
  void stop(stored_id id);
  /// With those that were stopped and whose homes have not answered.
  std::size_t size() const noexcept { return pulls_.size(); }

 private:
  struct pull {
    process_id home = 0;
    process_id source = 0;  ///< 0: the home is asked
    bool wanted = true;     ///< else it was stopped, and the home's answer is still to come
    std::uint64_t size = 0;
    bool has_memory = false;
    std::uint64_t next = 0;                            ///< what has not been asked for begins here
    std::map<std::uint64_t, std::uint64_t> under_way;  ///< sizes by offset
    std::map<std::uint64_t, std::uint64_t> again;      ///< asked of a source that failed
  };
  void ask_more(stored_id id, pull& of);
  void lost_source(stored_id id, pull& of);

  const std::uint64_t chunk_bytes_;
  const std::uint32_t window_;
  std::set<process_id> wide_;
  std::map<stored_id, pull> pulls_;
  std::vector<pull_effect> effects_;
};

/// What a home shall do.
struct name_source {
  process_id to = 0;
  stored_id id;
  process_id source = 0;
};
struct delete_copy {
  process_id node = 0;
  stored_id id;
};
using spread_effect = std::variant<name_source, delete_copy>;

/// Who has copies of this node's values, and who waits for one. Pure; thread-compatible.
///
/// A source serves few at a time and each that has got the value serves others, so a value reaches
/// n nodes in O(log n) times the time of one transfer.
class spread_state {
 public:
  explicit spread_state(process_id self, std::uint32_t at_once = 2)
      : self_(self), at_once_(at_once) {}

  std::vector<spread_effect> take_effects() { return std::exchange(effects_, {}); }

  /// A node wants the value. `keeps`: it will have a copy for others. `is_sealed`: it is whole;
  /// else the node waits for `sealed`, or for `freed`.
  void asked(stored_id id, process_id by, bool keeps, bool is_sealed = true);
  void sealed(stored_id id);
  void ended(stored_id id, process_id by, process_id source, bool done);
  /// The node has thrown its copy away.
  void evicted(stored_id id, process_id node);
  void freed(stored_id id);
  void process_gone(process_id who);
  std::size_t size() const noexcept { return values_.size(); }

 private:
  struct receiver {
    process_id node = 0;
    bool keeps = false;
  };
  struct value {
    bool is_sealed = true;
    std::set<process_id> copies;             ///< besides this node's
    std::map<process_id, receiver> serving;  ///< by who receives: `node` is the source
    std::deque<receiver> waiting;
    std::map<process_id, std::uint32_t> busy;         ///< transfers by source
    std::set<std::pair<process_id, process_id>> bad;  ///< source that failed a receiver
  };
  void serve(stored_id id, value& of);
  void finish(value& of, process_id by);
  void clean_up(stored_id id);

  const process_id self_;
  const std::uint32_t at_once_;
  std::map<stored_id, value> values_;
  std::vector<spread_effect> effects_;
};

}  // namespace troupe::net
