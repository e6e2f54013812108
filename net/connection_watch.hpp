/// Tells the strangers among the connections of a listener from its own.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace troupe::net {

/// libzmq tells that some connection was accepted, that one has shaken hands, that one has failed
/// to, and that one has ended; only the first and the last name it, by its descriptor. A connection
/// that ends is a stranger's unless it was heard or a handshake accounts for it. Pure and
/// thread-compatible.
class connection_watch {
 public:
  void accepted(int descriptor, std::string address) {
    open_[descriptor] = {std::move(address), false};
  }
  /// One of those that were not heard yet belongs here.
  void shook_hands() { ++accounted_for_; }
  /// The gatekeeper has refused one of them, and has told of it.
  void refused_by_gatekeeper() { ++accounted_for_; }
  /// The next to end is the one that failed.
  void failed() { failed_ = true; }
  /// A message came by it.
  void heard(int descriptor) {
    const auto found = open_.find(descriptor);
    if (found == open_.end() || found->second.known) return;
    found->second.known = true;
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

 private:
  struct connection {
    std::string address;
    bool known = false;
  };
  std::map<int, connection> open_;
  int accounted_for_ = 0;
  bool failed_ = false;
};

}  // namespace troupe::net
