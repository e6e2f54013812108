/// Where other nodes fetch large values by data connections of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "net/bulk_cipher.hpp"
#include "net/bulk_frame.hpp"
#include "net/ids.hpp"

namespace troupe::net {

/// Thread-safe. Listens at a TCP port by a thread of its own, and has one for each connection,
/// which encrypts straight from the store's memory.
///
/// Who may connect is agreed before, over the link between the nodes, which is encrypted and
/// authenticated: the source draws a number and a key for one connection of that reader. A
/// connection begins with a hello of 80 bytes under that key, within three seconds; of those that
/// have said nothing yet there are at most 32, and one more ends the oldest.
class bulk_source {
 public:
  /// Throws `connection_error` when it cannot listen there. 0: any port that is free.
  bulk_source(const std::string& host, std::uint16_t port);
  ~bulk_source();
  bulk_source(const bulk_source&) = delete;
  bulk_source& operator=(const bulk_source&) = delete;

  std::uint16_t port() const noexcept;

  struct offer {
    std::uint64_t channel = 0;
    bulk_key key{};
  };
  /// One connection of that reader, in place of the one that it has; it has to be made within 10 s.
  /// Nothing when there are too many.
  std::optional<offer> offer_to(process_id reader);
  /// Sends a chunk when its turn comes; `keeper` keeps the bytes till then, and may end on any
  /// thread. False, and nothing is sent, when there is no such connection or it is far behind.
  bool send(process_id reader, const bulk_frame& chunk, std::span<const std::byte> bytes,
            std::shared_ptr<const void> keeper);
  void close(process_id reader);

  /// Connections that were refused.
  std::uint64_t strangers_refused() const noexcept;

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::net
