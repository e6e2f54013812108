/// Gives out packages that this process has, piece by piece.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "core/descriptor.hpp"
#include "net/endpoint.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// How much of a package one message carries.
inline constexpr std::uint64_t package_piece_bytes = std::uint64_t{1} << 20;

/// The piece at that offset of a file, as a message.
message read_piece(int fd, const package_wanted& what);
/// That there is none, and why.
message refuse_piece(const package_wanted& what, std::string why);

/// Thread-safe.
class package_shelf {
 public:
  void put(const std::string& hash, core::descriptor file);
  void on(endpoint& net, process_id from, const package_wanted& what) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, core::descriptor> files_;  // guarded by mutex_
};

}  // namespace troupe::net
