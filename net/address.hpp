/// Addresses of machines: HOST:PORT in its parts, what a name stands for, and what listens there.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace troupe::net {

struct host_and_port {
  std::string host;  ///< without the brackets of an IPv6 address
  std::string port;
  /// As it is written: HOST:PORT or [HOST]:PORT.
  std::string text() const;
  bool is_ipv6() const { return host.find(':') != std::string::npos; }
};

/// Nothing when it is not HOST:PORT with a port of 0 to 65535.
std::optional<host_and_port> parse_address(const std::string& text);

/// The address with the host as a number. `error` says why there is none.
std::optional<host_and_port> look_up(const host_and_port& address, std::string& error);

/// The number of this machine under which others most likely reach it: the one by which it would
/// leave. Asks the routing table only, sends nothing.
std::string own_address();

/// Who is at the other end of a connection; empty when that is not known any more.
std::string remote_of(int descriptor);

/// What is found where a link could not be made.
enum class listener : std::uint8_t { nobody, silent, other_program, without_encryption, encrypted };
/// Connects and reads a greeting. Blocks until the deadline at most.
listener examine(const host_and_port& numeric, std::chrono::steady_clock::time_point deadline);

/// Names the machine and the user's session on it: who has the same name reaches the same unix
/// sockets.
std::string host_identity();

}  // namespace troupe::net
