/// One attempt to connect to a place, to learn whether somebody listens there.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/descriptor.hpp"
#include "net/address.hpp"

struct sockaddr;

namespace troupe::net {

/// Begins when it is made, and never blocks but in `wait`. Thread-compatible.
class connection_attempt {
 public:
  using time = std::chrono::steady_clock::time_point;
  enum class result : std::uint8_t {
    pending,
    made,
    refused,  ///< the machine is there and says that nobody listens: what listened has ended
    failed    ///< nothing is known of who listens
  };

  /// By TCP. The host must be a number: names are not looked up.
  explicit connection_attempt(const host_and_port& numeric);
  /// At a unix socket.
  explicit connection_attempt(const std::string& path);

  /// What is known until now.
  result look() { return wait(time::min()); }
  /// Waits until it is known, or the deadline.
  result wait(time deadline);
  /// Of the connection, when it is made; it does not block.
  int descriptor() const noexcept { return fd_.get(); }

 private:
  void begin(const sockaddr* address, unsigned size);
  void conclude(int error);

  core::descriptor fd_;
  result result_ = result::pending;
};

}  // namespace troupe::net
