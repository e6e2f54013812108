/// How a node reads large values of others by data connections, straight into its store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "net/address.hpp"
#include "net/bulk_cipher.hpp"
#include "net/store_state.hpp"

namespace troupe::net {

/// Thread-safe. A thread for each connection makes it, and decrypts what comes to where it belongs.
///
/// A chunk is written only while it is expected: by its request, value, place and size, all of
/// which its tag covers. What is not expected any more is read and thrown away. After `revoke`
/// nothing more is written to the memory that was named, so it can be given to others. A frame that
/// does not open ends its connection.
class bulk_sink {
 public:
  /// Called by the connections' threads.
  struct events {
    std::function<void(std::uint64_t channel)> opened;
    /// All of it is there, and it is what was sent.
    std::function<void(std::uint64_t request)> arrived;
    /// Once for each, at the end or when it cannot be made; not after `close`.
    std::function<void(std::uint64_t channel, const std::string& why)> lost;
  };
  explicit bulk_sink(events tell);
  ~bulk_sink();
  bulk_sink(const bulk_sink&) = delete;
  bulk_sink& operator=(const bulk_sink&) = delete;

  void connect(std::uint64_t channel, const host_and_port& address, const bulk_key& key);
  void close(std::uint64_t channel);

  struct chunk {
    std::uint64_t request = 0;
    stored_id id;
    std::uint64_t offset = 0;
    std::span<std::byte> memory{};
  };
  void expect(std::uint64_t channel, const chunk& what);
  /// All chunks of the value; or that one.
  void revoke(stored_id id);
  void revoke(stored_id id, std::uint64_t offset);

  /// Bytes that a connection has carried.
  std::uint64_t carried(std::uint64_t channel) const;
  /// Bytes of chunks that arrived, and frames that were refused, ever.
  std::uint64_t bytes() const noexcept;
  std::uint64_t refused() const noexcept;

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::net
