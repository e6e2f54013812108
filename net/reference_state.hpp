/// Decides how long what this process owns must live for others: counts refs and handles by holder.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "net/ids.hpp"

namespace troupe::net {

/// Pure; thread-compatible.
///
/// A holder's count may be below zero for a while: it was told of by whoever passed the ref on, and
/// the holder's own message that it let go came first. What is owned is free when the counts of all
/// holders are zero, each by itself: whoever passes a ref on tells so before it lets go of its own.
class reference_state {
 public:
  /// True when nobody holds `local` any more; it is forgotten then.
  bool change(std::uint64_t local, process_id holder, std::int32_t by);
  /// The holder is gone. What nobody holds any more.
  std::vector<std::uint64_t> forget(process_id holder);
  bool held(std::uint64_t local) const { return holders_.contains(local); }
  std::size_t size() const noexcept { return holders_.size(); }

 private:
  using counts = std::unordered_map<process_id, std::int64_t>;
  std::unordered_map<std::uint64_t, counts> holders_;
};

}  // namespace troupe::net
