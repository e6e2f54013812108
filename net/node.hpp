/// A node's daemon without its command line: listens, starts workers, and on the head the control.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/resources.hpp"
#include "net/endpoint.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/rotating_file.hpp"
#include "net/wire.hpp"

namespace troupe::net {

/// What else lives in a node's process; on the head, the owner of detached actors. All calls come
/// from the endpoint's thread.
class node_guest {
 public:
  virtual ~node_guest() = default;
  /// A message that is neither the node's nor the control's.
  virtual void received(process_id from, message&& what) = 0;
  /// A process of the cluster is gone; told once.
  virtual void process_died(const net::process_died& what) = 0;
};

struct node_options {
  std::string name;
  std::string session_dir;  ///< of a `session_folder`
  std::string key_file;     ///< workers are told of it
  std::string cluster_key;
  std::string head_address;  ///< HOST:PORT; empty: this is the head
  std::string listen_address;
  std::string advertised_host;
  core::resource_set total;
  std::vector<std::pair<std::string, std::string>> labels;
  std::chrono::milliseconds stop_grace{5'000};
  std::chrono::milliseconds join_timeout{15'000};
  /// A node is dead to the head after so long a silence, and the head to a node; and a driver of
  /// another machine to its node.
  std::chrono::milliseconds silence{10'000};
  std::chrono::milliseconds idle_after{60'000};  ///< then a worker without lease ends
  rotation worker_log{};                         ///< of each worker's stdout and stderr
  std::size_t worker_logs = 200;  ///< workers that have ended and whose logs are kept
  std::uint64_t store_bytes = 0;  ///< of the object store; 0: there is none
  std::string spill_dir{};        ///< empty: nothing is spilled
  /// A `put` or `get` waits so long for memory of the store.
  std::chrono::milliseconds store_patience{30'000};
  std::uint64_t package_bytes = std::uint64_t{4} << 30;  ///< of packages that are kept
  bool copies_only = false;  ///< programs run from checked copies only, never where they lie
  /// Made once the node listens; gets the endpoint, which outlives it.
  std::function<std::unique_ptr<node_guest>(endpoint&)> guest;
};

/// Thread-safe. Lives on the endpoint's thread and that of the worker processes.
class node {
 public:
  /// Listens and joins its cluster. Throws `connection_error` with the cause: the address is in
  /// use, the head cannot be reached or refuses.
  explicit node(node_options options);
  /// Ends what still lives, at once.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  const peer& self() const noexcept;
  /// HOST:PORT of the head.
  const std::string& head() const noexcept;

  /// Begins the end: workers end, and on the head the cluster. The second call kills at once.
  void stop();
  /// Readable when it has ended: a file descriptor for poll.
  int ended_fd() const noexcept;
  /// Why it ended by itself; empty when it was told to. Once `ended_fd` is readable.
  std::string failure() const;

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::net
