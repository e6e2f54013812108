/// Decides how a node gets the packages that its workers need, and which it keeps.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/ids.hpp"

namespace troupe::net {

struct package_settings {
  std::uint64_t most_bytes = std::uint64_t{4} << 30;  ///< of all that is kept
  std::uint64_t piece_bytes = std::uint64_t{1} << 20;
  std::uint64_t pieces_ahead = 4;              ///< asked for and not written yet
  std::chrono::milliseconds patience{30'000};  ///< with a source that says nothing
};

// What the shell shall do, in order.
struct ask_piece {
  process_id source = 0;
  std::string hash;
  std::uint64_t offset = 0;
};
/// Anew, also when there is a part of it.
struct begin_file {
  std::string hash;
};
/// All of it is written: check it and put it in its place; `finished` tells.
struct finish_file {
  std::string hash;
};
struct remove_file {
  std::string hash;
};
/// What `ticket` wanted is there, or cannot be had.
struct package_answer {
  std::uint64_t ticket = 0;
  std::string hash;
  std::string failed;
};
using package_effect =
    std::variant<ask_piece, begin_file, finish_file, remove_file, package_answer>;

/// A state machine without threads, clocks, sockets and disks; thread-compatible.
///
/// A package is named by the hash of its content and comes in pieces from the first source that
/// has it. It is kept when nobody uses it any more, until room is needed: then the one that was not
/// used for longest goes.
class package_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit package_state(package_settings settings) : settings_(settings) {}

  std::vector<package_effect> take_effects() { return std::exchange(effects_, {}); }

  /// Of an earlier life of the node.
  void found(const std::string& hash, std::uint64_t bytes);
  /// Until `release` of the ticket the package stays. `sources` are asked in their order.
  void want(time now, std::uint64_t ticket, const std::string& hash, std::uint64_t bytes,
            std::vector<process_id> sources);
  void release(std::uint64_t ticket);
  /// Whether the piece is one that was waited for; then the shell writes it and says `written`.
  bool received(time now, process_id from, const std::string& hash, std::uint64_t offset,
                std::uint64_t bytes, const std::string& failed);
  /// `failed`: why not.
  void written(time now, const std::string& hash, std::uint64_t bytes, const std::string& failed);
  /// `bytes`: that it has on the disk, unpacked, too. `failed`: it is not what its name says, or
  /// cannot be stored.
  void finished(time now, const std::string& hash, std::uint64_t bytes, const std::string& failed);
  void process_gone(time now, process_id gone);
  void tick(time now);

  bool has(const std::string& hash) const { return kept_.count(hash) != 0; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct fetch {
    std::uint64_t size = 0;
    std::deque<process_id> sources;  ///< the first is asked now
    std::set<std::uint64_t> tickets;
    std::uint64_t asked = 0;
    std::uint64_t received = 0;
    std::uint64_t written = 0;
    bool finishing = false;
    time heard{};
    std::string why;  ///< of the sources that failed
  };
  struct kept {
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;  ///< when, in the order of uses
    std::set<std::uint64_t> tickets;
  };

  void begin(time now, const std::string& hash, fetch& of);
  void ask_more(const std::string& hash, fetch& of);
  void next_source(time now, const std::string& hash, const std::string& why);
  void give_up(const std::string& hash, const std::string& why);
  void make_room();

  const package_settings settings_;
  std::vector<package_effect> effects_;
  std::map<std::string, fetch> fetches_;
  std::map<std::string, kept> kept_;
  std::uint64_t bytes_ = 0;
  std::uint64_t uses_ = 0;
};

}  // namespace troupe::net
