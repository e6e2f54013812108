/// Decides which lines of workers a driver shows: one that many workers print is shown once.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::net {

/// A line of one worker, as its driver got it.
struct shown_line {
  std::string name;
  std::int64_t pid = 0;
  std::string node;
  bool error = false;
  std::string text;
  std::uint64_t repeats = 0;  ///< when it stands for so many; 0: for itself
};

/// A state machine without threads and clocks; thread-compatible.
///
/// The first of equal lines is shown at once. Those of other processes within the window after it
/// are counted, and shown as one when the window ends. What one process says again is not a
/// repetition across the cluster: it is shown.
class output_repeats_state {
 public:
  using time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t most_open = 1'000;  ///< lines that are watched for repetitions

  explicit output_repeats_state(std::chrono::milliseconds window) : window_(window) {}

  /// Appends to `show` what shall be shown now.
  void add(time now, shown_line line, std::vector<shown_line>& show);
  void tick(time now, std::vector<shown_line>& show);
  /// All windows end.
  void finish(std::vector<shown_line>& show);
  /// When `tick` has something to do next.
  std::optional<time> next() const;

 private:
  struct open_line {
    std::int64_t pid = 0;
    std::string node;
    time until{};
    std::uint64_t repeats = 0;
    shown_line last;  ///< of those that repeated it
  };
  using key = std::pair<bool, std::string>;  // of which stream, and the text

  void close_oldest(std::vector<shown_line>& show);

  const std::chrono::milliseconds window_;
  std::map<key, open_line> open_;
  std::deque<key> order_;  ///< all windows are as long: the oldest ends first
};

/// "(name pid=1 node=a) text [repeated 3x across cluster]"
std::string to_text(const shown_line& line);

}  // namespace troupe::net
