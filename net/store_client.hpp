/// A process's way to the object store of its node.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <troupe/detail/waiting.hpp>

#include "core/descriptor.hpp"
#include "net/ids.hpp"
#include "net/store_region.hpp"
#include "net/store_socket.hpp"

namespace troupe::net {

/// Thread-safe. A request takes a connection of its own, so that one that waits for memory holds up
/// no other; connections are kept for the next. Blocks of the store are held by shared pointers to
/// this: the memory is mapped as long as anybody reads it.
class store_client : public std::enable_shared_from_this<store_client> {
 public:
  /// Throws `connection_error` when the store cannot be reached. `on_gone` is called by a thread
  /// that finds the store gone, before it throws.
  static std::shared_ptr<store_client> connect(const std::string& path, process_id self,
                                               std::function<void()> on_gone = {});

  /// A block that this process writes.
  struct block {
    stored_id id;
    std::span<std::byte> bytes;
  };
  /// Waits for memory. Throws `out_of_memory_error`, `connection_error` when the node is gone, and
  /// `task_cancelled_error` in a task that is cancelled meanwhile.
  block create(std::uint64_t size, store_label label);
  void seal(stored_id id) noexcept;
  void abort(stored_id id) noexcept;

  /// A value in memory, until the last pointer goes. `home`: for a value of another node. Throws
  /// `object_lost_error` and as above; `get_timeout_error` at the deadline.
  using bytes_ptr = std::shared_ptr<const std::span<const std::byte>>;
  bytes_ptr pin(stored_id id, const peer& home, const detail::deadline& until);

  const store_region& region() const noexcept { return *region_; }

 private:
  store_client(std::string path, process_id self, std::function<void()> on_gone);
  core::descriptor take_connection();
  void keep_connection(core::descriptor connection);
  store_reply ask(const store_request& what, const detail::deadline& until);
  store_reply exchange(const store_request& what, const detail::deadline& until);
  void tell(store_request what) noexcept;

  const std::string path_;
  const process_id self_;
  const std::function<void()> on_gone_;
  core::descriptor first_;
  std::unique_ptr<store_region> region_;
  std::mutex mutex_;
  std::vector<core::descriptor> idle_;  // guarded by mutex_
};

}  // namespace troupe::net
