/// How a process finds its node: what `init` was told, and what the node wrote where it runs.
#pragma once

#include <string>

#include "net/ids.hpp"

namespace troupe::net {

/// Everything that is needed to connect.
struct cluster_address {
  peer node;                ///< with an id of 0 only its `remote` is known
  std::string session_dir;  ///< where this process makes its own socket
  std::string cluster_key;  ///< empty: unix sockets only
  std::string listen;       ///< HOST:PORT for other machines; empty: none
  /// The folder that the node's daemon holds locked while it lives; empty when it is elsewhere.
  std::string node_folder;
};

/// Where `address` leads: "auto" is the node that was started last on this machine, HOST:PORT a
/// node of that cluster on this machine, or else that address itself. Throws `connection_error`
/// that says where it looked and what to do.
cluster_address find_cluster(const std::string& address);

/// Of a worker, by the environment that its node gave it; see docs/cluster.md. Nothing when this
/// process is none.
bool is_worker_process() noexcept;
cluster_address worker_address();
std::uint64_t worker_token();

}  // namespace troupe::net
