/// Tells the strangers among the connections of a listener from its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::net {

/// libzmq tells that some connection was accepted, that one has shaken hands, that one has failed
/// to, and that one has ended; only the first and the last name it, by its descriptor. A connection
/// that ends is a stranger's unless it was heard or a handshake accounts for it. Pure and
/// thread-compatible.
class connection_watch {
 public:
  struct open_connection {
    int descriptor = -1;
    std::string address;
    bool operator==(const open_connection&) const = default;
  };

  void accepted(int descriptor, std::string address) {
    open_[descriptor] = {std::move(address), {}, false, ++accepted_};
  }
  /// One of those that were not heard yet belongs here.
  void shook_hands() { ++accounted_for_; }
  /// The gatekeeper has refused one of them, and has told of it.
  void refused_by_gatekeeper() { ++accounted_for_; }
  /// The next to end is the one that failed.
  void failed() { failed_ = true; }
  /// A message came by it, under that key.
  void heard(int descriptor, const char* key) {
    const auto found = open_.find(descriptor);
    if (found == open_.end() || found->second.known) return;
    found->second.known = true;
    found->second.key = key;
    if (accounted_for_ > 0) --accounted_for_;
  }
  /// The address when it was a stranger's.
  std::optional<std::string> ended(int descriptor) {
    const bool has_failed = std::exchange(failed_, false);
    const auto found = open_.find(descriptor);
    if (found == open_.end()) return std::nullopt;
    const connection ended = std::move(found->second);
    open_.erase(found);
    if (ended.known) return std::nullopt;
    if (!has_failed && accounted_for_ > 0) {
      --accounted_for_;
      return std::nullopt;
    }
    return ended.address;
  }

  /// Those that were heard under a key that is not admitted (any more).
  std::vector<open_connection> heard_without(
      const std::function<bool(const std::string& key)>& admitted) const {
    return those([&](const connection& c) { return c.known && !admitted(c.key); });
  }
  /// Those of which nothing was heard yet: whose they are is not known.
  std::vector<open_connection> unheard() const {
    return those([](const connection& c) { return !c.known; });
  }
  /// The one that is silent for longest, when more than so many are.
  std::optional<open_connection> silent_too_long(std::size_t allowed) const {
    const auto silent = [](const auto& entry) { return !entry.second.known; };
    if (open_.size() <= allowed ||
        static_cast<std::size_t>(std::count_if(open_.begin(), open_.end(), silent)) <= allowed) {
      return std::nullopt;
    }
    const auto oldest =
        std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
          return std::pair(a.second.known, a.second.number) <
                 std::pair(b.second.known, b.second.number);
        });
    return open_connection{oldest->first, oldest->second.address};
  }

 private:
  struct connection {
    std::string address;
    std::string key;  ///< when known
    bool known = false;
    std::uint64_t number = 0;  ///< in the order of their coming
  };

  template <class Wanted>
  std::vector<open_connection> those(Wanted&& wanted) const {
    std::vector<open_connection> result;
    for (const auto& [descriptor, c] : open_) {
      if (wanted(c)) result.push_back({descriptor, c.address});
    }
    return result;
  }

  std::map<int, connection> open_;
  std::uint64_t accepted_ = 0;
  int accounted_for_ = 0;
  bool failed_ = false;
};

}  // namespace troupe::net
