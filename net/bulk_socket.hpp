/// The TCP socket of a data connection, blocking, and what both of its ends do with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "core/descriptor.hpp"
#include "net/address.hpp"
#include "net/bulk_frame.hpp"

namespace troupe::net {

/// So much is encrypted, or decrypted, while it is in the processor's cache.
inline constexpr std::size_t bulk_piece_bytes = std::size_t{128} << 10;

/// A socket that one thread uses and any thread can end. Thread-safe.
class bulk_socket {
 public:
  bulk_socket() = default;
  explicit bulk_socket(core::descriptor fd) noexcept : fd_(std::move(fd)) {}

  /// The descriptor, for the thread that uses it.
  int fd() const noexcept { return fd_.get(); }
  /// Gives it its descriptor. False, and the descriptor is closed, when it was ended before.
  bool take(core::descriptor fd);
  /// Whoever sends, receives or connects returns. The descriptor stays until the end.
  void end() noexcept;

  /// False when the other side is gone, does not read for the time that was set, or `end`.
  bool send(std::span<const std::byte> bytes) const noexcept;
  bool receive(std::span<std::byte> bytes) const noexcept;

 private:
  mutable std::mutex mutex_;
  core::descriptor fd_;  // set once, guarded by mutex_ for those who end it
  bool ended_ = false;   // guarded by mutex_
};

/// A send or receive that gets no byte on in so long a time fails; 0: never.
void limit_sending(int fd, int milliseconds) noexcept;
void limit_receiving(int fd, int milliseconds) noexcept;
/// What all data connections have.
void set_bulk_options(int fd) noexcept;

/// Listens at that host and port. Throws `connection_error` that names both and the cause.
core::descriptor listen_for_bulk(const std::string& host, std::uint16_t port);
std::uint16_t port_of_socket(int fd) noexcept;
/// A socket for an address, and its connection: why there is none, or nothing. `into` can be ended
/// meanwhile.
std::string connect_bulk(bulk_socket& into, const host_and_port& address, int milliseconds);

}  // namespace troupe::net
