/// A node's daemon without its command line: listens, starts workers, and on the head the control.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
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

struct node_options {
  std::string name;
  std::string session_dir;  ///< of a `session_folder`
  std::string key_file;     ///< workers are told of it
  std::string cluster_key;
  std::string head_address;    ///< HOST:PORT; empty: the head lives in this process
  std::string listen_address;  ///< where there is a head, its own; the node then has any free port
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
  /// Where the store gives large values to other nodes; 0: any free port. Nothing: by the links.
  std::optional<std::uint16_t> bulk_port{0};
  std::uint64_t package_bytes = std::uint64_t{4} << 30;  ///< of packages that are kept
  bool copies_only = false;  ///< programs run from checked copies only, never where they lie
  /// So long the node goes on with its work when the head's process is known to be dead.
  std::chrono::milliseconds head_patience{60'000};
  std::string head_store{};  ///< of a head: the file of its durable store; empty: in the folder
};

/// Thread-safe. Lives on the endpoint's thread and that of the worker processes.
class node {
 public:
  /// Listens and joins its cluster. Throws `connection_error` with the cause: the address is in
  /// use, the head cannot be reached or refuses. Of a head also `store_error`.
  explicit node(node_options options);
  /// Ends what still lives, at once.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  const peer& self() const noexcept;
  /// HOST:PORT of the head.
  const std::string& head() const noexcept;
  /// The head in this process, if there is one.
  const peer* own_head() const noexcept;

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
